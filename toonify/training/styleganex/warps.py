"""Affine warps of batches: unaligned frames out of aligned faces, and back."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def random_warp(
    count: int, random: torch.Generator, *, tilt: float, zoom: float, shift: float
) -> Tensor:
    """(count, 2, 3) maps, input → output, both -1..1 across.

    Args:
        random: source of every random number, on the CPU.
        tilt: largest turn, degrees.
        zoom: largest natural logarithm of the magnification.
        shift: largest displacement, in halves of the side.
    """

    def uniform(limit: float) -> Tensor:
        return torch.empty(count).uniform_(-limit, limit, generator=random)

    angle, scale = uniform(tilt) * math.pi / 180, torch.exp(uniform(zoom))
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    rows = (cos, -sin, uniform(shift), sin, cos, uniform(shift))
    return torch.stack(rows, dim=1).view(count, 2, 3)


def _inverse(theta: Tensor) -> Tensor:
    linear = torch.linalg.inv(theta[:, :, :2].float())
    return torch.cat([linear, -linear @ theta[:, :, 2:].float()], dim=2)


def warped(
    images: Tensor,
    theta: Tensor,
    *,
    padding: Literal["reflection", "zeros", "border"] = "reflection",
    nearest: bool = False,
) -> Tensor:
    """Images (B, C, H, W) moved by `theta` (B, 2, 3), continued by reflection.

    Args:
        nearest: for labels, which don't mix.
    """
    grid = F.affine_grid(_inverse(theta), list(images.shape), align_corners=False)
    mode = "nearest" if nearest else "bilinear"
    return _sampled(images, grid, mode, padding)


def unwarped(images: Tensor, theta: Tensor, size: int) -> Tensor:
    """The aligned faces (B, C, size, size) within frames, `theta` being face → frame."""
    shape = [len(images), images.shape[1], size, size]
    grid = F.affine_grid(theta.float(), shape, align_corners=False)
    return _sampled(images, grid, "bilinear", "border")


def _sampled(images: Tensor, grid: Tensor, mode: str, padding: str) -> Tensor:
    """In float32: in half precision places are rounded to whole pixels."""
    found = F.grid_sample(images.float(), grid.float(), mode, padding, align_corners=False)
    return found.to(images.dtype)
