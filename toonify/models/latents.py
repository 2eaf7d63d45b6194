"""Statistics of a generator's latents."""

from __future__ import annotations

import torch
from torch import Tensor

from toonify.models.base import Generator


@torch.no_grad()
def w_deviation(generator: Generator, *, samples: int = 1024, seed: int = 0) -> Tensor:
    """Standard deviation (w_dim,) of each number of the mapped latents w."""
    z = torch.randn(samples, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    return generator.mapping(z.to(generator.w_avg.device)).std(dim=0)
