"""From drawings to a bundle: every command of the way, with tiny networks.

The perceptual loss is replaced by a plain one: its weights are not part of the tests.
"""

import json
import pickle
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.tiny_bundle import RESOLUTION, tiny_generator
from toonify.checkpoints import (
    load_discriminator,
    load_generator,
    save_discriminator,
    save_generator,
)
from toonify.lut import CharacterTable
from toonify.models.discriminators import StyleGAN2Discriminator
from toonify.models.generators.hybrid import HybridGenerator
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.generators.stylegan2 import StyleGAN2Generator, channel_table
from toonify.training.finetune.inversion_pairs import invert_to_w

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


class PlainLoss(nn.Module):
    source = "plain differences"

    def __init__(self, *arguments, **options) -> None:
        super().__init__()

    def distance_to(self, images: Tensor, wanted: list[Tensor]) -> Tensor:
        return self.distance(self.features(images), wanted)

    def features(self, images: Tensor) -> list[Tensor]:
        return [images]

    def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        return (a[0] - b[0]).square().mean(dim=(1, 2, 3))

    def forward(self, images: Tensor, target: Tensor) -> Tensor:
        return self.distance([images], [target])


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No network compares pictures, and drawings are inverted in a few steps."""
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PlainLoss)
    few = partial(invert_to_w, steps=3)
    monkeypatch.setattr("toonify.training.finetune.run.invert_to_w", few)


@pytest.fixture
def drawings(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("mina", "otto"):
        for index in range(3):
            path = tmp_path / "drawings" / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 255, (RESOLUTION, RESOLUTION, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    return tmp_path / "drawings"


@pytest.fixture
def prior(tmp_path):
    path = tmp_path / "prior.safetensors"
    save_generator(tiny_generator(), path)
    return path


@pytest.fixture
def discriminator(tmp_path):
    """A small discriminator's file."""
    path = tmp_path / "discriminator.safetensors"
    channels = channel_table(RESOLUTION, channel_max=4)
    save_discriminator(StyleGAN2Discriminator(resolution=RESOLUTION, channels=channels), path)
    return path


def test_a_hybrid_is_not_fine_tuned(run, drawings, tmp_path):
    widths = {4: 8, 8: 8, 16: 8, 32: 8}
    sizes = {"w_dim": 16, "z_dim": 16, "mapping_layers": 1}
    network = HybridGenerator(resolution=128, channels=widths, junction=8, deep=(8,), **sizes)
    path = tmp_path / "hybrid.safetensors"
    save_generator(network, path)
    result = run("finetune", "--data", drawings, "--base", path, "-o", tmp_path / "run")
    assert result.status == 2 and "compact one it was made from" in result.err
    assert result.err.count("\n") == 1


