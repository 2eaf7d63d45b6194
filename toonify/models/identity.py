"""Whose face it is: dlib's face descriptor (D. King, 2017), a residual network of 29 convolutions.

Two faces of one person lie within about 0.6 of each other, those of two people beyond it. The
network reads a tighter crop than FFHQ's, which lies at a fixed place within it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INPUT_SIZE = 150
DESCRIPTOR = 128
# dlib's chip (150 px, padding 0.25) has the eyes' centers at (47.7, 47.1) and (100.3, 47.1); an
# FFHQ crop is four eye distances wide, eyes at 0.375 and 0.625 across and 0.473 down.
CROP = (0.148, 0.249, 0.8615, 0.9625)  # left, top, right, bottom in sides of the FFHQ crop
UNRELATED = 0.65  # mean squared distance between people, measured on 80 photographs

_MEAN = (122.782, 117.001, 104.298)
# (channels, units after the halving one, whether a halving one comes first)
_STAGES = ((32, 3, False), (64, 3, True), (128, 2, True), (256, 2, True))


class AffineConv(nn.Module):
    """Convolution, then a scale and a shift a channel: batch normalization, frozen."""

    def __init__(
        self, in_channels: int, channels: int, *, size: int = 3, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, size, stride, padding)
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, channels, H', W')."""
        return self.conv(x) * self.scale[:, None, None] + self.shift[:, None, None]


class DescriptorUnit(nn.Module):
    """Two 3×3 convolutions beside the input; a halving one pads nothing and pools the shortcut."""

    def __init__(self, in_channels: int, channels: int, *, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.conv1 = AffineConv(
            in_channels, channels, stride=2 if halve else 1, padding=0 if halve else 1
        )
        self.conv2 = AffineConv(channels, channels, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, channels, H, W), or half of it rounded down."""
        y = self.conv2(F.relu(self.conv1(x)))
        if self.halve:
            x = F.avg_pool2d(x, 2)
            # zeros where one of the two is narrower or smaller
            x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
            y = F.pad(y, (0, x.shape[3] - y.shape[3], 0, x.shape[2] - y.shape[2]))
        return F.relu(x + y)


class Identity(nn.Module):
    """Frozen face descriptor of FFHQ-aligned images; differentiable in them.

    Args:
        dtype: of the convolutions; torch.bfloat16 moves the descriptors by about 0.01 and is
            twice as fast where the processor has it.
    """

    mean: Tensor

    def __init__(self, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.stem = AffineConv(3, 32, size=7, stride=2)
        units: list[nn.Module] = []
        width = 32
        for channels, count, halve in _STAGES:
            if halve:
                units.append(DescriptorUnit(width, channels, halve=True))
            units += [DescriptorUnit(channels, channels, halve=False) for _ in range(count)]
            width = channels
        units.append(DescriptorUnit(width, width, halve=True))
        self.units = nn.Sequential(*units)
        self.head = nn.Linear(width, DESCRIPTOR, bias=False)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        for part in (self.stem, self.units, self.head):
            part.to(dtype)
        self.dtype = dtype
        self.eval().requires_grad_(False)

    def describe(self, chips: Tensor) -> Tensor:
        """Face chips as dlib cuts them, (B, 3, 150, 150) in [-1, 1] → (B, 128) float32."""
        x = ((chips + 1) * 127.5 - self.mean) / 256
        x = x.to(dtype=self.dtype, memory_format=torch.channels_last)
        x = self.units(F.max_pool2d(F.relu(self.stem(x)), 3, 2))
        return self.head(x.mean(dim=(2, 3))).float()

    def forward(self, images: Tensor) -> Tensor:
        """FFHQ-aligned images (B, 3, S, S) in [-1, 1] → descriptors (B, 128), length about 1.4."""
        with torch.autocast(images.device.type, enabled=False):
            side = images.shape[-1]
            left, top, right, bottom = (round(edge * side) for edge in CROP)
            chips = F.interpolate(
                images[:, :, top:bottom, left:right].float(),
                size=(INPUT_SIZE, INPUT_SIZE),
                mode="bilinear",
                antialias=True,
                align_corners=False,
            )
            return self.describe(chips)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Euclidean distance of descriptors (B, 128) → (B,); people are distinct from 0.6."""
        return (a - b).square().sum(dim=1).clamp_min(1e-8).sqrt()

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """Of descriptors (B, 128) → (B,): 1 for the same face, about 0 for strangers.

        One minus the squared distance in units of that between strangers, so that `1 - similarity`
        weighs as a loss what it does with descriptors whose cosine is 0 between strangers.
        """
        return 1 - (a - b).square().sum(dim=1) / UNRELATED
