"""A U-Net from photographs to drawings of one style, for frames of any size.

As pix2pix's (arXiv 1611.07004), an encoder whose levels are added to the decoder's; but without
normalization, which would let a frame's contents change colors elsewhere in it, and at half the
frame's resolution inside (sub-pixel convolution, arXiv 1609.05158), which saves most of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions whose sum with the input starts as the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class Context(nn.Module):
    """What the whole frame tells, added everywhere: its palette, its light."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.read = nn.Linear(channels, channels)
        self.write = nn.Linear(channels, channels)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        offset = self.write(F.relu(self.read(x.mean((2, 3)))))
        return x + offset[:, :, None, None]


class UNet(nn.Module):
    """Photographs (B, 3, H, W) in [-1, 1] → drawings of the same size, about [-1, 1].

    Args:
        widths: channels at 1/2, 1/4, … of the resolution.
        depths: residual blocks of each of these levels, on each side.

    Examples:
        >>> UNet(widths=(8, 16), depths=(1, 1))(torch.zeros(1, 3, 30, 50)).shape
        torch.Size([1, 3, 30, 50])
    """

    def __init__(
        self, *, widths: Sequence[int] = (32, 64, 128, 144), depths: Sequence[int] = (1, 2, 2, 3)
    ) -> None:
        super().__init__()
        self.widths, self.depths = tuple(widths), tuple(depths)
        pairs = list(zip(self.widths[:-1], self.widths[1:], strict=True))
        self.from_rgb = nn.Conv2d(12, self.widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(depth)))
            for width, depth in zip(self.widths, self.depths, strict=True)
        )
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.context = Context(self.widths[-1])
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairs)
        self.decoder = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(depth)))
            for width, depth in zip(self.widths[:-1], self.depths[:-1], strict=True)
        )
        self.to_rgb = nn.Conv2d(self.widths[0], 12, 3, padding=1)

    @property
    def stride(self) -> int:
        """What heights and widths are padded to a multiple of."""
        return int(2 ** len(self.widths))

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "unet"."""
        return {"architecture": "unet", "widths": list(self.widths), "depths": list(self.depths)}

    def forward(self, photos: Tensor) -> Tensor:
        height, width = photos.shape[2:]
        bottom, right = -height % self.stride, -width % self.stride
        # "replicate" takes frames smaller than the padding, which "reflect" doesn't
        padded = F.pad(photos, (0, right, 0, bottom), mode="replicate")
        return self.draw(padded)[:, :, :height, :width]

    def draw(self, photos: Tensor) -> Tensor:
        """As `forward`, of photographs whose heights and widths are multiples of `stride`."""
        x = F.relu(self.from_rgb(F.pixel_unshuffle(photos, 2)))
        levels = []
        for blocks, down in zip(self.encoder, [*self.down, None], strict=True):
            x = blocks(x)
            if down is not None:
                levels.append(x)
                x = F.relu(down(x))
        x = self.context(x)
        for number in reversed(range(len(levels))):
            x = F.interpolate(self.up[number](x), scale_factor=2.0, mode="nearest")
            x = self.decoder[number](F.relu(x + levels[number]))
        return F.pixel_shuffle(self.to_rgb(x), 2)
