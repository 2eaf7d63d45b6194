"""Image-space filtering, additive noise and cutout."""

from __future__ import annotations

import torch
from torch import Tensor

from toonify.training.augment.draws import Draws
from toonify.training.augment.resampling import band_filters, resample

# A natural image's power in the four bands, which falls with frequency.
_EXPECTED_POWER = torch.tensor([10.0, 1.0, 1.0, 1.0]) / 13
_NOISE = 0.1  # deviation of the noise's deviation
_CUTOUT = 0.5  # side of the square cut out, as a share of the image


def band_gains(draws: Draws) -> Tensor:
    """Amplification (B, 4) of each frequency band, keeping the expected power."""
    total = torch.ones(draws.count, 4)
    for band in range(4):
        gains = torch.ones(draws.count, 4)
        gains[:, band] = draws.gated(torch.exp2(draws.normal()), 1.0)
        power = (_EXPECTED_POWER * gains.square()).sum(dim=1, keepdim=True)
        total *= gains / power.sqrt()
    return total


def amplify(images: Tensor, gains: Tensor) -> Tensor:
    """Images (B, 3, S, S) with their frequency bands scaled by (B, 4)."""
    filters = band_filters(images.shape[-1], images.device)
    return resample(images, torch.tensordot(gains.to(images.device), filters, dims=1))


def add_noise(images: Tensor, draws: Draws) -> Tensor:
    """White RGB noise."""
    deviation = draws.gated(draws.normal(_NOISE).abs(), 0.0)
    noise = draws.field(*images.shape[1:])
    return images + noise * deviation.to(images.device)[:, None, None, None]


def cut_out(images: Tensor, draws: Draws) -> Tensor:
    """A square set to gray (0)."""
    half = draws.gated(torch.full((draws.count,), _CUTOUT / 2), 0.0)
    middle = torch.stack([draws.uniform(), draws.uniform()])
    size = images.shape[-1]
    places = (torch.arange(size) + 0.5) / size
    inside = (places - middle[..., None]).abs() < half[:, None]  # (2, B, S)
    hole = inside[0][:, None, :] & inside[1][:, :, None]
    return images * (~hole).to(images.device)[:, None]
