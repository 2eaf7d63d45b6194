"""Random numbers of a batch's samples."""

from __future__ import annotations

import torch
from torch import Tensor

from toonify.training.core.distributed import World


class Draws:
    """One random number a sample, each process getting those of its own samples.

    Args:
        random: source of the numbers, on the CPU.
        noise_rng: source of whole images of numbers, on the images' device.
        p: probability of each transformation.
        count: samples in this process.
    """

    def __init__(
        self,
        random: torch.Generator,
        noise_rng: torch.Generator,
        world: World,
        p: float,
        count: int,
    ) -> None:
        self.random, self.noise_rng, self.world, self.p = random, noise_rng, world, p
        self.count, self.whole = count, count * world.size

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """(B,) of [low, high)."""
        drawn = torch.rand(self.whole, generator=self.random) * (high - low) + low
        return self.world.share(drawn)

    def normal(self, deviation: float = 1.0) -> Tensor:
        """(B,) of mean 0."""
        return self.world.share(torch.randn(self.whole, generator=self.random)) * deviation

    def chosen(self, p: float | None = None) -> Tensor:
        """(B,) bool, true with probability p (the pipeline's when None)."""
        return self.uniform() < (self.p if p is None else p)

    def gated(self, values: Tensor, neutral: float, p: float | None = None) -> Tensor:
        """`values` with probability p, `neutral` otherwise, independently a sample."""
        return torch.where(self.chosen(p), values, torch.full_like(values, neutral))

    def field(self, *shape: int) -> Tensor:
        """(B, *shape) standard normal, on the images' device."""
        drawn = torch.randn(
            self.whole, *shape, generator=self.noise_rng, device=self.noise_rng.device
        )
        return self.world.share(drawn)
