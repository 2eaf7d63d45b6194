"""A small ReStyle-style encoder (arXiv 2104.02699): photo and reconstruction in, residual out.

Squeeze-and-excitation residual blocks on a 128×128 input; trained with the compact generator, it
ships in the default bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.base import Generator
from toonify.models.encoders.trainable import TrainableEncoder


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with squeeze-and-excitation, halving the resolution on demand."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.squeeze = nn.Linear(out_channels, out_channels // 8)
        self.excite = nn.Linear(out_channels // 8, out_channels)
        self.skip = (
            nn.Conv2d(in_channels, out_channels, 1, bias=False)
            if in_channels != out_channels
            else nn.Identity()
        )
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        gate = torch.sigmoid(self.excite(F.silu(self.squeeze(y.mean((2, 3))))))
        x = F.avg_pool2d(x, 2) if self.stride == 2 else x
        return F.silu(self.skip(x) + y * gate[:, :, None, None])


class CompactEncoder(TrainableEncoder):
    """Photo → w+ in a few residual steps.

    Args:
        num_ws: rows of w+.
        w_dim: width of w.
        input_size: side the photo is resampled to, a multiple of 32.
        widths: channels after each halving.
        depth: blocks at each resolution.
        steps: residual steps it was trained for, the default of `encode`.
    """

    w_mean: Tensor
    w_std: Tensor
    average_image: Tensor

    def __init__(
        self,
        *,
        num_ws: int,
        w_dim: int = 512,
        input_size: int = 128,
        widths: Sequence[int] = (48, 96, 192, 288, 384),
        depth: int = 2,
        steps: int = 1,
    ) -> None:
        super().__init__()
        self.num_ws, self.w_dim, self.input_size = num_ws, w_dim, input_size
        self.widths, self.depth, self.steps = tuple(widths), depth, steps
        blocks: list[nn.Module] = []
        channels = 6
        for width in self.widths:
            for index in range(depth):
                blocks.append(ResidualBlock(channels, width, stride=2 if index == 0 else 1))
                channels = width
        self.body = nn.Sequential(*blocks)
        side = input_size // 2 ** len(self.widths)
        self.bottleneck = nn.Linear(channels * side * side, 512)
        self.shared = nn.Linear(512, w_dim)
        self.rows = nn.Linear(512, num_ws * w_dim)
        nn.init.zeros_(self.rows.weight)
        nn.init.zeros_(self.rows.bias)
        self.register_buffer("w_mean", torch.zeros(w_dim))
        self.register_buffer("w_std", torch.ones(w_dim))
        self.register_buffer("average_image", torch.zeros(3, input_size, input_size))

    def config(self) -> dict[str, Any]:
        return {
            "architecture": "compact",
            "num_ws": self.num_ws,
            "w_dim": self.w_dim,
            "input_size": self.input_size,
            "widths": list(self.widths),
            "depth": self.depth,
            "steps": self.steps,
        }

    def resample(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, 3, input_size, input_size), area-averaged."""
        size = self.input_size
        if images.shape[-2:] == (size, size):
            return images
        return F.interpolate(images, size=(size, size), mode="area")

    def residual(self, photo: Tensor, reconstruction: Tensor) -> Tensor:
        """One step: both (B, 3, S, S) in [-1, 1] → change of w+ in units of w's deviation."""
        x = torch.cat((photo, reconstruction), dim=1)
        x = self.body(x.contiguous(memory_format=torch.channels_last))
        x = F.silu(self.bottleneck(x.flatten(1)))
        rows = self.rows(x).reshape(-1, self.num_ws, self.w_dim)
        return self.shared(x)[:, None] + rows

    def encode(
        self, images: Tensor, generator: Generator | None = None, steps: int | None = None
    ) -> Tensor:
        """Photos (B, 3, H, W) in [-1, 1] → w+ (B, num_ws, w_dim).

        Args:
            generator: renders the reconstruction between steps; needed from two steps on. One
                cut to a lower resolution gets the rows that it takes.
            steps: residual steps; None takes the trained number.
        """
        steps = self.steps if steps is None else steps
        if steps > 1 and generator is None:
            raise ValueError("a generator is needed for more than one residual step")
        photo = self.resample(images)
        reconstruction = self.average_image.to(photo).expand_as(photo)
        count = self.num_ws if generator is None else min(self.num_ws, generator.num_ws)
        w_plus = self.w_mean.to(photo).expand(len(photo), count, -1)
        for step in range(steps):
            if step and generator is not None:
                rendered = generator.synthesize(generator.styles(w_plus))
                reconstruction = self.resample(rendered.clamp(-1, 1))
            change = self.residual(photo, reconstruction)[:, :count]
            w_plus = w_plus + change * self.w_std.to(photo)
        return w_plus

    @torch.no_grad()
    def first_guess(self, generator: Generator) -> tuple[Tensor, Tensor]:
        return self.w_mean.expand(1, self.num_ws, -1), self.average_image[None]

    def refine(self, photos: Tensor, seen: Tensor, w_plus: Tensor) -> Tensor:
        return w_plus + self.residual(photos, seen).float() * self.w_std

    def seen(self, images: Tensor) -> Tensor:
        return self.resample(images.clamp(-1, 1))

    def serves(self, num_ws: int) -> bool:
        """A generator cut to a lower resolution too, which takes fewer rows."""
        return self.num_ws >= num_ws
