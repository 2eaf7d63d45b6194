"""What an exact resumption needs of a trainer, gathered and put back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from toonify.training.core.loop import same_batches
from toonify.training.core.optim import descend
from toonify.training.core.schedule import ema_decay, update_ema

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class TrainingConfig(DataclassInstance, Protocol):
        """A trainer's options, a frozen dataclass."""

        @property
        def batch_size(self) -> int: ...


Config = TypeVar("Config", bound="TrainingConfig")
Network = TypeVar("Network", bound=nn.Module)
Random = TypeVar("Random", torch.Generator, np.random.Generator)


class Stateful(Protocol):
    """A network or an optimizer."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


Parts = Mapping[str, Stateful | torch.Generator | np.random.Generator]


def states_of(parts: Parts) -> dict[str, Any]:
    """The state of each part, random generators' too, as a snapshot stores them."""

    def state(part: Stateful | torch.Generator | np.random.Generator) -> Any:
        if isinstance(part, torch.Generator):
            return part.get_state()
        if isinstance(part, np.random.Generator):
            return part.bit_generator.state
        return part.state_dict()

    return {name: state(part) for name, part in parts.items()}


def restore(parts: Parts, states: Mapping[str, Any]) -> None:
    """Put back what `states_of` gathered.

    Raises:
        KeyError, RuntimeError, ValueError: a state is missing, or is of another part.
    """
    for name, part in parts.items():
        if isinstance(part, torch.Generator):
            part.set_state(states[name])
        elif isinstance(part, np.random.Generator):
            part.bit_generator.state = states[name]
        else:
            part.load_state_dict(states[name])


class ResumableTrainer(Generic[Config]):
    """Base of trainers that take one batch of `config.batch_size` a step.

    A subclass names its `parts`; `step`, `finite` and `preview` of
    `toonify.training.core.loop.Trainer` remain to be written.

    Attributes:
        config: options.
        step_count: steps done.
    """

    config: Config
    step_count: int = 0

    @property
    def kimg(self) -> float:
        """Thousand images learnt from."""
        return self.step_count * self.config.batch_size / 1000

    def parts(self) -> Parts:
        """Networks, optimizers and random generators, by their names in the snapshot."""
        raise NotImplementedError

    def must_match(self) -> dict[str, Any]:
        """What a run to resume must have in common with this one, besides its batches."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything that an exact resumption needs."""
        return {
            **states_of(self.parts()),
            **self.must_match(),
            "step": self.step_count,
            "config": asdict(self.config),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            KeyError, RuntimeError, ValueError: the state is of another run.
            UsageError: its batches are of another size.
        """
        for name, own in self.must_match().items():
            if state[name] != own:
                raise ValueError(f"the run to resume has another {name}")
        same_batches(state["config"], self.config.batch_size)
        restore(self.parts(), state)
        self.step_count = state["step"]


class AveragingTrainer(ResumableTrainer[Config], Generic[Config, Network, Random]):
    """Base of trainers of one network and its running average.

    Attributes:
        network: in training.
        average: its running average, for use.
        optimizer: of the network.
        random: what batches are drawn by.
    """

    network: Network
    average: Network
    optimizer: torch.optim.Optimizer
    random: Random

    def begin(self, network: Network, lr: float) -> None:
        """Take a network into training, beside a copy as its average, by AdamW at rate `lr`."""
        self.network = network.train().requires_grad_(True)
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=1e-3
        )

    def parts(self) -> Parts:
        return {
            "network": self.network,
            "average": self.average,
            "optimizer": self.optimizer,
            "random": self.random,
        }

    def learn(
        self, losses: Mapping[str, Tensor], weights: object, *, decay: float
    ) -> dict[str, Tensor]:
        """Descend the losses, and let the average follow; nothing changes where they aren't finite.

        Args:
            losses: scalars, by name.
            weights: has a weight for each, an attribute of its name.
            decay: of the average.

        Returns:
            The losses, and "loss", which was descended.
        """
        loss = torch.stack([getattr(weights, name) * value for name, value in losses.items()]).sum()
        metrics = {name: value.detach() for name, value in losses.items()} | {"loss": loss.detach()}
        if descend(loss, self.optimizer, self.network.parameters(), most=1.0):
            self.step_count += 1
            update_ema(
                dict(self.average.named_parameters()),
                dict(self.network.named_parameters()),
                ema_decay(self.step_count, decay),
            )
        return metrics

    def finite(self) -> bool:
        """Whether every weight of the network is."""
        return all(bool(p.isfinite().all()) for p in self.network.parameters())
