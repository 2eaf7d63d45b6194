"""A small network of arbitrary style transfer with AdaIN at every layer.

The published network (arXiv 1703.06868) takes a style's statistics at one layer of VGG-19. Here an
encoder, residual blocks and a decoder of few channels take them at each: a style is what the
network's own layers show while they give it back, so that a content with a style's statistics is
drawn as the style is. Colors are whitened before and colored after by the style's covariance;
layers see and learn textures alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.style_transfer.statistics import (
    StyleStatistics,
    color_statistics,
    mixed_statistics,
)

EPSILON = 1e-5  # beside the variance of a layer
COLOR_NOISE = 4e-3  # variance beside that of colors, so that faint ones are not blown up
BORDER = 12  # px mirrored around a content while it is drawn

Statistics = tuple[Tensor, Tensor]


class LayerwiseAdaIN(nn.Module):
    """Encoder to a quarter of the size, residual blocks, decoder.

    Args:
        widths: channels at full, half and quarter size.
        blocks: residual ones at a quarter.
    """

    def __init__(self, *, widths: Sequence[int] = (16, 32, 64), blocks: int = 5) -> None:
        super().__init__()
        self.widths, self.block_count = tuple(widths), blocks
        full, half, quarter = self.widths
        self.down = nn.ModuleList(
            [_conv(3, full, 5), _conv(full, half, 3), _conv(half, quarter, 3)]
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList([_conv(quarter, quarter, 3), _conv(quarter, quarter, 3, gain=0.3)])
            for _ in range(blocks)
        )
        self.up = nn.ModuleList([_conv(quarter, half, 3), _conv(half, full, 3)])
        self.to_rgb = _conv(full, 3, 5, gain=0.3)

    @property
    def stride(self) -> int:
        """What heights and widths must be multiples of."""
        return 4

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "adain-layerwise"."""
        return {
            "architecture": "adain-layerwise",
            "widths": list(self.widths),
            "blocks": self.block_count,
        }

    def reconstruct(self, style: Tensor) -> tuple[Tensor, StyleStatistics]:
        """(1, 3, h, w) in [0, 1] → itself as the layers give it back, and their statistics."""
        mean, covariance = color_statistics(style)
        recorded: list[Statistics] = []
        drawn = self._layers(_whitened(style, mean, covariance), recorded, None)
        given = _colored(drawn, mean, covariance)
        return given, StyleStatistics(tuple(recorded), mean, covariance)

    def describe(self, style: Tensor) -> StyleStatistics:
        """Statistics of a style (1, 3, h, w) in [0, 1]."""
        return self.reconstruct(style)[1]

    def transfer(self, content: Tensor, style: StyleStatistics) -> Tensor:
        """Content (1, 3, H, W) in [0, 1] in the manner of a style; not clamped."""
        mean, covariance = color_statistics(content)
        border = min(BORDER, *(side - 1 for side in content.shape[2:])) // self.stride * self.stride
        padded = F.pad(content, (border,) * 4, mode="reflect")
        drawn = self._layers(_whitened(padded, mean, covariance), None, list(style.features))
        whole = drawn[..., border : -border or None, border : -border or None]
        return _colored(whole, style.color_mean, style.color_covariance)

    def render(self, content: Tensor, style: StyleStatistics, alpha: float = 1.0) -> Tensor:
        """As `transfer`, or a part of the way: statistics between the content's own and a style's.

        Args:
            alpha: 0 gives the content, 1 the style's manner in full.
        """
        if alpha == 0:
            return content
        if alpha < 1:
            style = mixed_statistics([self.describe(content), style], [1 - alpha, alpha])
        return self.transfer(content, style)

    def _layers(
        self, x: Tensor, record: list[Statistics] | None, wanted: list[Statistics] | None
    ) -> Tensor:
        """Through all layers: their statistics are recorded, or led to the wanted ones."""

        def normalized(x: Tensor) -> Tensor:
            if wanted is None:
                assert record is not None
                record.append(_statistics(x))
                return x
            mean, deviation = wanted.pop(0)
            # of one picture, batch statistics are its own
            return F.batch_norm(
                x, None, None, deviation.flatten(), mean.flatten(), training=True, eps=EPSILON
            )

        for level, layer in enumerate(self.down):
            x = F.relu(normalized(_same(layer, x, stride=2 if level else 1)))
        for block in self.blocks:
            assert isinstance(block, nn.ModuleList)
            first, second = block
            x = x + normalized(_same(second, F.relu(normalized(_same(first, x)))))
        for layer in self.up:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = F.relu(normalized(_same(layer, x)))
        return _same(self.to_rgb, x).float()


def _conv(given: int, out: int, size: int, *, gain: float = 1.0) -> nn.Conv2d:
    layer = nn.Conv2d(given, out, size, padding=size // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.mul_(gain)
        layer.bias.zero_()
    return layer


def _same(layer: nn.Module, x: Tensor, *, stride: int = 1) -> Tensor:
    assert isinstance(layer, nn.Conv2d)
    return F.conv2d(x, layer.weight, layer.bias, stride=stride, padding=layer.padding)


def _statistics(x: Tensor) -> Statistics:
    """Mean and deviation (1, C, 1, 1) float32, over space."""
    mean = x.mean((2, 3), keepdim=True, dtype=torch.float32)
    square = (x * x).mean((2, 3), keepdim=True, dtype=torch.float32)
    return mean, ((square - mean * mean).clamp_min(0) + EPSILON).sqrt()


@torch.no_grad()
def _roots(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric root of a covariance (3, 3) with `COLOR_NOISE`, and its inverse."""
    with torch.autocast(covariance.device.type, enabled=False):
        noise = COLOR_NOISE * torch.eye(3, device=covariance.device)
        values, vectors = torch.linalg.eigh(covariance.float() + noise)
        return (vectors * values.sqrt()) @ vectors.T, (vectors * values.rsqrt()) @ vectors.T


@torch.no_grad()
def _whitened(image: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    with torch.autocast(image.device.type, enabled=False):
        _, inverse = _roots(covariance)
        moved = (inverse @ (image[0].float().flatten(1) - mean)).view_as(image)
        return moved.contiguous(memory_format=torch.channels_last)


def _colored(drawn: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Whitened colors (1, 3, H, W), spread as those of a style are, in its colors."""
    with torch.autocast(drawn.device.type, enabled=False):
        root, inverse = _roots(covariance)
        spread = (inverse @ covariance.float() @ inverse).diagonal().clamp_min(0).sqrt()
        even = F.batch_norm(drawn, None, None, spread, None, training=True, eps=1e-4)
        return (root @ even[0].flatten(1) + mean).view_as(drawn)
