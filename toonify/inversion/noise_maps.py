"""Noise maps fitted together with latents, kept white (StyleGAN2's projector, arXiv 1912.04958)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from toonify.models.base import Generator


class NoiseMaps:
    """Unit noise maps of a batch that stand in for the generator's constant ones.

    Args:
        batch: maps of each kind.
        shapes: buffer's name → height and width of its map where they are not the stored one's;
            such a map starts from fresh noise.
        seed: of that noise.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        batch: int = 1,
        shapes: Mapping[str, tuple[int, int]] | None = None,
        seed: int = 0,
    ) -> None:
        self.maps: dict[str, Tensor] = {}
        self._original: dict[str, tuple[Tensor, Tensor]] = {}
        random = torch.Generator().manual_seed(seed)
        for name, stored in generator.named_buffers():
            if stored.ndim != 4 or "noise" not in name.rpartition(".")[2] or stored.std() == 0:
                continue
            mean, deviation = stored.mean(), stored.std()
            self._original[name] = (mean, deviation)
            if shapes is not None and shapes[name] != stored.shape[2:]:
                unit = torch.randn(batch, 1, *shapes[name], generator=random).to(stored)
            else:
                unit = ((stored - mean) / deviation).repeat(batch, 1, 1, 1)
            self.maps[name] = unit.requires_grad_()

    def scaled(self) -> dict[str, Tensor]:
        """Name → map with the stored one's mean and deviation, for `functional_call`."""
        return {
            name: mean + deviation * self.maps[name]
            for name, (mean, deviation) in self._original.items()
        }

    def penalty(self) -> Tensor:
        """Autocorrelation of neighbors at every scale down to 8×8, summed → (B,)."""
        total = torch.zeros(1)
        for unit in self.maps.values():
            noise = unit
            while True:
                for axis in (2, 3):
                    product = noise * noise.roll(1, dims=axis)
                    total = total.to(noise.device) + product.mean(dim=(1, 2, 3)).square()
                if min(noise.shape[2:]) <= 8:
                    break
                noise = F.avg_pool2d(noise, 2) * 2  # a mean of four, at unit variance again
        return total

    @torch.no_grad()
    def normalize(self) -> None:
        for unit in self.maps.values():
            unit -= unit.mean(dim=(2, 3), keepdim=True)
            unit *= unit.square().mean(dim=(2, 3), keepdim=True).add(1e-8).rsqrt()
