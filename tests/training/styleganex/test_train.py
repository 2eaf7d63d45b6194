"""Whole runs: what is written, exact resumption of every task, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from tests.training.styleganex.test_step import PLAIN, Shade, face_generator, small
from tests.training.styleganex.tiny_frames import FlatSource
from tests.training.tiny_training import PixelDistance
from toonify.checkpoints import load_encoder, load_generator
from toonify.errors import Diverged, UsageError
from toonify.training.core.runs import previews
from toonify.training.styleganex.batch import FrameConfig
from toonify.training.styleganex.tasks import TASKS, new_frame_encoder
from toonify.training.styleganex.train import train_frames

__all__ = ["small"]  # a fixture


def config(name: str, **options) -> FrameConfig:
    standard = {"steps": 4, "batch_size": 2, "lr": 0.3, "perceptual_size": 16, "snapshot": 2}
    return FrameConfig(**({"weights": TASKS[name].weights} | standard | options))


def train(name: str, folder: Path, settings: FrameConfig, *, seed: int = 0, **options):
    generator, task = face_generator(), TASKS[name]
    source = FlatSource(task, generator, spoil=options.pop("spoil", None))
    heads = options.pop("heads", name != "video-toonify")
    encoder = new_frame_encoder(task, generator, heads=heads, seed=seed)
    losses = {"perceptual": PixelDistance(), "identity": Shade()}
    return train_frames(task, encoder, generator, source, folder, settings, **losses, **options)


def contents(path: Path) -> dict[str, Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_what_a_run_leaves(tmp_path: Path) -> None:
    rows: list[dict[str, float]] = []
    settings = config("super-resolution", snapshot=3)
    encoder, generator = train("super-resolution", tmp_path, settings, progress=rows.append)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["kimg"] == 0.008 and {"l2", "lpips", "identity", "loss"} <= set(rows[0])
    saved = load_encoder(tmp_path / "encoder.safetensors")
    frame = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        wanted = encoder.frame_features(frame).feature
        assert torch.equal(saved.eval().frame_features(frame).feature, wanted)
    with safe_open(tmp_path / "encoder.safetensors", "pt") as file:
        about = file.metadata()
    assert about["task"] == "super-resolution" and about["kimg"] == "0.008"
    assert not (tmp_path / "generator.safetensors").exists(), "it stays as it was"
    assert [kimg for kimg, _ in previews(tmp_path)] == [0.006, 0.008]
    before = face_generator().state_dict()
    assert all(torch.equal(v, before[k]) for k, v in generator.state_dict().items())
    assert not encoder.training and not any(p.requires_grad for p in encoder.parameters())


def test_a_generator_that_learns_is_written_too(tmp_path: Path) -> None:
    settings = config("video-toonify", train_from=16)
    _, generator = train("video-toonify", tmp_path, settings)
    saved, before = load_generator(tmp_path / "generator.safetensors"), face_generator()
    for name, value in saved.state_dict().items():
        assert torch.equal(value, generator.state_dict()[name]), name
    assert torch.equal(saved.conv1.weight, before.conv1.weight)
    assert not torch.equal(saved.blocks[1].conv.weight, before.blocks[1].conv.weight)
    assert not load_encoder(tmp_path / "encoder.safetensors").heads


@pytest.mark.parametrize(
    "name", [pytest.param("inversion", marks=pytest.mark.slow), "video-edit", "video-toonify"]
)
def test_resumption_is_exact(name: str, tmp_path: Path) -> None:
    settings = config(name, train_from=32 if name.startswith("video") else None)
    whole, _ = train(name, tmp_path / "whole", settings)

    class Killed(Exception):
        pass

    def kill(row: dict[str, float]) -> None:
        if row["step"] == 3:  # a step after the snapshot
            raise Killed

    out = tmp_path / "cut"
    with pytest.raises(Killed):
        train(name, out, settings, progress=kill)
    state = torch.load(out / "snapshot.pt", weights_only=True)
    assert state["step"] == 2 and state["task"] == name
    torch.manual_seed(99)
    resumed, _ = train(name, out, settings, seed=6, resume=True)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    files = ["encoder", "generator"] if settings.train_from else ["encoder"]
    for file in files:
        found, wanted = (contents(p / f"{file}.safetensors") for p in (out, tmp_path / "whole"))
        assert found.keys() == wanted.keys()
        assert all(torch.equal(v, wanted[k]) for k, v in found.items()), file
    states = [torch.load(p / "snapshot.pt", weights_only=True) for p in (tmp_path / "whole", out)]
    for part in ("encoder", "base", "patches"):
        assert all(torch.equal(v, states[1][part][k]) for k, v in states[0][part].items()), part


def test_divergence_keeps_the_last_snapshot(tmp_path: Path) -> None:
    settings = config("video-toonify", steps=6, weights=PLAIN)
    with pytest.raises(Diverged, match=r"no longer finite at step 3.*snapshot\.pt is good"):
        train("video-toonify", tmp_path, settings, spoil=3)
    assert torch.load(tmp_path / "snapshot.pt", weights_only=True)["step"] == 2
    assert all(torch.isfinite(v).all() for v in contents(tmp_path / "encoder.safetensors").values())
    train("video-toonify", tmp_path, settings, resume=True)


def test_a_run_of_something_else_is_not_resumed(tmp_path: Path) -> None:
    short = {"steps": 1, "weights": PLAIN}
    train("inversion", tmp_path, config("inversion", **short))
    with pytest.raises(UsageError, match=r"already holds a run.*`resume`"):
        train("inversion", tmp_path, config("inversion", **short))
    for name, options in (
        ("sketch", {}),  # other weights
        ("super-resolution", {}),
        ("inversion", {"train_from": 32}),
    ):
        with pytest.raises(UsageError, match="of another run"):
            train(name, tmp_path, config(name, **short | options), resume=True)
    headless = tmp_path / "headless"
    train("video-toonify", headless, config("video-toonify", **short))
    with pytest.raises(UsageError, match="of another run"):
        train("video-toonify", headless, config("video-toonify", **short), heads=True, resume=True)
