"""Distilling: the student's W is the teacher's, and it learns what the teacher renders."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.training.tiny_training import FAMILIES, PixelDistance, tiny_generator
from toonify.errors import Diverged, UsageError
from toonify.models.base import Generator
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.training.core.runs import previews
from toonify.training.data.latent_samples import LatentSamples
from toonify.training.distillation import distill as module
from toonify.training.distillation.distill import (
    DistillConfig,
    DistillTrainer,
    check_student,
    distill,
    new_student,
    partial_loss,
)
from toonify.training.encoders.data import FreshSamples, StoredSamples

SMALL = {"resolution": 32, "channel_base": 256, "channel_max": 16}


class Pictures:
    """Pairs of a teacher, and whether they are spoilt after some."""

    def __init__(self, teacher, *, size: int = 32, spoil: int | None = None) -> None:
        self.pairs = FreshSamples(teacher, held_out=3, size=size, bfloat16=False)
        self.spoil, self.draws = spoil, 0

    def draw(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        self.draws += 1
        w_plus, images = self.pairs.draw(count, random)
        spoilt = self.spoil is not None and self.draws > self.spoil
        return w_plus, images * float("nan") if spoilt else images

    def held_out(self) -> tuple[Tensor, Tensor]:
        return self.pairs.held_out()


def config(**options) -> DistillConfig:
    standard = {
        "steps": 6,
        "batch_size": 2,
        "coarse_batch": 4,
        "coarse_share": 0.5,
        "lr": 1e-2,
        "perceptual_size": 16,
        "snapshot": 4,
    }
    return DistillConfig(**(standard | options))


@pytest.fixture
def coarse_to_8(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first part that a 32×32 student has too."""
    monkeypatch.setattr(module, "COARSE", 8)


def train(student, pairs, folder: Path, settings: DistillConfig, **options):
    return distill(student, pairs, folder, settings, perceptual=PixelDistance(), **options)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_students_w_is_its_teachers(family: str) -> None:
    teacher = tiny_generator(family)
    if family == "mobile":
        for layer in teacher.mapping_net:
            torch.nn.init.normal_(layer.bias, std=0.1)
    student = new_student(teacher, **SMALL)
    z = torch.randn(16, 16)
    torch.testing.assert_close(student.mapping(z), teacher.mapping(z), atol=1e-6, rtol=1e-5)
    assert torch.equal(student.w_avg, teacher.w_avg)
    assert student.num_ws == teacher.num_ws == 8
    assert student.channels == {4: 16, 8: 16, 16: 16, 32: 8}


