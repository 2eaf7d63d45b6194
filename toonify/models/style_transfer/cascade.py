"""A small network of arbitrary style transfer whose decoder needs no training.

Features of VGG-16's first levels take a style's statistics (AdaIN, arXiv 1703.06868), and each
level is led back to the one below by linear regression, where they take that one's statistics too;
so textures of every size are the style's. Colours over larger areas, which such features lose, are
the content's, moved to the style's palette.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.style_transfer.adain import StyleEncoder, adain, statistics
from toonify.models.style_transfer.statistics import (
    StyleStatistics,
    color_statistics,
    large,
    recolored,
)

FINE = 0.8  # share of the content's finest detail that stays


class Step(nn.Module):
    """Features of one level → those of the level below at twice the size, by a low-rank map."""

    def __init__(self, in_channels: int, out_channels: int, rank: int) -> None:
        super().__init__()
        self.gather = nn.Conv2d(in_channels, rank, 3, bias=True)
        self.spread = nn.Conv2d(rank, 4 * out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, out_channels, 2H, 2W), no less than 0."""
        x = self.gather(F.pad(x, (1, 1, 1, 1), mode="reflect"))
        x = F.pixel_shuffle(self.spread(x), 2)
        return F.relu(_even(x))  # each quarter of the pixels has a map of its own


class CascadeStyleNetwork(nn.Module):
    """Encoder, and regressions back down from its last level.

    Args:
        widths, depths: of the encoder; VGG-16's are 64, 128, 256 and 2, 2.
        ranks: of the regressions, from the deepest level down.
    """

    def __init__(
        self, *, widths: Sequence[int], depths: Sequence[int], ranks: Sequence[int]
    ) -> None:
        super().__init__()
        self.widths, self.depths, self.ranks = tuple(widths), tuple(depths), tuple(ranks)
        self.encoder = StyleEncoder(widths=widths, depths=depths)
        above, below = self.widths[:0:-1], self.widths[-2::-1]
        self.steps = nn.ModuleList(
            Step(*shape) for shape in zip(above, below, self.ranks, strict=True)
        )
        self.to_rgb = nn.Conv2d(self.widths[0], 3, 3)

    @property
    def stride(self) -> int:
        """What heights and widths must be multiples of."""
        return int(2 ** len(self.depths))

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "cascade-style"."""
        return {
            "architecture": "cascade-style",
            "widths": list(self.widths),
            "depths": list(self.depths),
            "ranks": list(self.ranks),
        }

    def describe(self, style: Tensor) -> StyleStatistics:
        """Statistics of a style (1, 3, h, w) in [0, 1]."""
        features = tuple(statistics(feature) for feature in self.encoder.features(style))
        return StyleStatistics(features, *color_statistics(style))

    def render(self, content: Tensor, style: StyleStatistics, alpha: float = 1.0) -> Tensor:
        """Content (1, 3, H, W) in [0, 1] in the manner of a style; not clamped.

        Args:
            alpha: 0 gives the content, 1 the style's manner in full.
        """
        *lower, deepest = style.features
        x = adain(self.encoder(content), *deepest)
        for step, wanted in zip(self.steps, reversed(lower), strict=True):
            x = F.relu(adain(step(x), *wanted))
        drawn = self.to_rgb(F.pad(x, (1, 1, 1, 1), mode="reflect"))
        colors = recolored(content, style.color_mean, style.color_covariance)
        drawn = drawn + large(colors - drawn)
        fine = (content - _even(content)).mean(dim=1, keepdim=True)  # which evening out took
        return torch.lerp(content, drawn + FINE * fine, alpha)


def _even(x: Tensor) -> Tensor:
    """(B, C, H, W) smoothed by [1, 2, 1], which no pattern of two pixels survives."""
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    return F.avg_pool2d(F.avg_pool2d(padded, 2, 1), 2, 1)
