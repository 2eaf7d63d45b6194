"""The smallest family of generators there can be, as somebody adds one."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from toonify.models import registry
from toonify.models.base import Generator, LayerInfo, Noise


class ToyGenerator(Generator):
    """Blocks of color, from one layer of 4×4 and one of tRGB."""

    def __init__(self, *, resolution: int, w_dim: int = 8) -> None:
        super().__init__()
        self.resolution, self.w_dim, self.z_dim, self.num_ws = resolution, w_dim, w_dim, 2
        self.layers = (LayerInfo("grid", 4, 0, "conv", 16), LayerInfo("ink", 4, 1, "rgb", 3))
        self.grid, self.ink = nn.Linear(w_dim, 16), nn.Linear(w_dim, 3)
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def mapping(self, z: Tensor, *, truncation_psi: float = 1.0) -> Tensor:
        return self.w_avg.lerp(z, truncation_psi)

    def styles(self, w_plus: Tensor) -> list[Tensor]:
        return [self.grid(w_plus[:, 0]), self.ink(w_plus[:, 1])]

    def synthesize(self, styles: Sequence[Tensor], *, noise: Noise = "const") -> Tensor:
        grid, ink = styles
        image = (ink[:, :, None] * grid[:, None]).tanh().reshape(-1, 3, 4, 4)
        return nn.functional.interpolate(image, (self.resolution,) * 2)

    def config(self) -> dict[str, Any]:
        return {"architecture": "toy", "resolution": self.resolution, "w_dim": self.w_dim}


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line in the registry, until the test ends."""
    toy = registry.Architecture("generator", ToyGenerator)
    monkeypatch.setitem(registry.ARCHITECTURES, "toy", toy)
