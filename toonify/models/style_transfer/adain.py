"""Arbitrary style transfer by adaptive instance normalization (Huang & Belongie, arXiv 1703.06868).

Layers stand where the published Sequentials have them, so that their state dicts fit as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.style_transfer.statistics import StyleStatistics, color_statistics

VGG19_WIDTHS = (64, 128, 256, 512)
VGG19_DEPTHS = (2, 2, 4)  # convolutions before each pooling; one more follows the last
EPSILON = 1e-5  # beside the variance


class StyleEncoder(nn.Sequential):
    """VGG-19 up to relu4_1 with the colors' normalization in its first layer, or narrower.

    Args:
        widths: channels at full size, a half, a quarter and so on.
        depths: 3×3 convolutions before each pooling, one pooling less than widths.
    """

    def __init__(
        self, *, widths: Sequence[int] = VGG19_WIDTHS, depths: Sequence[int] = VGG19_DEPTHS
    ) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
        taps, channels = [], 3
        for level, width in enumerate(widths):
            for index in range(depths[level] if level < len(depths) else 1):
                layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, width, 3), nn.ReLU()]
                channels = width
                if index == 0:
                    taps.append(len(layers))
            if level < len(widths) - 1:
                layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
        super().__init__(*layers)
        self.widths, self.depths, self.taps = tuple(widths), tuple(depths), tuple(taps)

    def features(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [0, 1] → relu1_1, relu2_1 and so on, (B, C, H/2^k, W/2^k)."""
        found, x = [], images
        for index, layer in enumerate(self, start=1):
            x = layer(x)
            if index in self.taps:
                found.append(x)
        return found


class StyleDecoder(nn.Sequential):
    """`StyleEncoder` mirrored: nearest upsampling, no normalization, a linear last layer.

    Args:
        in_channels: the encoder's last width.
        widths: channels at full size, a half, …, of the encoder in the published network.
        depths: the encoder's.
    """

    def __init__(
        self,
        *,
        in_channels: int = VGG19_WIDTHS[-1],
        widths: Sequence[int] = VGG19_WIDTHS[:-1],
        depths: Sequence[int] = VGG19_DEPTHS,
    ) -> None:
        layers: list[nn.Module] = []
        channels = in_channels
        counts = (*depths, 1)
        for level in range(len(widths), -1, -1):
            for index in range(counts[level]):
                last = index == counts[level] - 1
                given = (3, *widths)[level] if last else widths[level]
                layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, given, 3)]
                channels = given
                if level or not last:
                    layers.append(nn.ReLU())
            if level:
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        super().__init__(*layers)


class AdaINNetwork(nn.Module):
    """Encoder and decoder of one another.

    Args:
        widths, depths: of the encoder; the published network's by default.
        decoder_widths: channels of the decoder at full size, a half, …; None mirrors the encoder.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = VGG19_WIDTHS,
        depths: Sequence[int] = VGG19_DEPTHS,
        decoder_widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.decoder_widths = tuple(decoder_widths or widths[:-1])
        self.encoder = StyleEncoder(widths=widths, depths=depths)
        self.decoder = StyleDecoder(
            in_channels=widths[-1], widths=self.decoder_widths, depths=depths
        )

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "adain"."""
        return {
            "architecture": "adain",
            "widths": list(self.encoder.widths),
            "depths": list(self.encoder.depths),
            "decoder_widths": list(self.decoder_widths),
        }

    @property
    def stride(self) -> int:
        """What heights and widths are rounded up to multiples of."""
        return int(2 ** len(self.encoder.depths))

    def describe(self, style: Tensor) -> StyleStatistics:
        """Statistics of a style (1, 3, h, w) in [0, 1]."""
        return StyleStatistics((statistics(self.encoder(style)),), *color_statistics(style))

    def render(self, content: Tensor, style: StyleStatistics, alpha: float = 1.0) -> Tensor:
        """As `forward`, of statistics; mixed ones give the interpolation of §7.3."""
        feature = self.encoder(content)
        return self.decoder(torch.lerp(feature, adain(feature, *style.features[-1]), alpha))

    def forward(self, content: Tensor, style: Tensor, alpha: float = 1.0) -> Tensor:
        """Content (B, 3, H, W) in the manner of style (B, 3, h, w), all in [0, 1].

        Args:
            alpha: 0 decodes the content's own feature, 1 the style's statistics.

        Returns:
            (B, 3, H', W'), H and W rounded up to multiples of 8; not clamped.
        """
        feature = self.encoder(content)
        target = adain(feature, *statistics(self.encoder(style)))
        return self.decoder(torch.lerp(feature, target, alpha))


def statistics(feature: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (unbiased, with `EPSILON`) of (B, C, H, W) over space, (B, C, 1, 1) each.

    A feature of a single position has the deviation of `EPSILON` alone.
    """
    flat = feature.flatten(2)
    unbiased = 1 if flat.shape[2] > 1 else 0
    variance = flat.var(dim=2, correction=unbiased)
    return flat.mean(dim=2)[..., None, None], (variance + EPSILON).sqrt()[..., None, None]


def adain(content: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Content (B, C, H, W) with these statistics (B, C, 1, 1) instead of its own (§5)."""
    own_mean, own_deviation = statistics(content)
    return (content - own_mean) / own_deviation * deviation + mean


def adain_losses(
    network: AdaINNetwork, content: Tensor, style: Tensor, alpha: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Content and style loss of one pass (§6.2), before weighting.

    The content's target is the mixed feature; the style's are mean and deviation at relu1_1 to
    relu4_1, mean squared differences over channels and batch, summed.

    Args:
        content, style: (B, 3, H, W) each in [0, 1]; sizes may differ.
    """
    with torch.no_grad():
        wanted = [statistics(feature) for feature in network.encoder.features(style)]
        feature = network.encoder(content)
        target = torch.lerp(feature, adain(feature, *wanted[-1]), alpha)
    found = network.encoder.features(network.decoder(target))
    style_loss = torch.zeros((), device=content.device)
    for feature, (mean, deviation) in zip(found, wanted, strict=True):
        own_mean, own_deviation = statistics(feature)
        style_loss = style_loss + F.mse_loss(own_mean, mean) + F.mse_loss(own_deviation, deviation)
    return F.mse_loss(found[-1], target), style_loss


def match_colors(source: Tensor, target: Tensor) -> Tensor:
    """`source` (3, h, w) with mean and covariance of the colors of `target` (3, H, W): CORAL.

    As the published port has it: whitening and coloring of standardized colors, covariances
    summed over pixels plus the identity. Both in [0, 1]; the answer may leave it.
    """

    def standardized(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        flat = image.flatten(1).double()
        mean, deviation = flat.mean(1, keepdim=True), flat.std(1, keepdim=True)
        return (flat - mean) / deviation.clamp_min(1e-8), mean, deviation

    def root(flat: Tensor, power: float) -> Tensor:
        covariance = flat @ flat.T + torch.eye(3, dtype=flat.dtype, device=flat.device)
        values, vectors = torch.linalg.eigh(covariance)
        return vectors @ torch.diag(values.pow(power)) @ vectors.T

    flat, _, _ = standardized(source)
    wanted, mean, deviation = standardized(target)
    moved = root(wanted, 0.5) @ root(flat, -0.5) @ flat
    return (moved * deviation + mean).view_as(source).to(source.dtype)
