"""What networks of style transfer take of a style, and its mixture with others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LARGE = 40  # the short side over the blur that parts colors from textures
LEAST_VARIANCE = 1e-4  # of colors in [0, 1]


@dataclass(frozen=True)
class StyleStatistics:
    """What is taken of a style.

    Attributes:
        features: mean and deviation (1, C, 1, 1) of each level.
        color_mean: (3, 1) in [0, 1].
        color_covariance: (3, 3).
    """

    features: tuple[tuple[Tensor, Tensor], ...]
    color_mean: Tensor
    color_covariance: Tensor


def mixed_statistics(styles: Sequence[StyleStatistics], shares: Sequence[float]) -> StyleStatistics:
    """Several styles at once; shares are taken as parts of their sum."""
    total = sum(shares)
    parts = [share / total for share in shares]

    def mean(values: Sequence[Tensor]) -> Tensor:
        return torch.stack([part * value for part, value in zip(parts, values, strict=True)]).sum(0)

    levels = range(len(styles[0].features))
    return StyleStatistics(
        tuple(
            (mean([s.features[k][0] for s in styles]), mean([s.features[k][1] for s in styles]))
            for k in levels
        ),
        mean([s.color_mean for s in styles]),
        mean([s.color_covariance for s in styles]),
    )


def color_statistics(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (3, 1) and covariance (3, 3) of the colors of (1, 3, H, W)."""
    flat = image[0].flatten(1)
    mean = flat.mean(dim=1, keepdim=True)
    centered = flat - mean
    return mean, centered @ centered.T / flat.shape[1]


def recolored(image: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """(1, 3, H, W) with this mean and covariance of colors, moved as little as possible.

    The linear map is the optimal transport between Gaussians (Pitié & Kokaram, 2007).
    """
    own_mean, own = color_statistics(image)
    eye = LEAST_VARIANCE * torch.eye(3, dtype=image.dtype, device=image.device)
    root = _power(own + eye, 0.5)
    inverse = _power(own + eye, -0.5)
    move = inverse @ _power(root @ (covariance + eye) @ root, 0.5) @ inverse
    return (move @ (image[0].flatten(1) - own_mean) + mean).view_as(image)


def _power(matrix: Tensor, power: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(1e-12).pow(power)) @ vectors.T


def large(image: Tensor) -> Tensor:
    """What varies slowly over (1, C, H, W): a fortieth of the short side, Gaussian-like."""
    height, width = image.shape[2:]
    size = max(1, round(min(height, width) / LARGE))
    radius = min(size, (height - 1) // 2, (width - 1) // 2)
    for _ in range(3):  # three boxes come near a Gaussian
        padded = F.pad(image, (radius,) * 4, mode="reflect") if radius else image
        image = F.avg_pool2d(padded, 2 * radius + 1, stride=1)
    return image
