"""Trainers' states, gathered from their parts and put back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from toonify.errors import UsageError
from toonify.training.core.resumption import Parts, ResumableTrainer


@dataclass(frozen=True)
class Config:
    batch_size: int = 2


class Line(ResumableTrainer[Config]):
    """Fits a line to random points."""

    def __init__(self, *, width: int = 1, batch_size: int = 2) -> None:
        self.config = Config(batch_size)
        self.network = nn.Linear(width, 1)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.1)
        self.random = torch.Generator().manual_seed(3)

    def parts(self) -> Parts:
        return {"network": self.network, "optimizer": self.optimizer, "random": self.random}

    def must_match(self) -> dict[str, Any]:
        return {"width": self.network.in_features}

    def step(self) -> None:
        x = torch.rand(self.config.batch_size, self.network.in_features, generator=self.random)
        self.optimizer.zero_grad()
        (self.network(x) - x).square().mean().backward()
        self.optimizer.step()
        self.step_count += 1


def test_a_resumed_trainer_goes_on_as_the_uninterrupted_one(tmp_path) -> None:
    whole = Line()
    for _ in range(3):
        whole.step()
    torch.save(whole.state_dict(), tmp_path / "snapshot.pt")
    resumed = Line()
    resumed.load_state_dict(torch.load(tmp_path / "snapshot.pt", weights_only=True))
    assert (resumed.step_count, resumed.kimg) == (3, 0.006)
    for trainer in (whole, resumed):
        trainer.step()
    for ours, theirs in zip(resumed.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_another_run_is_refused() -> None:
    state = Line().state_dict()
    with pytest.raises(ValueError, match="another width"):
        Line(width=2).load_state_dict(state)
    with pytest.raises(UsageError, match="batches of 2, not 5"):
        Line(batch_size=5).load_state_dict(state)
    del state["optimizer"]
    with pytest.raises(KeyError):
        Line().load_state_dict(state)
