"""Teaching StyleGAN2's layers a compact generator's features, under its own later layers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.training.tiny_training import smooth_teacher, tiny_generator
from toonify.errors import Diverged, UsageError
from toonify.models.generators.hybrid import HybridGenerator
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.core.runs import RunFolder, previews
from toonify.training.distillation import least_squares_init
from toonify.training.distillation.feature_distillation import (
    FeatureDistillConfig,
    FeatureDistillTrainer,
    check_hybrid,
    distill_features,
    new_hybrid,
    perturbed_latents,
)


@pytest.fixture(autouse=True)
def few_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares_init, "SAMPLES", {4: 64, 8: 64, 16: 64, 32: 64})
    monkeypatch.setattr(least_squares_init, "PICTURES", 16)


def teacher(seed: int = 0) -> MobileGenerator:
    return smooth_teacher(128, [16, 16, 16, 16, 8], seed=seed)


def config(**options: object) -> FeatureDistillConfig:
    standard = {
        "steps": 6,
        "coarse_share": 0.5,
        "batch_size": 4,
        "coarse_batch": 8,
        "lr": 5e-3,
        "snapshot": 3,
        "bfloat16": False,
    }
    return FeatureDistillConfig(**(standard | options))  # type: ignore[arg-type]


@torch.no_grad()
def test_a_new_hybrid_has_the_teachers_w_and_later_layers():
    master = teacher()
    student = new_hybrid(master, width=8)
    z = torch.randn(3, 16)
    torch.testing.assert_close(student.mapping(z), master.mapping(z), atol=1e-5, rtol=1e-4)
    assert torch.equal(student.w_avg, master.w_avg)
    assert student.num_ws == master.num_ws and student.resolution == 128
    # given the teacher's features at 64, the picture is the teacher's
    w_plus = perturbed_latents(master, 2, torch.Generator().manual_seed(0))
    own, theirs = student.styles(w_plus), master.styles(w_plus)
    x = master.features(theirs, resolution=32)
    up, one, two = own[-4:-1]
    for block in student.deep:
        x = block.conv2(block.conv1(block.up(x, up), one, "const"), two, "const")
    torch.testing.assert_close(student.to_img(x, own[-1]), master(w_plus), atol=1e-5, rtol=1e-4)


def test_learning_brings_the_features_nearer(tmp_path: Path):
    master = teacher()
    student = new_hybrid(master, width=16)
    least_squares_init.init_least_squares(master, student)
    settings = config(steps=60, coarse_share=0.4, snapshot=60, lr=2e-2, batch_size=8)
    rows: list[dict[str, float]] = []
    average = distill_features(
        student, master, RunFolder(tmp_path / "run"), settings, progress=rows.append
    )
    assert set(rows[0]) >= {"missed8", "missed16", "loss"} and "missed32" not in rows[0]
    assert "missed32" in rows[-1]
    assert [round(rows[i]["kimg"] * 1000) for i in (0, 23, 24)] == [8, 192, 200]
    first, last = rows[24:30], rows[-6:]
    assert sum(r["missed32"] for r in last) < 0.8 * sum(r["missed32"] for r in first)
    logged = [json.loads(x) for x in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert logged[-1]["step"] == 60
    assert len(previews(tmp_path / "run")) == 1
    for name, value in average.state_dict().items():  # what is not to learn stays
        if name.startswith(("deep", "to_img", "mapper")):
            assert torch.equal(value, new_hybrid(master, width=16).state_dict()[name]), name


@pytest.mark.parametrize(
    "stop", [pytest.param(2, marks=pytest.mark.slow), 3, pytest.param(4, marks=pytest.mark.slow)]
)
def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path: Path, stop: int):
    master = teacher()

    def run(name: str, until: int, *, resume: bool = False) -> HybridGenerator:
        folder = RunFolder(tmp_path / name)
        trainer = FeatureDistillTrainer(config(), new_hybrid(master, width=8), master)
        state = folder.start(resume=resume)
        if state:
            trainer.load_state_dict(state)
        while trainer.step_count < until:
            trainer.step()
        folder.save(trainer.state_dict())
        return trainer.average

    whole = run("a", 6)
    run("b", stop)
    again = run("b", 6, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_another_teacher_of_the_same_w_can_take_over(tmp_path: Path):
    master, drawn = teacher(), teacher()
    with torch.no_grad():
        for block in list(drawn.blocks)[2:]:
            for parameter in block.parameters():
                parameter.mul_(1.1)
    student = new_hybrid(master, width=8)
    student.const.data.fill_(0.5)
    moved = check_hybrid(student, drawn)
    assert float(moved.const.detach().mean()) == 0.5
    assert torch.equal(moved.deep[0].conv2.pointwise, drawn.blocks[3].conv2.pointwise)
    with pytest.raises(UsageError, match="mapping networks differ"):
        check_hybrid(student, teacher(seed=1))
    with pytest.raises(UsageError, match="only a hybrid"):
        check_hybrid(master, master)


def test_teachers_that_have_nothing_to_keep():
    small = MobileGenerator(resolution=64, channels=[16, 16, 16, 16], w_dim=16)
    for other in (small, tiny_generator("stylegan2")):
        with pytest.raises(UsageError, match="128x128 or more"):
            new_hybrid(other)


def test_latents_are_of_one_face_of_two_or_a_little_off():
    master = teacher()
    w_plus = perturbed_latents(master, 30, torch.Generator().manual_seed(0))
    kinds = [len({tuple(row.tolist()) for row in latent}) for latent in w_plus]
    assert all(kind > 2 for kind in kinds[:10])
    assert set(kinds[10:]) == {1, 2}


def test_nan_weights_are_noticed(tmp_path: Path):
    master = teacher()
    student = new_hybrid(master, width=8)
    student.const.data.fill_(float("nan"))
    with pytest.raises(Diverged):
        distill_features(student, master, RunFolder(tmp_path / "run"), config())
    assert not (tmp_path / "run/snapshot.pt").exists()
