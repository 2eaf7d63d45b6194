"""StyleGAN2's residual discriminator (arXiv 1912.04958), unconditional."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from toonify.models.generators.stylegan2 import check_channels
from toonify.models.layers import EqualConv2d, EqualLinear, fast_layout


def minibatch_stddev(x: Tensor, *, group: int = 4) -> Tensor:
    """x (B, C, H, W) → (B, C + 1, H, W), the new channel a group's mean standard deviation.

    Groups are strided as in the published code: with B = 8, samples 0, 2, 4, 6 are one. Their
    size is the largest divisor of B up to `group`.
    """
    batch, _, height, width = x.shape
    size = next(n for n in range(min(group, batch), 0, -1) if batch % n == 0)
    groups = x.float().reshape(size, -1, *x.shape[1:])
    deviation = (groups.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    channel = deviation.repeat(size).to(x.dtype)[:, None, None, None]
    return torch.cat([x, channel.expand(-1, 1, height, width)], dim=1)


class ResidualBlock(nn.Module):
    """Halves the resolution by two convolutions beside a 1×1 shortcut."""

    def __init__(self, in_channels: int, channels: int, *, clamp: float | None) -> None:
        super().__init__()
        self.conv1 = EqualConv2d(in_channels, in_channels, 3, clamp=clamp)
        self.conv2 = EqualConv2d(in_channels, channels, 3, down=True, clamp=clamp)
        self.skip = EqualConv2d(
            in_channels, channels, 1, down=True, bias=False, activate=False, clamp=clamp
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, channels, H/2, W/2)."""
        return (self.conv2(self.conv1(x)) + self.skip(x)) * math.sqrt(0.5)


class StyleGAN2Discriminator(nn.Module):
    """Image → logit, higher for real.

    State-dict names: `from_rgb`, `blocks.i.{conv1,conv2,skip}` from the largest resolution
    down, `final_conv`, `final_linear`, `logit`.

    Args:
        resolution: height and width of the image, a power of two, at least 8.
        channels: feature channels at each resolution, see `stylegan2.channel_table`.
        conv_clamp: limit on every layer's output (NVIDIA trains with 256), None for none.
    """

    def __init__(
        self, *, resolution: int, channels: Mapping[Any, int], conv_clamp: float | None = None
    ) -> None:
        super().__init__()
        self.channels = check_channels(resolution, channels)
        self.resolution, self.conv_clamp = resolution, conv_clamp
        counts = list(reversed(self.channels.values()))
        self.from_rgb = EqualConv2d(3, counts[0], 1, clamp=conv_clamp)
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(wide, narrow, clamp=conv_clamp)
                for wide, narrow in itertools.pairwise(counts)
            )
        )
        last = counts[-1]
        self.final_conv = EqualConv2d(last + 1, last, 3, clamp=conv_clamp)
        self.final_linear = EqualLinear(last * 16, last, activate=True)
        self.logit = EqualLinear(last, 1)

    def layers(self) -> list[nn.Module]:
        """Every layer with weights, from the image on; counted as NVIDIA's `--freezed` does."""
        layers: list[nn.Module] = [self.from_rgb]
        for block in cast(Sequence[ResidualBlock], self.blocks):
            layers += [block.conv1, block.conv2, block.skip]
        return [*layers, self.final_conv, self.final_linear, self.logit]

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "stylegan2_discriminator"."""
        return {
            "architecture": "stylegan2_discriminator",
            "resolution": self.resolution,
            "channels": {str(size): count for size, count in self.channels.items()},
            "conv_clamp": self.conv_clamp,
        }

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, R, R) in [-1, 1] → logits (B, 1)."""
        x = self.blocks(self.from_rgb(fast_layout(images)))
        x = self.final_conv(minibatch_stddev(x))
        return self.logit(self.final_linear(x.flatten(1)))
