"""train-encoder as a user meets it, with the tiny bundle's networks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from tests.cli.test_training import PlainLoss
from tests.tiny_bundle import RESOLUTION
from toonify.checkpoints import load_encoder

LATENTS = ("--l2", 0, "--lpips", 0, "--identity", 0, "--held-out", 4)


@pytest.fixture
def people(tmp_path):
    random = np.random.default_rng(0)
    for index in range(6):
        path = tmp_path / "people" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = random.integers(0, 255, (RESOLUTION * 2, RESOLUTION * 2, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    (tmp_path / "people" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "people"


def test_photographs_and_pairs(run, bundle, people, tmp_path, monkeypatch):
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PlainLoss)
    monkeypatch.setenv("TOONIFY_OFFLINE", "1")
    out = tmp_path / "run"
    command = ["train-encoder", "--generator", bundle, "--start", bundle, "--photos", people]
    command += ["--aligned", "--pairs", tmp_path / "pairs", "--pair-count", 100, "-o", out]
    command += ["--kimg", 0.02, "--batch-size", 4, "--snapshot", 0.01, "--held-out", 4]
    result = run(*command, "--json")
    assert result.status == 0, result.err
    assert "broken.png is left out" in result.err and "identity term is left out" in result.err
    assert result.records[-1]["path"] == str(out / "encoder.safetensors")
    measured = [row for row in result.records if "photo_lpips" in row]
    assert measured and {"photo_l2", "pair_latent", "lpips", "w_norm"} <= set(measured[-1])
    assert "identity" not in measured[-1]
    assert load_encoder(out / "encoder.safetensors").num_ws == 8
    kept = sorted(p.name for p in (tmp_path / "pairs").iterdir())
    assert kept == ["generator.txt", "images.npy", "w.npy"]
    again = run(*command)
    assert again.status == 2 and "--resume" in again.err
    assert run(*command, "--resume").status == 0


@pytest.mark.slow  # in one process: tests/training/encoders/test_train.py
def test_killed_and_resumed_is_as_if_never_killed(run, bundle, tmp_path):
    shared = ["train-encoder", "--generator", bundle, "--start", bundle, *LATENTS]
    shared += ["--kimg", 0.12, "--batch-size", 4, "--snapshot", 0.04, "--device", "cpu"]
    assert run(*shared, "-o", tmp_path / "whole").status == 0
    out = tmp_path / "cut"
    command = [sys.executable, "-m", "toonify", *map(str, shared), "-o", str(out)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 240
    while not (out / "snapshot.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (out / "snapshot.pt").exists()
    assert run(*shared, "-o", out, "--resume").status == 0
    for name, value in load_file(tmp_path / "whole/encoder.safetensors").items():
        assert value.equal(load_file(out / "encoder.safetensors")[name]), name
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == sorted({row["step"] for row in rows})


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--size", "18"], 2, "--variant restyle"),
        (["--variant", "psp", "--steps", "3", "--size", "10"], 2, "one step"),
        (["--start", "BUNDLE", "--variant", "psp"], 2, "its own architecture"),
        (["--aligned"], 2, "--photos"),
        (["--photo-share", "0.5"], 2, "--photos"),
        (["--photos", "gone"], 1, "not a folder"),
        (["--photos", ".", "--photo-share", "1", "--pairs", "p"], 2, "leaves the pairs out"),
        (["--pair-count", "100"], 2, "--pairs"),
        (["--lr", "0"], 2, "lr must be positive"),
        (["--pairs", "BUNDLE"], 1, "no readable pairs"),
        (["--start", "gone.pt"], 3, "no checkpoint"),
        (["--dtype", "float16"], 2, "bfloat16"),
        (["--latent", "0", "--features", "0"], 2, "every loss has weight 0"),
    ],
)
def test_bad_input(run, bundle, tmp_path, monkeypatch, options, status, message):
    monkeypatch.chdir(tmp_path)
    filled = [str(bundle) if item == "BUNDLE" else item for item in options]
    if "--start" not in filled and "--variant" not in filled and "--size" not in filled:
        filled += ["--start", str(bundle)]
    result = run("train-encoder", "--generator", bundle, "-o", "run", *LATENTS, *filled)
    assert result.status == status and message in result.err, result.err
    assert result.err.count("\n") == 1
    assert not list(Path("run").glob("*"))


@pytest.fixture
def no_faces(monkeypatch):
    """Nothing of faces may be asked for."""

    def never(*arguments, **options):
        raise AssertionError("faces are looked for")

    monkeypatch.setattr("toonify.training.data.photos.get_detector", never)
    monkeypatch.setattr("toonify.training.encoders.faces.load_identity", never)
    monkeypatch.setattr("toonify.inversion.reading.get_detector", never)


def test_an_encoder_of_anything_learns_of_middle_squares(
    run, bundle, people, tmp_path, monkeypatch, no_faces
):
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PlainLoss)
    wide = Image.new("RGB", (RESOLUTION * 4, RESOLUTION * 2), "white")
    wide.paste("black", (RESOLUTION, 0, RESOLUTION * 3, RESOLUTION * 2))
    wide.save(people / "wide.png")
    out = tmp_path / "run"
    anything = ["--domain", "any", "--generator", bundle]
    command = ["train-encoder", *anything, "--start", bundle, "--photos", people, "-o", out]
    command += ["--kimg", 0.012, "--batch-size", 4, "--held-out", 2, "--photo-share", 1]
    result = run(*command, "--json")
    assert result.status == 0, result.err
    assert "photo_lpips" in result.records[-2] and "identity" not in result.records[-2]
    names = json.loads((out / "photos.json").read_text())["names"]
    assert not np.load(out / "photos.npy", mmap_mode="r")[names.index("wide.png")].any()
    invert = ["invert", people / "wide.png", "-o", out, *anything, "--steps", 0, "--json"]
    inverted = run(*invert, "--encoder", out / "encoder.safetensors")
    assert inverted.status == 0 and "lpips" in inverted.records[0]["encoded"], inverted.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--aligned", "--photos", "."], "--aligned is of --domain faces"),
        (["--identity", "0.1"], "--identity is of --domain faces"),
        (["--task", "sketch"], "--task sketch is of --domain faces"),
        (["--task", "hfgi", "--face-encoder", "default"], "--domain"),
    ],
)
def test_what_is_of_faces_is_refused(run, bundle, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    result = run("train-encoder", "--domain", "any", "--generator", bundle, "-o", "run", *options)
    assert result.status == 2 and message in result.err and result.err.count("\n") == 1, result.err
    assert not Path("run").exists()