def test_a_student_may_be_smaller_and_its_weights_come_from_the_seed() -> None:
    teacher = tiny_generator("mobile")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = new_student(teacher, **SMALL | {"resolution": 16})
    assert torch.equal(torch.get_rng_state(), before), "nobody else's random numbers are used up"
    torch.manual_seed(6)
    again = new_student(teacher, **SMALL | {"resolution": 16})
    other = new_student(teacher, **SMALL | {"resolution": 16}, seed=1)
    assert first.num_ws == 6
    assert torch.equal(first.const, again.const) and not torch.equal(first.const, other.const)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"resolution": 64}, r"32x32 can't teach 64.*`resolution`"),
        ({"resolution": 24}, r"24.*power of two"),
        ({"resolution": 4}, r"4.*power of two"),
        ({"channel_base": 16}, "channel"),
    ],
)
def test_students_that_can_not_be(options: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        new_student(tiny_generator("mobile"), **SMALL | options)


def test_who_can_learn_further() -> None:
    teacher = tiny_generator("mobile")
    student = new_student(teacher, **SMALL)
    assert check_student(student, teacher) is student
    with pytest.raises(UsageError, match=r"MobileGenerator is not of StyleGAN2's layout.*`start`"):
        check_student(teacher, teacher)
    shape = {"channels": {4: 8, 8: 8, 16: 8, 32: 8}, "mapping_layers": 1}
    narrow = StyleGAN2Generator(resolution=32, w_dim=8, z_dim=8, **shape)
    with pytest.raises(UsageError, match=r"32x32 from 8 numbers, its teacher 32x32 from 16"):
        check_student(narrow, teacher)
    shape["channels"] = shape["channels"] | {64: 8}
    large = StyleGAN2Generator(resolution=64, w_dim=16, z_dim=16, **shape)
    with pytest.raises(UsageError, match="renders 64x64"):
        check_student(large, teacher)
    other = new_student(teacher, **SMALL)
    other.w_avg += 0.1
    with pytest.raises(UsageError, match="their mapping networks differ"):
        check_student(other, teacher)


@pytest.mark.parametrize("name", ["steps", "batch_size", "coarse_batch", "lr", "snapshot"])
def test_options_are_positive(name: str) -> None:
    with pytest.raises(UsageError, match=f"`{name}` must be positive, not 0"):
        config(**{name: 0})


def test_partial_pictures_are_compared_at_their_size() -> None:
    targets = torch.rand(2, 3, 16, 16)
    small = [F.adaptive_avg_pool2d(targets, size) for size in (4, 8)]
    assert partial_loss(small, targets) < 1e-6
    moved = [small[0] + 0.2, small[1] - 0.4]
    torch.testing.assert_close(partial_loss(moved, targets), torch.tensor(0.3))


@pytest.mark.usefixtures("coarse_to_8")
def test_it_learns_what_the_teacher_renders(tmp_path: Path) -> None:
    teacher = tiny_generator("mobile")
    student, pairs, rows = new_student(teacher, **SMALL), Pictures(teacher), []
    fresh = new_student(teacher, **SMALL)
    mapper = {k: v.clone() for k, v in student.mapper.state_dict().items()}
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    settings = config(steps=60, coarse_share=0.3, snapshot=60, batch_size=4, lr=3e-2, sharpen=0)
    average = train(student, pairs, tmp_path, settings, progress=rows.append)
    assert [row["step"] for row in rows] == list(range(1, 61))
    w_plus, targets = pairs.held_out()

    def error(network: StyleGAN2Generator) -> float:
        with torch.no_grad():
            return float((network(w_plus) - targets).abs().mean())

    assert error(average) < 0.8 * error(fresh), "faces that it never saw"
    # a coarse step sees more faces, at 8×8
    coarse, fine = rows[:18], rows[18:]
    assert rows[17]["kimg"] == pytest.approx(18 * 4 / 1000)
    assert rows[-1]["kimg"] == pytest.approx((18 * 4 + 42 * 4) / 1000)
    for part in (coarse, fine):
        third = len(part) // 3
        assert np.mean([r["loss"] for r in part[-third:]]) < 0.9 * np.mean(
            [r["loss"] for r in part[:third]]
        )
    assert {"pixels", "edges", "lpips", "partial", "loss", "seconds"} <= set(rows[0])
    assert not {"patches", "loss_d"} & set(rows[-1])
    # W is the teacher's still, and the teacher is as it was
    assert all(torch.equal(v, mapper[k]) for k, v in average.mapper.state_dict().items())
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())
    assert not average.training and not any(p.requires_grad for p in average.parameters())


@pytest.mark.usefixtures("coarse_to_8")
def test_coarse_steps_train_coarse_layers_alone() -> None:
    teacher = tiny_generator("mobile")
    trainer = DistillTrainer(
        config(), new_student(teacher, **SMALL), Pictures(teacher), PixelDistance()
    )
    before = {k: v.clone() for k, v in trainer.student.named_parameters()}
    trainer.step()
    for name, value in trainer.student.named_parameters():
        if name.startswith(("blocks.1", "blocks.2", "mapper")):
            assert torch.equal(value, before[name]), name
        elif not name.endswith("noise_strength"):
            assert not torch.equal(value, before[name]), name
    trainer.step_count = 3
    trainer.step()
    changed = trainer.student.blocks[2].conv.weight
    assert not torch.equal(changed, before["blocks.2.conv.weight"])


def test_a_small_student_has_no_coarse_part(tmp_path: Path) -> None:
    teacher, rows = tiny_generator("stylegan2"), []
    student = new_student(teacher, **SMALL)
    before = student.blocks[2].conv.weight.detach().clone()
    train(student, Pictures(teacher), tmp_path, config(steps=1), progress=rows.append)
    assert not torch.equal(student.blocks[2].conv.weight, before)


def test_the_patch_discriminator_comes_last(tmp_path: Path) -> None:
    teacher, rows = tiny_generator("mobile"), []
    settings = config(steps=6, coarse_share=0.0, sharpen=0.5, sharpen_share=0.5)
    student = new_student(teacher, **SMALL)
    train(student, Pictures(teacher), tmp_path, settings, progress=rows.append)
    assert ["loss_d" in row for row in rows] == [False] * 3 + [True] * 3
    plain = ("pixels", "edges", "lpips", "partial")
    assert rows[3]["loss"] == pytest.approx(sum(rows[3][k] for k in plain)), "no say at first"
    more = 0.5 * (2 / 200) * (rows[5]["patches"] + 4 * rows[5]["matching"])
    assert rows[5]["loss"] == pytest.approx(sum(rows[5][k] for k in plain) + more, rel=1e-4)
    assert rows[5]["loss_d"] != rows[3]["loss_d"]


