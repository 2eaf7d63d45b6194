"""What happens to faces before an encoder sees them in training: poor crops, cameras, occlusion."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def augment_photos(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Mild geometric and strong photometric changes, drawn for each image.

    Args:
        images: (B, 3, S, S) in [-1, 1].
        generator: source of every random number, on the CPU.

    Returns:
        Same shape and range.
    """
    batch, side, device = images.shape[0], images.shape[-1], images.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        size = shape or (batch, 1, 1, 1)
        return torch.empty(size).uniform_(low, high, generator=generator).to(device)

    # crops off by a few per cent, as a detector's are
    angle = uniform(-4, 4, batch) * math.pi / 180
    zoom = torch.exp(uniform(-0.06, 0.06, batch))
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    shift = uniform(-0.04, 0.04, batch, 2)
    theta = torch.stack((cos, -sin, shift[:, 0], sin, cos, shift[:, 1]), dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    x = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    x = (x + 1) * 0.5
    # exposure, color temperature, contrast, saturation
    x = x.clamp(1e-4, 1) ** torch.exp(uniform(-0.45, 0.45))
    x = x * torch.exp(uniform(-0.15, 0.15, batch, 3, 1, 1)) * torch.exp(uniform(-0.2, 0.2))
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * torch.exp(uniform(-0.3, 0.3))
    gray = x.mean(1, keepdim=True)
    x = gray + (x - gray) * uniform(0.0, 1.5)
    # uneven light
    ramp = torch.linspace(-1, 1, side, device=device)
    x = x * (
        1 + uniform(-0.3, 0.3) * ramp.view(1, 1, 1, -1) + uniform(-0.2, 0.2) * ramp.view(-1, 1)
    )
    # soft or noisy cameras
    small = int(uniform(min(40, side // 2), side, 1))
    soft = F.interpolate(x, size=(small, small), mode="bilinear", antialias=True)
    soft = F.interpolate(soft, size=(side, side), mode="bicubic")
    x = torch.where(uniform(0, 1) < 0.4, soft, x)
    x = x + torch.randn(x.shape, generator=generator).to(device) * uniform(0, 0.05)
    # something in front of the face
    center = uniform(0, side, batch, 2, 1, 1)
    half = uniform(0.03, 0.14, batch, 1, 1) * side
    axis = torch.arange(side, device=device)
    inside = ((axis.view(1, 1, -1) - center[:, 0]).abs() < half) & (
        (axis.view(1, -1, 1) - center[:, 1]).abs() < half
    )
    inside = inside[:, None] & (uniform(0, 1) < 0.25)
    x = torch.where(inside, uniform(0, 1, batch, 3, 1, 1), x)
    return x.clamp(0, 1) * 2 - 1


def other_camera(count: int, random: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Exposure, color, contrast and saturation as another camera has them, drawn for each image.

    Args:
        random: source of every random number, on the CPU.

    Returns:
        a function of images (count, 3, H, W) in [-1, 1] on the CPU, the same for all it is given.
    """

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.empty(count, channels, 1, 1).uniform_(low, high, generator=random)

    gamma, color = torch.exp(uniform(-0.35, 0.35)), torch.exp(uniform(-0.12, 0.12, 3))
    gain, saturation = torch.exp(uniform(-0.15, 0.15)), uniform(0.3, 1.4)

    def change(images: Tensor) -> Tensor:
        x = ((images + 1) / 2).clamp(1e-4, 1) ** gamma * color * gain
        gray = x.mean(1, keepdim=True)
        return (gray + (x - gray) * saturation).clamp(0, 1) * 2 - 1

    return change
