import builtins
import io
import os
import pickle
import subprocess
from pathlib import Path

import published
import pytest
import torch

from toonify.checkpoints import load_discriminator, load_generator, save_generator
from toonify.checkpoints.pickles import read_nvidia_pickle
from toonify.errors import ModelError


def test_networks_and_their_clamp(tmp_path, monkeypatch):
    path, state = tmp_path / "network.pkl", published.nvidia()
    published.write_nvidia(
        path, monkeypatch, G_ema=state, D=published.nvidia_discriminator(), G=published.nvidia()
    )
    networks = read_nvidia_pickle(path)
    assert networks["G_ema"].class_name == "G_ema"
    assert networks["G_ema"].state.keys() == state.keys()
    assert all(torch.equal(networks["G_ema"].state[name], state[name]) for name in state)
    generator = load_generator(path)
    assert generator.config()["conv_clamp"] == 256.0
    assert generator.resolution == 16
    assert torch.equal(generator.w_avg, state["mapping.w_avg"])
    assert torch.equal(
        generator.get_submodule("blocks.1.up").noise_const[0, 0],
        state["synthesis.b16.conv0.noise_const"],
    )
    assert load_discriminator(path)(torch.randn(4, 3, 8, 8)).shape == (4, 1)
    save_generator(generator, tmp_path / "g.safetensors")
    w_plus = torch.randn(1, 6, 8)
    with torch.no_grad():
        assert torch.equal(load_generator(tmp_path / "g.safetensors")(w_plus), generator(w_plus))


def test_files_without_clamp(tmp_path, monkeypatch):
    path = tmp_path / "network.pkl"
    published.write_nvidia(path, monkeypatch, clamp=None, G_ema=published.nvidia())
    assert load_generator(path).config()["conv_clamp"] is None


def test_conditional_generators_are_refused(tmp_path, monkeypatch):
    state = published.nvidia() | {"mapping.embed.weight": torch.randn(8, 10)}
    published.write_nvidia(tmp_path / "cond.pkl", monkeypatch, G_ema=state)
    with pytest.raises(ModelError, match=r"cond\.pkl.*class-conditional"):
        load_generator(tmp_path / "cond.pkl")


class Call:
    def __init__(self, function, *args) -> None:
        self.call = function, args

    def __reduce__(self):
        return self.call


def refused(path: Path, contents: object, match: str) -> None:
    path.write_bytes(contents if isinstance(contents, bytes) else pickle.dumps(contents))
    with pytest.raises(ModelError, match=match) as caught:
        load_generator(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.mkdir, r"\.mkdir"),
        (os.system, r"\.system"),
        (builtins.eval, r"builtins\.eval"),
        (builtins.getattr, r"builtins\.getattr"),
        (subprocess.Popen, r"subprocess\.Popen"),
    ],
)
def test_hostile_pickles_run_nothing(tmp_path, function, name):
    marker = tmp_path / "marker"
    argument = {os.mkdir: str(marker), builtins.eval: f"open({str(marker)!r}, 'w')"}.get(
        function, f"mkdir {marker}"
    )
    refused(tmp_path / "hostile.pkl", {"G_ema": Call(function, argument)}, name)
    assert not marker.exists()


def test_code_hidden_in_a_storage_runs_nothing(tmp_path):
    marker = tmp_path / "marker"
    inner = io.BytesIO()
    torch.save(Call(os.mkdir, str(marker)), inner, _use_new_zipfile_serialization=False)
    contents = {"G_ema": Call(torch.storage._load_from_bytes, inner.getvalue())}
    refused(tmp_path / "hostile.pkl", contents, "can't be read")
    assert not marker.exists()


def test_torch_functions_become_inert(tmp_path):
    marker = tmp_path / "marker"
    contents = {"G_ema": Call(torch.save, {}, str(marker))}
    refused(tmp_path / "hostile.pkl", contents, "holds no StyleGAN2 network")
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_out_of_bounds_tensors_are_refused(tmp_path):
    rebuild, storage = torch._utils._rebuild_tensor_v2, torch.ones(4).storage()
    for offset, size, stride in ((0, (1000,), (1,)), (0, (2,), (10**9,)), (-1, (1,), (1,))):
        contents = {"G_ema": Call(rebuild, storage, offset, size, stride, False, None)}
        refused(tmp_path / "hostile.pkl", contents, "can't be read")


def test_other_pickles(tmp_path, monkeypatch):
    refused(tmp_path / "tf.pkl", (1, 2, 3), "TensorFlow")
    refused(tmp_path / "dict.pkl", {"a": 1}, "holds no StyleGAN2 network")
    published.write_nvidia(tmp_path / "whole.pkl", monkeypatch, G_ema=published.nvidia())
    data = (tmp_path / "whole.pkl").read_bytes()
    refused(tmp_path / "cut.pkl", data[: len(data) // 2], r"cut\.pkl.*cut short")
