"""IR-SE: the improved residual network with squeeze-and-excitation of ArcFace (arXiv 1801.07698).

The body of every pSp-family encoder. Module names are the published ones (TreB1eN/
InsightFace_Pytorch, taken over by pixel2style2pixel), so state dicts load as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.layers import Conv3x3, fast_layout

IRSE50_UNITS = (3, 4, 14, 3)
IRSE_CHANNELS = (64, 128, 256, 512)


class SqueezeExcite(nn.Module):
    """Channel gates from globally pooled features (arXiv 1709.01507), reduction 16."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 16, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // 16, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), scaled channel by channel."""
        gate = self.fc2(F.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class ResidualUnit(nn.Module):
    """BatchNorm, conv, PReLU, conv (strided), BatchNorm, gate; added to the shortcut.

    Args:
        gated: with squeeze-and-excitation.
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int, gated: bool = True) -> None:
        super().__init__()
        self.stride = stride
        self.shortcut_layer = (
            None
            if in_channels == channels
            else nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            Conv3x3(in_channels, channels, bias=False),
            nn.PReLU(channels),
            Conv3x3(channels, channels, bias=False)
            if stride == 1
            else nn.Conv2d(channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            *([SqueezeExcite(channels)] if gated else []),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, channels, H/stride, W/stride)."""
        if self.shortcut_layer is not None:
            shortcut = self.shortcut_layer(x)
        else:
            shortcut = x[:, :, :: self.stride, :: self.stride]
        return self.res_layer(x) + shortcut


class IRSEBody(nn.Module):
    """Stem and residual units, to be subclassed by what adds heads to it.

    Each stage's first unit halves the resolution.

    Args:
        in_channels: 3 for an image, 6 for an image beside a reconstruction.
        units: residual units a stage; (3, 4, 14, 3) is IR-SE-50.
        channels: feature channels a stage.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        units: Sequence[int] = IRSE50_UNITS,
        channels: Sequence[int] = IRSE_CHANNELS,
    ) -> None:
        super().__init__()
        self.in_channels, self.units, self.channels = in_channels, tuple(units), tuple(channels)
        stem = self.channels[0]
        self.input_layer = nn.Sequential(
            nn.Conv2d(in_channels, stem, 3, 1, 1, bias=False),
            nn.BatchNorm2d(stem),
            nn.PReLU(stem),
        )
        body: list[nn.Module] = []
        width = stem
        for count, out in zip(self.units, self.channels, strict=True):
            for i in range(count):
                body.append(ResidualUnit(width, out, stride=1 if i else 2))
                width = out
        self.body = nn.Sequential(*body)
        # index of each stage's last unit: 2, 6, 20, 23 in IR-SE-50
        self.stage_ends = tuple(total - 1 for total in itertools.accumulate(self.units))

    def features(self, x: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """x (B, in_channels, H, W) → outputs of the body's units of these indices, ascending."""
        x = self.input_layer(fast_layout(x))
        found = []
        for i, unit in enumerate(self.body):
            x = unit(x)
            if i in layers:
                found.append(x)
        return found