def test_own_characters_from_drawings_to_a_photo(run, drawings, prior, bundle, tmp_path):
    work = tmp_path
    options = ["--objective", "both", "--steps", "2", "--kimg", "0.016", "--freeze-below", "8"]
    result = run("finetune", "--data", drawings, "--base", prior, "-o", work / "run", *options)
    assert result.status == 0, result.err
    toon = work / "run/generator.safetensors"
    again = run("finetune", "--data", drawings, "--base", prior, "-o", work / "run", *options)
    assert again.status == 2 and "--resume" in again.err

    assert result.err.splitlines().count("plain differences") == 1
    assert "report.html" in result.out and (work / "run/report.html").is_file()

    swapped = work / "swapped.safetensors"
    soft = ["--resolution", "8", "--blend", "0.5", "--json"]
    shares = run("swap", prior, toon, "-o", swapped, *soft).records[0]["toon_shares"]
    assert shares["8"] == 0.731
    assert run("swap", prior, toon, "-o", swapped, "--resolution", "8").status == 0
    assert load_generator(swapped).resolution == RESOLUTION
    same = run("swap", prior, prior, "-o", work / "same.safetensors", "--json")
    assert "changes nothing" in same.err and "changes nothing" in same.records[0]["notes"][0]

    cast = work / "cast.safetensors"
    lut = ["build-lut", drawings, "--generator", swapped, "-o", cast, "--steps", "2"]
    result = run(*lut)
    assert result.status == 0, result.err
    assert CharacterTable.load(cast).names == ("mina", "otto")
    assert cast.with_suffix(".png").exists() and cast.with_suffix(".html").exists()
    refused = run(*lut, "--photos", ASTRONAUT.parent)
    assert refused.status == 2 and "--encoder" in refused.err
    people = work / "people"
    people.mkdir()
    shutil.copy(ASTRONAUT, people)
    (people / "broken.jpg").write_bytes(b"no picture")
    result = run(*lut, "--photos", people, "--encoder", bundle, "--start", "average")
    assert result.status == 0 and "broken.jpg is left out" in result.err, result.err
    assert "astronaut" in cast.with_suffix(".html").read_text()
    assert "reused" in run(*lut).out

    mine = work / "mine"
    parts = ["--generator", swapped, "--table", cast, "--encoder", bundle]
    assert run("bundle", *parts, "-o", mine).status == 0
    assert run("bundle", *parts, "-o", mine).status == 2
    out = work / "toon.png"
    assert run("stylize", ASTRONAUT, "-o", out, "--bundle", mine, "--character", "otto").status == 0
    assert Image.open(out).size == (RESOLUTION, RESOLUTION)


def test_adversarial_options(run, drawings, prior, discriminator, tmp_path):
    work = tmp_path / "run"
    command = ["finetune", "--data", drawings, "--base", prior, "--freeze-below", "8"]
    command += ["--objective", "adversarial", "--kimg", "0.032", "--discriminator", discriminator]
    command += ["--freeze-d", "1", "--augment", "bgcfnc", "--augment-p", "0.5", "--no-mirror"]
    command += ["--path-length", "2", "--style-mixing", "0.9", "--ema", "1", "--r1", "1"]
    result = run(*command, "-o", work, "--json")
    assert result.status == 0, result.err
    assert result.records[-2]["p"] == 0.5
    state = torch.load(work / "adversarial/snapshot.pt", weights_only=True)
    wanted = {"augment": "bgcfnc", "mirror": False, "path_weight": 2.0, "style_mixing": 0.9}
    wanted |= {"r1_weight": 1.0, "ema_kimg": 1.0, "freeze_d": 1, "lr": 2e-3}
    assert {key: state["config"][key] for key in wanted} == wanted
    stored = load_discriminator(work / "adversarial/discriminator.safetensors")
    assert stored.channels[4] == 4

    changed = run(*command, "-o", work, "--resume", "--augment", "bgc")
    assert changed.status == 2 and "augment: bgcfnc against bgc" in changed.err
    larger = tmp_path / "larger.safetensors"
    parts = {"channels": (16,) * 4, "w_dim": 16, "mapping_layers": 2}
    save_generator(MobileGenerator(resolution=2 * RESOLUTION, **parts), larger)
    other = [larger if item == prior else item for item in command]
    refused = run(*other, "-o", work, "--resume")
    assert refused.status == 2 and "discriminator is for" in refused.err
    assert refused.err.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        ("--objective both --batch-size 4 --processes 3", 2, "can't be shared by 3 processes"),
        ("--freeze-below 512", 2, "no layer to train"),
        ("--objective both --freeze-d 2", 2, "--discriminator"),
        ("--objective both --discriminator gone.pt", 3, "gone.pt"),
    ],
)
def test_options_are_refused_before_the_look_at_drawings(
    run, drawings, prior, tmp_path, monkeypatch, flags, status, words
):
    def look(*arguments, **options):
        raise AssertionError("came too late")

    monkeypatch.setattr("toonify.training.data.check.check_drawings", look)
    command = ["finetune", "--data", drawings, "--base", prior, "--freeze-below", "8"]
    result = run(*command, "-o", tmp_path / "run", *flags.split())
    assert result.status == status and words in result.err, result.err
    assert result.err.count("\n") == 1 and not (tmp_path / "run").exists()
    (tmp_path / "run").write_text("in the way")
    result = run(*command, "-o", tmp_path / "run")
    assert result.status == 2 and "is a file" in result.err


