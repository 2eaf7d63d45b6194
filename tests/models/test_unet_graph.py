"""The U-Net without torch draws what torch's does, from the same files."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.models.test_styled_unet import styled
from tests.models.test_unet import tiny
from toonify.checkpoints.loading import save_network
from toonify.checkpoints.translator_arrays import load_graph_unet
from toonify.checkpoints.translators import load_unet
from toonify.errors import ModelError, UsageError
from toonify.models import graph_runtimes
from toonify.models.graph_runtimes import PACKAGES, available, check_runtime, prepared
from toonify.models.unet import UNet

RUNTIMES = [
    pytest.param(
        name, marks=pytest.mark.skipif(not available(name), reason=f"there is no {package}")
    )
    for name, package in PACKAGES.items()
]
pytestmark = pytest.mark.skipif(not available("opencv"), reason="OpenCV 4 runs no such networks")


def deep() -> UNet:
    """Three levels whose blocks and context do something."""
    torch.manual_seed(1)
    network = UNet(widths=(8, 12, 16), depths=(1, 0, 2)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return network


def by_torch(network: UNet, photo: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        drawn = network(torch.from_numpy(photo).permute(2, 0, 1)[None])
    return drawn[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("dtype", [None, torch.float16, torch.bfloat16, torch.int8])
def test_one_style(tmp_path, dtype, runtime):
    path = tmp_path / "style.safetensors"
    save_network(deep(), path, dtype=dtype)
    network, reference = load_graph_unet(path, runtime=runtime), load_unet(path)
    for size in ((32, 48), (17, 30), (5, 3)):  # one network, pictures of any size
        photo = np.random.default_rng(0).uniform(-1, 1, (*size, 3)).astype(np.float32)
        assert np.abs(network(photo) - by_torch(reference, photo)).max() < 1e-4


@pytest.mark.parametrize("dtype", [None, torch.int8])
def test_several_styles(tmp_path, dtype):
    path = tmp_path / "styles.safetensors"
    save_network(styled(), path, dtype=dtype)
    photo = np.random.default_rng(0).uniform(-1, 1, (16, 24, 3)).astype(np.float32)
    for style in ("ink", "soft"):
        drawn = load_graph_unet(path, style=style)(photo)
        assert np.abs(drawn - by_torch(load_unet(path, style=style), photo)).max() < 1e-4
    for style in (None, "wash"):
        with pytest.raises(ModelError, match="draws ink, soft"):
            load_graph_unet(path, style=style)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": [8, 16, 32], "depths": [1, 1, 1]}, "do not fit"),
        ({"widths": [8]}, "no U-Net"),
        ({"widths": [8, 1 << 40]}, "no U-Net"),
        ({"depths": [1, "1"]}, "no U-Net"),
        ({"architecture": "styled_unet", "styles": ["ink"]}, "draws ink"),
        ({"architecture": "mobile"}, "draws no style"),
    ],
)
def test_what_a_configuration_says_must_be_there(tmp_path, changes, message):
    network, path = tiny(), tmp_path / "style.safetensors"
    config = {**network.config(), **changes}
    save_file(network.state_dict(), path, {"toonify.config": json.dumps(config)})
    with pytest.raises(ModelError, match=message):
        load_graph_unet(path)


def test_damaged_files(tmp_path):
    path = tmp_path / "style.safetensors"
    with pytest.raises(ModelError, match="no checkpoint"):
        load_graph_unet(path)
    save_network(styled(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        load_graph_unet(path, style="ink")
    tensors = styled().state_dict()
    tensors["modulation.from_rgb_in"] = torch.ones(2, 5)
    save_file(tensors, path, {"toonify.config": json.dumps(styled().config())})
    with pytest.raises(ModelError, match="from_rgb is of another shape"):
        load_graph_unet(path, style="ink")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_is_no_model_is_said(runtime):
    with pytest.raises(ModelError, match="can't run the network"):
        prepared(b"no model", ["v0"], runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_threads_that_draw_at_once_do_not_mix(tmp_path, runtime):
    save_network(deep(), tmp_path / "style.safetensors")
    network = load_graph_unet(tmp_path / "style.safetensors", runtime=runtime)
    random = np.random.default_rng(0)
    photos = [random.uniform(-1, 1, (40, 56, 3)).astype(np.float32) for _ in range(12)]
    alone = [network(photo) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(network, photos), alone, strict=True):
            assert np.abs(found - expected).max() < 1e-5


def test_runtimes_that_are_not_installed(monkeypatch):
    monkeypatch.setattr(graph_runtimes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="onnx needs the package onnxruntime"):
        check_runtime("onnx")
    assert graph_runtimes.fastest() == "opencv"
    monkeypatch.setattr(graph_runtimes.cv2, "__version__", "4.13.0")
    assert graph_runtimes.fastest() is None
    with pytest.raises(UsageError, match="OpenCV 5 or newer"):
        check_runtime("opencv")


def test_a_runtime_that_is_broken_is_named_and_left_out(monkeypatch, caplog):
    def broken(name):
        raise ImportError("DLL load failed")

    monkeypatch.setattr(graph_runtimes, "PACKAGES", {"onnx": "onnxruntime"})
    monkeypatch.setattr(graph_runtimes, "available", lambda runtime: True)
    monkeypatch.setattr(graph_runtimes.importlib, "import_module", broken)
    graph_runtimes._sound.cache_clear()
    try:
        assert graph_runtimes.fastest() is None and graph_runtimes.fastest() is None
    finally:
        graph_runtimes._sound.cache_clear()
    (line,) = caplog.messages
    assert "onnxruntime" in line and "DLL load failed" in line
