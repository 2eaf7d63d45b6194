"""The network for small faces as a user trains it: on tiny networks, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_training import PlainLoss
from tests.tiny_hfgi import tiny_encoder, tiny_hybrid
from tests.tiny_styleganex import tiny_stylegan2
from toonify.checkpoints import save_encoder, save_generator
from toonify.checkpoints.loading import load_network
from toonify.models.encoders.restoration import FaceRestoration, moved_channels


@pytest.fixture
def faces(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for index in range(10):
        pixels = np.random.default_rng(index).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def test_it_is_trained_and_goes_on(run, tmp_path, faces, monkeypatch):
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PlainLoss)
    monkeypatch.setenv("TOONIFY_OFFLINE", "1")
    save_encoder(tiny_encoder(), tmp_path / "e.safetensors")
    save_generator(tiny_hybrid(), tmp_path / "g.safetensors")
    out = tmp_path / "run"
    command = ["train-encoder", "--task", "restoration", "--generator", tmp_path / "g.safetensors"]
    command += ["--face-encoder", tmp_path / "e.safetensors", "--photos", faces, "--aligned"]
    command += ["-o", out, "--batch-size", 2, "--snapshot", 0.002, "--device", "cpu"]
    result = run(*command, "--kimg", 0.002, "--lpips", 0, "--json")
    assert result.status == 0, result.err
    assert "identity term is left out" in result.err
    assert result.records[-1]["path"] == str(out / "restoration.safetensors")
    assert "l1" in result.records[0] and "lpips" not in result.records[0]
    again = run(*command, "--kimg", 0.004)
    assert again.status == 2 and "--resume" in again.err
    assert run(*command, "--kimg", 0.004, "--resume").status == 0
    network = load_network("restoration", out / "restoration.safetensors", FaceRestoration)
    assert network.channels == moved_channels(tiny_hybrid())
    command[command.index("-o") + 1] = tmp_path / "more"
    start = ["--start", out / "restoration.safetensors"]
    assert run(*command, "--kimg", 0.002, *start).status == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--photos faces", "whose w+"),
        ("--face-encoder default", "no faces to learn from"),
        ("--face-encoder default --photos faces --size 18", "--size is of other tasks"),
        ("--face-encoder default --photos faces --pairs p", "--pairs is of other tasks"),
    ],
)
def test_what_does_not_go_together_is_refused(run, tmp_path, faces, options, words):
    command = ["train-encoder", "--task", "restoration", "--generator", "default"]
    result = run(*command, "-o", tmp_path / "r", *options.split())
    assert result.status == 2 and words in result.err and len(result.err.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_a_generator_without_such_layers_is_refused(run, tmp_path, faces):
    save_generator(tiny_stylegan2(), tmp_path / "g.safetensors")
    command = ["train-encoder", "--task", "restoration", "--generator", tmp_path / "g.safetensors"]
    command += ["--face-encoder", "default", "--photos", faces, "-o", tmp_path / "r"]
    result = run(*command)
    assert result.status == 2 and "compact generators" in result.err
    assert len(result.err.splitlines()) == 1