@pytest.mark.usefixtures("coarse_to_8")
@pytest.mark.parametrize("family", FAMILIES)
def test_resumption_is_exact(family: str, tmp_path: Path) -> None:
    teacher = tiny_generator(family)
    settings = config(sharpen=0.2, sharpen_share=0.5, snapshot=2)
    whole = train(new_student(teacher, **SMALL), Pictures(teacher), tmp_path / "whole", settings)

    def press(row: dict[str, float]) -> None:
        if row["step"] == 5:
            os.kill(os.getpid(), signal.SIGINT)

    class Killed(Exception):
        pass

    def kill(row: dict[str, float]) -> None:
        if row["step"] == 3:  # one step after the snapshot, within the coarse part
            raise Killed

    out = tmp_path / "cut"
    with pytest.raises(Killed):
        train(new_student(teacher, **SMALL), Pictures(teacher), out, settings, progress=kill)
    options = {"resume": True, "progress": press}
    torch.manual_seed(99)
    with pytest.raises(KeyboardInterrupt):
        train(new_student(teacher, **SMALL, seed=7), Pictures(teacher), out, settings, **options)
    assert torch.load(out / "snapshot.pt", weights_only=True)["step"] == 5
    student = new_student(teacher, **SMALL, seed=8)
    resumed = train(student, Pictures(teacher), out, settings, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    states = [torch.load(p / "snapshot.pt", weights_only=True) for p in (tmp_path / "whole", out)]
    for part in ("student", "patches"):
        for name, value in states[0][part].items():
            assert torch.equal(value, states[1][part][name]), name


def test_metrics_and_previews(tmp_path: Path) -> None:
    teacher = tiny_generator("mobile")
    settings = config(steps=10, coarse_share=0.0, snapshot=5)
    train(new_student(teacher, **SMALL), Pictures(teacher), tmp_path, settings)
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 10 and json.loads(line)["kimg"] == 0.02
    assert [kimg for kimg, _ in previews(tmp_path)] == [0.01, 0.02]


def test_a_preview_has_the_teachers_pictures_at_the_left() -> None:
    teacher = tiny_generator("mobile")
    student = new_student(teacher, **SMALL | {"resolution": 16})
    trainer = DistillTrainer(config(), student, Pictures(teacher), PixelDistance())
    picture = trainer.preview()
    assert picture.shape == (3, 3, 16, 32) and picture.dtype == torch.uint8
    _, targets = trainer.pairs.held_out()
    wanted = F.interpolate(targets, size=(16, 16), mode="area").clamp(-1, 1) * 127.5 + 127.5
    assert (picture[..., :16].float() - wanted).abs().max() <= 1


def test_pairs_smaller_than_the_student_are_refused(tmp_path: Path) -> None:
    teacher = tiny_generator("mobile")
    images = np.zeros((8, 16, 16, 3), np.uint8)
    pairs = StoredSamples(LatentSamples(torch.randn(8, 16), images, num_ws=8), held_out=2)
    with pytest.raises(UsageError, match=r"16x16.*32x32"):
        train(new_student(teacher, **SMALL), pairs, tmp_path / "run", config())
    larger = StoredSamples(
        LatentSamples(torch.randn(8, 16), np.zeros((8, 48, 48, 3), np.uint8), num_ws=8), held_out=2
    )
    train(new_student(teacher, **SMALL), larger, tmp_path / "run", config(steps=1))


def test_divergence_keeps_the_last_snapshot(tmp_path: Path) -> None:
    teacher = tiny_generator("mobile")
    spoilt = Pictures(teacher, spoil=5)
    with pytest.raises(Diverged, match=r"no longer finite at step 5.*snapshot\.pt is good"):
        train(new_student(teacher, **SMALL), spoilt, tmp_path, config(steps=8))
    state = torch.load(tmp_path / "snapshot.pt", weights_only=True)
    assert state["step"] == 4
    assert all(torch.isfinite(v).all() for v in state["average"].values())
    train(new_student(teacher, **SMALL), Pictures(teacher), tmp_path, config(steps=8), resume=True)


def test_a_run_of_something_else_is_not_resumed(tmp_path: Path) -> None:
    teacher = tiny_generator("mobile")
    train(new_student(teacher, **SMALL), Pictures(teacher), tmp_path, config(steps=1))
    with pytest.raises(UsageError, match=r"already holds a run.*`resume`"):
        train(new_student(teacher, **SMALL), Pictures(teacher), tmp_path, config(steps=1))
    wide = new_student(teacher, **SMALL | {"channel_max": 8})
    with pytest.raises(UsageError, match="of another run"):
        train(wide, Pictures(teacher), tmp_path, config(steps=2), resume=True)


def test_a_generator_of_no_known_kind_is_refused() -> None:
    class Other(MobileGenerator):
        pass

    other = Other(resolution=32, channels=(16, 16, 16), w_dim=16)
    assert new_student(other, **SMALL).num_ws == 8, "a kind of its family is fine"
    wrong = Generator()
    wrong.resolution, wrong.w_dim = 32, 16
    with pytest.raises(UsageError, match="Generator can't be distilled"):
        new_student(wrong, **SMALL)  # type: ignore[arg-type]
