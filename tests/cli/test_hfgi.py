"""HFGI as a user meets it: trained, and used by invert and edit, on tiny networks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_training import PlainLoss
from tests.tiny_hfgi import tiny_encoder, tiny_hfgi, tiny_hybrid
from toonify.checkpoints import save_encoder, save_generator
from toonify.checkpoints.hfgi import load_compact_hfgi
from toonify.checkpoints.loading import save_network
from toonify.inversion.latents import Latents

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture
def networks(tmp_path):
    """Options that name an encoder and a generator."""
    save_encoder(tiny_encoder(), tmp_path / "e.safetensors")
    save_generator(tiny_hybrid(), tmp_path / "g.safetensors")
    return tmp_path / "e.safetensors", tmp_path / "g.safetensors"


@pytest.fixture
def trained(tmp_path):
    save_network(tiny_hfgi().networks, tmp_path / "h.safetensors")
    return tmp_path / "h.safetensors"


def test_it_is_trained_on_edits_and_photographs_and_goes_on(run, tmp_path, networks, monkeypatch):
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PlainLoss)
    monkeypatch.setattr("toonify.training.hfgi.job.PAIRS", 10)
    monkeypatch.setenv("TOONIFY_OFFLINE", "1")
    people = tmp_path / "people"
    people.mkdir()
    for index in range(6):
        pixels = np.random.default_rng(index).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(people / f"{index}.png")
    encoder, generator = networks
    out = tmp_path / "run"
    former = "--codes-by"  # of --face-encoder
    command = ["train-encoder", "--task", "hfgi", "--generator", generator, former, encoder]
    command += ["--pairs", tmp_path / "edits", "--photos", people, "--aligned", "-o", out]
    command += ["--batch-size", 2, "--kimg", 0.004, "--snapshot", 0.002, "--device", "cpu"]
    result = run(*command, "--json")
    assert result.status == 0, result.err
    assert "identity term is left out" in result.err
    assert result.records[-1]["path"] == str(out / "hfgi.safetensors")
    assert {"align", "l2", "lpips"} <= set(result.records[0])
    assert load_compact_hfgi(out / "hfgi.safetensors").channels == {64: 8, 128: 8}
    kept = sorted(p.name for p in (tmp_path / "edits").iterdir())
    assert kept == ["generator.txt", "images.npy", "steps.npy"]
    again = run(*command)
    assert again.status == 2 and "--resume" in again.err
    longer = [0.006 if item == 0.004 else item for item in command]
    assert run(*longer, "--resume").status == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", "whose w+"),
        ("--face-encoder default", "nothing to learn from"),
        ("--face-encoder default --aligned", "--aligned needs photographs"),
        ("--face-encoder default --photos p --pair-count 200", "--pair-count is of --pairs"),
        ("--face-encoder default --photos p --faces ffhq-mobile", "--faces are edited into"),
    ],
)
def test_what_does_not_go_together_is_refused(run, tmp_path, options, words):
    command = ["train-encoder", "--task", "hfgi", "--generator", "default", "-o", tmp_path / "r"]
    result = run(*command, *options.split())
    assert result.status == 2 and words in result.err and len(result.err.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_a_photo_is_inverted_in_one_pass(run, tmp_path, networks, trained):
    encoder, generator = networks
    out = tmp_path / "out"
    command = ["invert", ASTRONAUT, "-o", out, "--method", "hfgi", "--hfgi-network", trained]
    result = run(*command, "--encoder", encoder, "--generator", generator, "--json", "--offline")
    assert result.status == 0, result.err
    assert {"mae", "mse"} <= set(result.records[-1]["hfgi"])
    assert Latents.load(out / "astronaut.safetensors")[0].w_plus.shape == (1, 14, 8)
    assert sorted(p.name for p in out.iterdir()) == ["astronaut.png", "astronaut.safetensors"]
    with Image.open(out / "astronaut.png") as picture:
        assert picture.size == (256, 256)


def test_the_default_bundle_brings_the_person_back(run, tmp_path, monkeypatch):
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PlainLoss)
    command = ["invert", ASTRONAUT, "-o", tmp_path / "out", "--method", "hfgi", "--offline"]
    result = run(*command, "--json")
    assert result.status == 0, result.err
    reported = result.records[-1]
    assert reported["hfgi"]["mae"] < 0.4 * reported["encoded"]["mae"]


def test_an_edit_with_details_keeps_the_photo(run, tmp_path):
    photo = np.asarray(Image.open(ASTRONAUT).convert("RGB"))

    def edited(*options):
        target = tmp_path / "edited.png"
        command = ["edit", ASTRONAUT, "-o", target, "--method", "hfgi", "--offline"]
        result = run(*command, "--direction", "smile", *options)
        assert result.status == 0, result.err
        return np.asarray(Image.open(target).convert("RGB"))

    assert np.array_equal(edited("--strength", 0), photo)
    changed = (edited("--strength", -2) != photo).any(axis=2)
    assert changed[80:180, 180:270].mean() > 0.4, "the face"
    assert not changed[300:].any() and not changed[:, :60].any(), "shuttle, flag and suit stay"


def test_networks_that_are_missing_are_named(run, tmp_path, networks):
    encoder, generator = networks
    command = ["invert", ASTRONAUT, "-o", tmp_path / "o", "--method", "hfgi", "--offline"]
    named = ["--encoder", encoder, "--generator", generator]
    result = run(*command, *named)
    assert result.status == 3 and "no HFGI in" in result.err and "task hfgi" in result.err
    assert len(result.err.splitlines()) == 1 or "LPIPS is not measured" in result.err
    gone = run(*command, *named, "--hfgi-network", tmp_path / "gone.safetensors")
    assert gone.status == 1 and "no such file" in gone.err