def test_pictures_of_anything_are_learnt_without_a_look_for_faces(
    run, drawings, tmp_path, monkeypatch
):
    def never(*arguments, **options):
        raise AssertionError("faces are looked for")

    monkeypatch.setattr("toonify.training.finetune.job.MTCNNDetector", never)
    channels = channel_table(RESOLUTION, channel_max=8)
    base = StyleGAN2Generator(
        resolution=RESOLUTION, channels=channels, w_dim=16, z_dim=16, mapping_layers=2
    )
    save_generator(base, tmp_path / "things.safetensors")
    command = ["finetune", "--data", drawings, "--base", tmp_path / "things.safetensors"]
    command += ["--domain", "any", "--objective", "adversarial", "--kimg", "0.016"]
    result = run(*command, "-o", tmp_path / "run")
    assert result.status == 0, result.err
    trained = load_generator(tmp_path / "run/generator.safetensors").state_dict()
    moved = {name for name, value in base.state_dict().items() if not value.equal(trained[name])}
    assert "conv1.weight" in moved, "its lowest layers learn, too"
    below = run(*command, "-o", tmp_path / "below", "--freeze-below", "16")
    assert below.status == 0, below.err
    kept = load_generator(tmp_path / "below/generator.safetensors").state_dict()
    assert kept["conv1.weight"].equal(base.state_dict()["conv1.weight"])
    refused = run(*command[:3], "--objective", "pix2pix", "--domain", "any", "-o", tmp_path / "p")
    assert refused.status == 2 and "--domain" in refused.err


def test_options_of_pairs(run, drawings, prior, tmp_path):
    command = ["finetune", "--data", drawings, "--base", prior, "--freeze-below", "8"]
    assert run(*command, "--steps", "1", "-o", tmp_path / "a").status == 0
    config = torch.load(tmp_path / "a/pairs/snapshot.pt", weights_only=True)["config"]
    wanted = {"sharpen": 0.1, "detail_crops": True, "compiled": False, "lr": 3e-3}
    assert {key: config[key] for key in wanted} == wanted
    plain = run(*command, "--steps", "1", "--sharpen", "0", "--lr", "0.001", "-o", tmp_path / "b")
    assert plain.status == 0, plain.err
    config = torch.load(tmp_path / "b/pairs/snapshot.pt", weights_only=True)["config"]
    assert (config["sharpen"], config["detail_crops"], config["lr"]) == (0.0, False, 0.001)
    for flags in (["--sharpen", "0.2"], ["--compile"]):
        refused = run(*command, "--objective", "adversarial", *flags, "-o", tmp_path / "c")
        assert refused.status == 2 and f"{flags[0]} has no part" in refused.err


@pytest.fixture
def in_this_process(monkeypatch):
    """Does here, once, what would be sent to so many processes."""
    counts = []

    def launch(work, count, *arguments):
        counts.append(count)
        work, *arguments = pickle.loads(pickle.dumps((work, *arguments)))
        work(*arguments)

    monkeypatch.setattr("toonify.training.finetune.job.launch", launch)
    return counts


def share_a_run(run, drawings, prior, discriminator, tmp_path):
    command = ["finetune", "--data", drawings, "--base", prior, "--freeze-below", "8"]
    command += [
        "--objective",
        "adversarial",
        "--discriminator",
        discriminator,
        "-o",
        tmp_path / "run",
    ]
    assert run(*command, "--kimg", "0.016").status == 0
    result = run(*command, "--kimg", "0.032", "--resume", "--processes", "2")
    assert result.status == 0, result.err
    state = torch.load(tmp_path / "run/adversarial/snapshot.pt", weights_only=True)
    assert state["images"] == 32


