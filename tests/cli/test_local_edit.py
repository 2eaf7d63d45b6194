"""StyleMapGAN as a user meets it: trained, and parts of one face put into another photograph."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.test_training import PlainLoss
from tests.tiny_bundle import tiny_generator
from toonify.checkpoints import save_generator
from toonify.checkpoints.loading import save_network
from toonify.checkpoints.stylemap import load_stylemap
from toonify.models.generators.stylemap import StyleMapGAN

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture
def network(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "s.safetensors"
    made = StyleMapGAN(size=64, map_size=16, widths={16: 8, 32: 8, 64: 4}, mapping=False)
    save_network(made, path)
    return path


@pytest.fixture
def friend(tmp_path):
    path = tmp_path / "friend.png"
    Image.open(ASTRONAUT).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
    return path


def test_a_part_of_a_friend_s_face(run, tmp_path, network, friend):
    photo = np.asarray(Image.open(ASTRONAUT).convert("RGB"))
    out = tmp_path / "new" / "edited.png"
    command = ["local-edit", ASTRONAUT, "--from", friend, "--part", "eyes", "-o", out]
    result = run(*command, "--network", network, "--json")
    assert result.status == 0 and not result.err, result.err
    assert result.records == [
        {"source": str(ASTRONAUT), "from": str(friend), "part": "eyes", "output": str(out)}
    ]
    changed = (np.asarray(Image.open(out).convert("RGB")) != photo).any(axis=2)
    assert changed.any() and not changed[160:].any() and not changed[:, :150].any()
    result = run(*command, "--network", network, "--strength", 0)
    assert result.status == 0
    assert np.array_equal(np.asarray(Image.open(out).convert("RGB")), photo)
    assert run(*command, "--network", network, "--at", "220,60").status == 0
    assert (np.asarray(Image.open(out).convert("RGB")) != photo)[50:70, 210:230].any()


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ("--part glasses", 1, "friend.png: no glasses to take"),
        ("--part friend.gif", 2, "no part 'friend.gif'"),
        ("--part ears", 2, "no part 'ears'"),
        ("--part gone.png", 1, "gone.png"),
        ("--part empty.png", 1, "empty.png is empty"),
        ("--part small.png", 1, "small.png is 8x8, the photo 512x512"),
        ("--part eyes --at 5", 2, "--at '5' is no point"),
        ("--part eyes --at 5000,9", 1, "--at lies beside the face"),
        ("--part eyes --strength 7", 2, "--strength"),
        ("--part eyes --network g.safetensors", 3, "stylemap weights were expected"),
        ("--part eyes --network gone.pt", 3, "no such file"),
        ("--part eyes --from empty.png", 1, "empty.png: no face found"),
        ("--part eyes --from gone.png", 2, "gone.png does not exist"),
        ("--part eyes -o out.txt", 2, "can't write a picture as 'out.txt'"),
    ],
)
def test_refusals_are_one_line(run, tmp_path, monkeypatch, network, friend, options, status, words):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (512, 512)).save("empty.png")
    Image.new("RGB", (8, 8), "white").save("small.png")
    save_generator(tiny_generator(), "g.safetensors")
    given = ["--from", "friend.png", "-o", "out.png", "--network", "s.safetensors"]
    result = run("local-edit", ASTRONAUT, *given, *options.split())
    assert result.status == status and words in result.err, result.err
    assert len(result.err.splitlines()) == 1 and not Path("out.png").exists()


def test_a_network_is_trained_and_goes_on(run, tmp_path, monkeypatch):
    monkeypatch.setattr("toonify.metrics.lpips.PerceptualLoss", PlainLoss)
    people = tmp_path / "people"
    people.mkdir()
    for index in range(6):
        pixels = np.random.default_rng(index).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(people / f"{index}.png")
    out = tmp_path / "run"
    command = ["train-stylemap", "--photos", people, "--aligned", "-o", out, "--size", 64]
    command += ["--batch-size", 2, "--snapshot", 0.002, "--map-size", 32, "--device", "cpu"]
    result = run(*command, "--kimg", 0.004, "--json")
    assert result.status == 0, result.err
    assert result.records[-1]["path"] == str(out / "stylemap.safetensors")
    assert {"l2", "lpips", "latent", "discriminator"} <= set(result.records[0])
    made = load_stylemap(out / "stylemap.safetensors")
    assert made.size == 64 and made.generator.map_size == 32 and (out / "report.html").is_file()
    again = run(*command, "--kimg", 0.004)
    assert again.status == 2 and "--resume" in again.err
    assert run(*command, "--kimg", 0.006, "--resume").status == 0
    wrong = run(*command, "--size", 100, "--kimg", 0.006)
    assert wrong.status == 2 and "--size 100" in wrong.err
