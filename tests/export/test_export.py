import json

import numpy as np
import pytest
import torch

from tests.models.test_unet import tiny as tiny_unet
from tests.tiny_bundle import write_bundle
from toonify.bundle import Bundle
from toonify.cdsm import cross_domain_styles
from toonify.checkpoints.loading import save_network
from toonify.export import export_bundle, formats
from toonify.export.formats import answering


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def drawn(bundle, character, face, level):
    """As the library itself draws an aligned face."""
    loaded = Bundle.load(bundle)
    with torch.no_grad():
        w_plus = loaded.encoder.encode(face, loaded.generator)
        own = loaded.table[character].w_plus[None]
        styles = cross_domain_styles(loaded.generator, w_plus, own, level=level)
        return loaded.generator.synthesize(styles).clamp(-1, 1).numpy()


SLOW = pytest.param("openvino", marks=pytest.mark.slow)


@pytest.mark.parametrize("format", ["onnx", SLOW, "torchscript"])
def test_a_character_draws_alike_everywhere(bundle, tmp_path, format):
    for package in formats.PACKAGES[format]:
        pytest.importorskip(package)
    exported = export_bundle(
        tmp_path / "out", bundle=bundle, format=format, characters=["mina"], level=2
    )
    assert [one.name for one in exported] == ["encoder", "generator", "mina"]
    assert all(one.error < 1e-4 for one in exported)
    about = json.loads((tmp_path / "out/export.json").read_text())
    reported = about["networks"]["mina"]
    assert about["format"] == format and reported["level"] == 2
    files = {path.suffix: path.read_bytes() for path in exported[2].files}
    size = reported["input"]["shape"][-1]
    face = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(4)) * 2 - 1
    found = answering(files, format)(face.numpy())
    assert list(found.shape) == reported["output"]["shape"]
    assert np.abs(found - drawn(bundle, "mina", face, 2)).max() < 1e-4


@pytest.mark.parametrize("format", ["onnx", SLOW, "torchscript"])
def test_a_style_draws_alike_everywhere(bundle, tmp_path, format):
    for package in formats.PACKAGES[format]:
        pytest.importorskip(package)
    network = tiny_unet()
    save_network(network, tmp_path / "mine.safetensors")
    (exported,) = export_bundle(
        tmp_path / "out",
        bundle=bundle,
        format=format,
        styles=[str(tmp_path / "mine.safetensors")],
        networks=False,
    )
    reported = json.loads((tmp_path / "out/export.json").read_text())["networks"]["mine"]
    assert exported.name == "mine" and exported.error < 1e-4
    assert reported["input"]["shape"] == [1, 3, None, None] and reported["reads"]["multiple"] == 4
    files = {path.suffix: path.read_bytes() for path in exported.files}
    run = answering(files, format)
    for size in ((32, 48), (20, 8)):  # pictures of any size
        picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(4)) * 2 - 1
        with torch.no_grad():
            wanted = network(picture).clamp(-1, 1).numpy()
        assert np.abs(run(picture.numpy()) - wanted).max() < 1e-4


def test_a_second_export_replaces_its_own_files_alone(bundle, tmp_path):
    first = export_bundle(tmp_path, bundle=bundle, format="torchscript")
    assert len(export_bundle(tmp_path, bundle=bundle, format="torchscript")) == len(first)
    (tmp_path / "encoder.pt").write_bytes(b"somebody's own")
    with pytest.raises(ValueError, match="encoder"):
        export_bundle(tmp_path, bundle=bundle, format="torchscript")
    assert (tmp_path / "encoder.pt").read_bytes() == b"somebody's own"


def test_what_can_not_be_exported(bundle, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Did you mean 'onnx'"):
        export_bundle(tmp_path / "a", bundle=bundle, format="onx")
    with pytest.raises(ValueError, match="nobody"):
        export_bundle(tmp_path / "a", bundle=bundle, format="torchscript", characters=["nobody"])
    with pytest.raises(ValueError, match="style of a network 'inc'"):
        export_bundle(tmp_path / "a", bundle=bundle, format="torchscript", styles=["inc"])
    save_network(tiny_unet(), tmp_path / "encoder.safetensors")
    twice = [str(tmp_path / "encoder.safetensors")]
    with pytest.raises(ValueError, match="two networks would be encoder"):
        export_bundle(tmp_path / "a", bundle=bundle, format="torchscript", styles=twice)
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="toonify-toolkit"):
        export_bundle(tmp_path / "a", bundle=bundle, format="openvino")
    assert not (tmp_path / "a").exists()