def test_processes_are_sent_the_run(run, drawings, prior, discriminator, tmp_path, in_this_process):
    share_a_run(run, drawings, prior, discriminator, tmp_path)
    assert in_this_process == [2]


@pytest.mark.slow  # what two processes make of a run: tests/training/core/test_distributed.py
def test_processes_share_a_run(run, drawings, prior, discriminator, tmp_path):
    share_a_run(run, drawings, prior, discriminator, tmp_path)


def test_invert_character_adds_to_a_table(run, drawings, prior, bundle, tmp_path):
    table = tmp_path / "t.safetensors"
    shared = ["--generator", prior, "-o", table, "--steps", "2"]
    assert run("invert-character", drawings / "mina", *shared).status == 0
    files = sorted((drawings / "otto").iterdir())
    unnamed = run("invert-character", *files, *shared)
    assert unnamed.status == 2 and "--name" in unnamed.err
    assert run("invert-character", *files, "--name", "otto", *shared, "--k", "2").status == 0
    loaded = CharacterTable.load(table)
    assert loaded.names == ("mina", "otto") and loaded["otto"].k == 2
    losses = json.loads((tmp_path / "t.inversions/otto.json").read_text())
    assert len(losses["drawings"]) == 2
    assert (tmp_path / "t.inversions/otto.png").exists()

    (drawings / "mina/3.png").write_bytes(b"no picture")
    both = [*shared, "--encoder", bundle, "--start", "both", "--json"]
    result = run("invert-character", drawings / "mina", *both)
    assert result.status == 0 and "3.png is left out" in result.err
    record = result.records[0]
    assert set(record["losses"]) == {"0.png", "1.png", "2.png"} and record["skipped"] == 1
    assert "encoder" in record["started_from"] or "average" in record["started_from"]
    assert run("invert-character", drawings / "mina", *both).records[0]["reused"]
    refused = run("invert-character", drawings / "mina", *shared, "--start", "both")
    assert refused.status == 2 and "--encoder" in refused.err
    assert run("invert-character", *files, "--name", "no/name", *shared).status == 2

    save_generator(tiny_generator(seed=5), tmp_path / "other.safetensors")
    other = ["--generator", tmp_path / "other.safetensors", "-o", table]
    refused = run("invert-character", drawings / "mina", *other)
    assert refused.status == 3 and CharacterTable.load(table).names == ("mina", "otto")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["swap", "PRIOR", "PRIOR", "-o", "x.safetensors", "--resolution", "9"], 2),
        (["swap", "PRIOR", "PRIOR", "-o", "x.pt"], 2),
        (["swap", "PRIOR", "gone.pt", "-o", "x.safetensors"], 3),
        (["build-lut", "gone", "--generator", "PRIOR", "-o", "x.safetensors"], 1),
        (["finetune", "--data", "gone", "--base", "PRIOR", "-o", "run"], 1),
        (["finetune", "--data", "data", "--base", "PRIOR", "-o", "run", "--kimg", "1"], 2),
        (["finetune", "--data", "data", "--base", "gone.pt", "-o", "run"], 3),
        (["finetune", "--data", "data", "--base", "PRIOR", "-o", "run", "--augment", "bgc"], 2),
        (["finetune", "--data", "data", "--base", "PRIOR", "-o", "data/run"], 2),
    ],
)
def test_bad_input(run, prior, tmp_path, monkeypatch, arguments, status):
    (tmp_path / "work/data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    result = run(*[str(prior) if item == "PRIOR" else item for item in arguments])
    assert result.status == status, result.err
    assert result.err.count("\n") == 1
    assert list(Path().rglob("*")) == [Path("data")]
