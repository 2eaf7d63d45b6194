"""The loop around a trainer, with one that only counts; `test_paired` has it with networks."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from toonify.errors import Diverged, InputError, UsageError
from toonify.training.core import pace
from toonify.training.core.loop import run_trainer
from toonify.training.core.runs import RunFolder, previews


class Counter:
    """Its loss is one over the step; a weight that is no longer finite from `broken` on."""

    def __init__(self, broken: int | None = None) -> None:
        self.step_count, self.broken = 0, broken

    @property
    def kimg(self) -> float:
        return self.step_count * 0.004

    def step(self) -> dict[str, Tensor]:
        self.step_count += 1
        return {"loss": torch.tensor(1 / self.step_count)}

    def finite(self) -> bool:
        return self.broken is None or self.step_count < self.broken

    def preview(self) -> Tensor:
        return torch.full((2, 3, 4, 4), self.step_count, dtype=torch.uint8)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step_count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step_count = state["step"]


def steps_of(folder: Path) -> list[int]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_what_is_written_when(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"kimg": 9, "step": 2250}\n')
    trainer, rows, kept = Counter(), [], []

    def keep() -> None:
        kept.append((trainer.step_count, (tmp_path / "snapshot.pt").exists()))

    options = {"log_every": 2, "progress": rows.append, "kept": keep}
    run_trainer(trainer, RunFolder(tmp_path), steps=7, snapshot=3, **options)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert rows[3]["loss"] == 0.25 and rows[3]["kimg"] == 0.016 and rows[3]["seconds"] >= 0
    assert steps_of(tmp_path) == [2, 4, 6], "an older run's lines are gone"
    assert kept == [(3, False), (6, True), (7, True)], "before each snapshot, and at the end"
    assert [kimg for kimg, _ in previews(tmp_path)] == [0.012, 0.024, 0.028]
    assert torch.load(tmp_path / "snapshot.pt", weights_only=True) == {"step": 7}
    run_trainer(trainer, RunFolder(tmp_path), steps=7, snapshot=3, resume=True, **options)
    assert len(rows) == 7 and len(kept) == 3, "there is nothing left to do"


def test_what_can_not_be_kept_leaves_the_snapshot_before(tmp_path: Path) -> None:
    trainer = Counter()

    def keep() -> None:
        if trainer.step_count == 4:
            raise InputError("the disk is full")

    with pytest.raises(InputError, match="disk is full"):
        run_trainer(trainer, RunFolder(tmp_path), steps=6, snapshot=2, kept=keep)
    assert torch.load(tmp_path / "snapshot.pt", weights_only=True) == {"step": 2}
    assert [kimg for kimg, _ in previews(tmp_path)] == [0.008]


def test_a_killed_runs_last_lines_are_written_once(tmp_path: Path) -> None:
    def kill(row: dict[str, float]) -> None:
        if row["step"] == 5:
            raise RuntimeError("killed")

    options = {"steps": 6, "snapshot": 3, "log_every": 1}
    with pytest.raises(RuntimeError, match="killed"):
        run_trainer(Counter(), RunFolder(tmp_path), progress=kill, **options)
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5]
    run_trainer(Counter(), RunFolder(tmp_path), resume=True, **options)
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_to_resume_where_nothing_is_begins(tmp_path: Path) -> None:
    run_trainer(Counter(), RunFolder(tmp_path), steps=2, snapshot=2, resume=True)
    assert torch.load(tmp_path / "snapshot.pt", weights_only=True) == {"step": 2}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_at_a_snapshot_it_is_written_once(tmp_path: Path, number: int) -> None:
    kept: list[int] = []
    trainer = Counter()

    def press(row: dict[str, float]) -> None:
        if row["step"] == 2:
            os.kill(os.getpid(), number)

    options = {"progress": press, "kept": lambda: kept.append(trainer.step_count)}
    with pytest.raises(KeyboardInterrupt):
        run_trainer(trainer, RunFolder(tmp_path), steps=9, snapshot=2, **options)
    assert kept == [2] and trainer.step_count == 2


def test_broken_weights_are_not_kept(tmp_path: Path) -> None:
    kept: list[int] = []
    trainer = Counter(broken=3)
    with pytest.raises(Diverged, match=r"at step 4\. Lower the learning rate and resume: .* good"):
        run_trainer(
            trainer,
            RunFolder(tmp_path),
            steps=9,
            snapshot=2,
            kept=lambda: kept.append(trainer.step_count),
        )
    assert kept == [2]
    with pytest.raises(UsageError, match="already holds a run"):
        run_trainer(Counter(), RunFolder(tmp_path), steps=9, snapshot=2)


def test_the_last_previews_models_are_kept(tmp_path: Path) -> None:
    trainer = Counter()

    def write(path: Path) -> None:
        path.write_text(str(trainer.step_count))

    other_file = tmp_path / "model-of-mine.safetensors"
    other_file.write_text("mine")
    options = {"keep": 2, "model": "model.safetensors", "write": write}
    run_trainer(trainer, RunFolder(tmp_path), steps=8, snapshot=2, **options)
    kept = sorted(tmp_path.glob("model-0*"))
    assert [path.read_text() for path in kept] == ["6", "8"] and other_file.exists()
    assert {path.stem.partition("-")[2] for path in kept} <= {
        path.stem.partition("-")[2] for _, path in previews(tmp_path)
    }


def test_snapshots_are_kept_where_there_is_no_model_yet(tmp_path: Path) -> None:
    run_trainer(Counter(), RunFolder(tmp_path), steps=6, snapshot=2, keep=5)
    kept = sorted(tmp_path.glob("snapshot-*.pt"))
    assert [torch.load(path)["step"] for path in kept] == [2, 4, 6]


class Slow(Counter):
    """Takes a second a step, three every fourth one, ten to begin with, and five for a preview."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__()
        self.clock, self.begun = clock, False

    def step(self) -> dict[str, Tensor]:
        losses = super().step()
        self.clock[0] += 1 if self.step_count % 4 else 3
        self.clock[0] += 0 if self.begun else 9
        self.begun = True
        return losses

    def preview(self) -> Tensor:
        self.clock[0] += 5
        return super().preview()


@pytest.mark.parametrize("resumed", [False, True])
def test_the_time_left_is_what_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: bool
) -> None:
    clock, announced = [0.0], {}
    monkeypatch.setattr(pace.time, "monotonic", lambda: clock[0])

    def note(row: dict[str, float]) -> None:
        announced[int(row["step"])] = (clock[0], row["seconds_left"])

    if resumed:
        run_trainer(Slow(clock), RunFolder(tmp_path), steps=60, snapshot=20)
        clock[0] += 1000
    options = {"steps": 200, "snapshot": 20, "resume": resumed, "progress": note}
    run_trainer(Slow(clock), RunFolder(tmp_path), **options)
    for step, (now, left) in announced.items():
        if step - min(announced) > 24:  # a snapshot has been seen, and the slower steps
            assert abs(now + left - clock[0]) <= max(0.05 * left, 3), step
    assert announced[200][1] == 5, "of the last snapshot"
