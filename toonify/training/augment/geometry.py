"""Pixel blitting and geometric transformations, as one inverse affine map a sample.

Matrices (B, 3, 3) go from output to input coordinates, which run from -1 to 1 across the image;
so each new transformation is multiplied on the right. They keep float32 under autocast.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from toonify.training.augment.draws import Draws
from toonify.training.augment.resampling import OVERLAP, halving, resample, upsampling


@torch.autocast("cpu", enabled=False)
def blit(draws: Draws, size: int) -> Tensor:
    """x-flip, rotation by 90° steps, translation by whole pixels, at most an eighth."""
    flip = draws.gated(draws.uniform(0, 2).floor(), 0.0)
    matrix = _scaling(1 - 2 * flip, torch.ones_like(flip))
    turns = draws.gated(draws.uniform(0, 4).floor(), 0.0)
    matrix = matrix @ _rotation(turns * (math.pi / 2)).round()
    x, y = draws.uniform(-0.125, 0.125), draws.uniform(-0.125, 0.125)
    moved = draws.chosen().float()
    return matrix @ _translation(*((t * moved * size).round() * (2 / size) for t in (x, y)))


@torch.autocast("cpu", enabled=False)
def geometric(draws: Draws) -> Tensor:
    """Isotropic scale, rotation, anisotropic scale, rotation, fractional translation."""
    scale = draws.gated(torch.exp2(draws.normal(0.2)), 1.0)
    matrix = _scaling(1 / scale, 1 / scale)
    # The two rotations together have probability p.
    p_rotate = 1 - math.sqrt(max(0.0, 1 - draws.p))
    angle = draws.gated(draws.uniform(-math.pi, math.pi), 0.0, p_rotate)
    matrix = matrix @ _rotation(angle)
    scale = draws.gated(torch.exp2(draws.normal(0.2)), 1.0)
    matrix = matrix @ _scaling(1 / scale, scale)
    angle = draws.gated(draws.uniform(-math.pi, math.pi), 0.0, p_rotate)
    matrix = matrix @ _rotation(angle)
    x, y = draws.normal(0.125), draws.normal(0.125)
    moved = draws.chosen().float()
    # Coordinates are two wide, so a share of the width counts twice.
    return matrix @ _translation(-2 * x * moved, -2 * y * moved)


def move(images: Tensor, matrix: Tensor) -> Tensor:
    """Images (B, 3, S, S) by maps that send pixels to pixels, exactly; borders reflected."""
    return _Sample.apply(images, _grid(matrix.to(images.device), images.shape[-1]), 1)


def warp(images: Tensor, matrix: Tensor) -> Tensor:
    """Images (B, 3, S, S) resampled at twice their resolution; borders reflected.

    Both filters are sym6, an orthogonal wavelet: the identity changes nothing.
    """
    size, device = images.shape[-1], images.device
    side = 2 * size + 2 * OVERLAP
    reach = torch.tensor([side / (2 * size)])
    with torch.autocast("cpu", enabled=False):
        matrix = _scaling(1 / reach, 1 / reach) @ matrix @ _scaling(reach, reach)
    large = resample(images, upsampling(size, device)).float()
    moved = _Sample.apply(large, _grid(matrix.to(device), side), 0)
    return resample(moved, halving(size, device))


def _grid(matrix: Tensor, size: int) -> Tensor:
    """Where each output pixel comes from, (B, S, S, 2); in float32 under autocast too."""
    places = (torch.arange(size, device=matrix.device) + 0.5) * (2 / size) - 1
    rows = matrix[:, :2, :, None, None]  # (B, 2, 3, 1, 1)
    grid = rows[:, :, 0] * places + rows[:, :, 1] * places[:, None] + rows[:, :, 2]
    return grid.permute(0, 2, 3, 1)


class _Sample(torch.autograd.Function):
    """`grid_sample` with a second derivative by the images, which torch's lacks and R1 needs."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor, mode: int) -> Tensor:
        ctx.save_for_backward(images, grid)
        ctx.mode = mode
        return torch.grid_sampler_2d(images, grid, mode, _REFLECT, False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        images, grid = ctx.saved_tensors
        return _SampleBack.apply(gradients[0], images.detach(), grid, ctx.mode), None, None


class _SampleBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, images: Tensor, grid: Tensor, mode: int) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.mode = mode
        found, _ = torch.ops.aten.grid_sampler_2d_backward(
            gradient.contiguous(), images, grid, mode, _REFLECT, False, (True, False)
        )
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (grid,) = ctx.saved_tensors
        return _Sample.apply(gradients[0], grid, ctx.mode), None, None, None


_REFLECT = 2  # padding mode of torch's grid sampler


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _rotation(angle: Tensor) -> Tensor:
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = [cos, sin, zero, -sin, cos, zero, zero, zero, one]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def _translation(x: Tensor, y: Tensor) -> Tensor:
    matrix = torch.eye(3).repeat(len(x), 1, 1)
    matrix[:, 0, 2], matrix[:, 1, 2] = x, y
    return matrix
