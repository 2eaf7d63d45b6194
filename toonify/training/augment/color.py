"""Color transformations, as one affine map of RGB a sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from toonify.training.augment.draws import Draws


@torch.autocast("cpu", enabled=False)  # many factors
def color(draws: Draws) -> Tensor:
    """Brightness, contrast, luma flip, hue and saturation, (B, 4, 4) on RGB in [-1, 1]."""
    eye = torch.eye(4)
    luma = torch.tensor([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3)
    outer = torch.outer(luma, luma)
    matrix = eye.repeat(draws.count, 1, 1)
    matrix[:, :3, 3] = draws.gated(draws.normal(0.2), 0.0)[:, None]
    contrast = eye.repeat(draws.count, 1, 1)
    contrast[:, :3, :3] *= draws.gated(torch.exp2(draws.normal(0.5)), 1.0)[:, None, None]
    mirrored = draws.gated(draws.uniform(0, 2).floor(), 0.0)[:, None, None]
    hue = _about_luma(draws.gated(draws.uniform(-math.pi, math.pi), 0.0))
    saturation = draws.gated(torch.exp2(draws.normal()), 1.0)[:, None, None]
    keep = outer + torch.diag(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    return (
        (keep + (eye - keep) * saturation)
        @ hue
        @ (eye - 2 * outer * mirrored)
        @ (contrast @ matrix)
    )


def recolor(images: Tensor, matrix: Tensor) -> Tensor:
    """Images (B, 3, S, S) by maps (B, 4, 4)."""
    matrix = matrix.to(images)
    return torch.baddbmm(matrix[:, :3, 3:], matrix[:, :3, :3], images.flatten(2)).view_as(images)


def _about_luma(angle: Tensor) -> Tensor:
    """Rotations (B, 4, 4) of RGB about the gray axis (Rodrigues' formula)."""
    axis = 1 / math.sqrt(3)
    cross = axis * torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    sin, cos = angle.sin()[:, None, None], angle.cos()[:, None, None]
    matrix = torch.eye(4).repeat(len(angle), 1, 1)
    matrix[:, :3, :3] = torch.eye(3) + sin * cross + (1 - cos) * (cross @ cross)
    return matrix
