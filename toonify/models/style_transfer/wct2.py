"""Photorealistic style transfer by wavelet-corrected whitening and coloring: WCT2.

Yoo et al., arXiv 1903.09760. Haar wavelets pool and unpool VGG-19's features, so that nothing is
lost on the way through; statistics are exchanged in one pass. State-dict names are the published
ones. The transfer follows the paper's mathematics.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.style_transfer.statistics import color_statistics, large, recolored

Unpooling = Literal["cat5", "sum"]
Skips = dict[str, Tensor]  # pool1_LH …, and conv1 … where bands are concatenated
Labels = tuple[Tensor, Tensor]  # content's and style's (H, W), integers

BANDS = ("LL", "LH", "HL", "HH")
WIDTHS = (64, 128, 256, 512)
VGG19_DEPTHS = (2, 2, 4)  # convolutions before each pooling; one more follows the last
LEAST_PIXELS = 10  # of a label, in either picture
LARGEST_RATIO = 100  # of a label's areas
LEAST_EIGENVALUE = 1e-5

_HAAR = {
    "LL": ((0.5, 0.5), (0.5, 0.5)),
    "LH": ((-0.5, 0.5), (-0.5, 0.5)),
    "HL": ((-0.5, -0.5), (0.5, 0.5)),
    "HH": ((0.5, -0.5), (-0.5, 0.5)),
}


class _Filter(nn.Module):
    """One Haar filter, a state-dict entry (C, 1, 2, 2) as in the published network."""

    weight: Tensor

    def __init__(self, channels: int, band: str) -> None:
        super().__init__()
        taps = torch.tensor(_HAAR[band]).expand(channels, 1, 2, 2)
        self.register_buffer("weight", taps.clone())


class WavePool(nn.Module):
    """(B, C, H, W), even → four bands (B, C, H/2, W/2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for band in BANDS:
            self.add_module(band, _Filter(channels, band))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        # sums of the four corners, which is what the filters are
        a, b = x[..., ::2, ::2], x[..., ::2, 1::2]
        c, d = x[..., 1::2, ::2], x[..., 1::2, 1::2]
        top, bottom, left, right = a + b, c + d, b - a, d - c
        return (
            (top + bottom) / 2,
            (left + right) / 2,
            (bottom - top) / 2,
            (right - left) / 2,
        )


class WaveUnpool(nn.Module):
    """Four bands → (B, C, 2H, 2W) summed, or with the feature itself, (B, 5C, 2H, 2W)."""

    def __init__(self, channels: int, unpooling: Unpooling) -> None:
        super().__init__()
        self.unpooling = unpooling
        for band in BANDS:
            self.add_module(band, _Filter(channels, band))

    def forward(self, bands: Sequence[Tensor], original: Tensor | None = None) -> Tensor:
        parts = [_spread(band, name) for band, name in zip(bands, BANDS, strict=True)]
        if self.unpooling == "sum":
            return parts[0] + parts[1] + parts[2] + parts[3]
        if original is None:
            raise ValueError("cat5 needs the feature that was pooled")
        return torch.cat([*parts, original], dim=1)


def _spread(band: Tensor, name: str) -> Tensor:
    """A band's part of the unpooled feature."""
    batch, channels, height, width = band.shape
    taps = torch.tensor(_HAAR[name], dtype=band.dtype, device=band.device)
    spread = band[:, :, :, None, :, None] * taps[:, None, :]
    return spread.reshape(batch, channels, 2 * height, 2 * width)


class WCT2Encoder(nn.Module):
    """VGG to conv4_1, or fewer levels, with wavelet pooling.

    Args:
        depths: convolutions before each pooling; one more follows the last.
    """

    def __init__(self, unpooling: Unpooling, depths: Sequence[int] = VGG19_DEPTHS) -> None:
        super().__init__()
        self.unpooling, self.depths = unpooling, tuple(depths)
        self.conv0 = nn.Conv2d(3, 3, 1)
        channels = 3
        for level, count in enumerate((*depths, 1), start=1):
            width = WIDTHS[level - 1]
            for index in range(count):
                self.add_module(f"conv{level}_{index + 1}", nn.Conv2d(channels, width, 3))
                channels = width
            if level <= len(depths):
                self.add_module(f"pool{level}", WavePool(width))

    def encode(self, x: Tensor, skips: Skips, level: int) -> Tensor:
        """The next feature after that of `level` - 1; picture (B, 3, H, W) in [0, 1] at first.

        Cuts are after the first convolution of each level where bands are concatenated, after each
        pooling (and the last convolution) where they are summed. Bands and features that the
        decoder needs go to `skips`.
        """
        if level == 1:
            x = self._conv("conv1_1", self.conv0(x))
        if self.unpooling == "cat5":
            if level > 1:
                x = self._conv(f"conv{level}_1", self._finish(x, skips, level - 1))
            return x
        if level > 1:
            x = self._conv(f"conv{level}_1", x)
        return self._finish(x, skips, level) if level <= len(self.depths) else x

    def _finish(self, x: Tensor, skips: Skips, level: int) -> Tensor:
        """Further convolutions of a level, and its pooling."""
        depth = self.depths[level - 1]
        for index in range(2, depth + 1):
            x = self._conv(f"conv{level}_{index}", x)
        if self.unpooling == "cat5":
            skips[f"conv{level}"] = x
        low, *high = self.get_submodule(f"pool{level}")(x)
        for band, value in zip(BANDS[1:], high, strict=True):
            skips[f"pool{level}_{band}"] = value
        return low

    def _conv(self, name: str, x: Tensor) -> Tensor:
        return _conv(self.get_submodule(name), x, relu=True)


class WCT2Decoder(nn.Module):
    """The encoder mirrored, with wavelet unpooling."""

    def __init__(self, unpooling: Unpooling, depths: Sequence[int] = VGG19_DEPTHS) -> None:
        super().__init__()
        self.unpooling, self.depths = unpooling, tuple(depths)
        times, suffix = (5, "_2") if unpooling == "cat5" else (1, "")
        top = len(depths) + 1
        self.add_module(f"conv{top}_1", nn.Conv2d(WIDTHS[top - 1], WIDTHS[top - 2], 3))
        for level in range(len(depths), 0, -1):
            width, below = WIDTHS[level - 1], (3, *WIDTHS)[level - 1]
            self.add_module(f"recon_block{level}", WaveUnpool(width, unpooling))
            count = depths[level - 1]
            for index in range(count, 0, -1):
                name = f"conv{level}_{index}" + (suffix if index == count else "")
                given = width * times if index == count else width
                self.add_module(name, nn.Conv2d(given, below if index == 1 else width, 3))

    def decode(self, x: Tensor, skips: Skips, level: int) -> Tensor:
        """Feature of that level → that of the level below; of level 1 the picture, not clamped."""
        if level == 1:
            return _conv(self.get_submodule("conv1_1"), x, relu=False)
        x = _conv(self.get_submodule(f"conv{level}_1"), x, relu=True)
        below = level - 1
        bands = [x, *(skips[f"pool{below}_{band}"] for band in BANDS[1:])]
        x = self.get_submodule(f"recon_block{below}")(bands, skips.get(f"conv{below}"))
        names = [name for name, _ in self.named_children() if name.startswith(f"conv{below}_")]
        for name in names[:-1]:  # from the last convolution of the level down to its second
            x = _conv(self.get_submodule(name), x, relu=True)
        return x


def _conv(layer: nn.Module, x: Tensor, *, relu: bool) -> Tensor:
    x = layer(F.pad(x, (1, 1, 1, 1), mode="reflect"))
    return F.relu_(x) if relu and not x.requires_grad else F.relu(x) if relu else x


class WCT2(nn.Module):
    """Encoder, decoder and the transfer between them.

    Args:
        unpooling: "cat5" concatenates the bands and the pooled feature, as recommended; "sum"
            adds the bands.
        depths: of the encoder; the published network's by default.
        colors: colors of larger areas are moved by optimal transport; for shallow encoders, whose
            features don't tell them.
    """

    def __init__(
        self,
        *,
        unpooling: Unpooling = "cat5",
        depths: Sequence[int] = VGG19_DEPTHS,
        colors: bool = False,
    ) -> None:
        super().__init__()
        self.unpooling, self.depths, self.colors = unpooling, tuple(depths), colors
        self.encoder = WCT2Encoder(unpooling, depths)
        self.decoder = WCT2Decoder(unpooling, depths)

    @property
    def stride(self) -> int:
        """What heights and widths must be multiples of."""
        return int(2 ** len(self.depths))

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "wct2"."""
        return {
            "architecture": "wct2",
            "unpooling": self.unpooling,
            "depths": list(self.depths),
            "colors": self.colors,
        }

    @torch.no_grad()
    def transfer(
        self,
        content: Tensor,
        style: Tensor,
        *,
        alpha: float = 1.0,
        places: Collection[str] = ("encoder", "skips", "decoder"),
        labels: Labels | None = None,
    ) -> Tensor:
        """Content (1, 3, H, W) with the style's (1, 3, h, w) colors and light, both in [0, 1].

        Args:
            alpha: how much of the exchange is taken, everywhere it happens.
            places: of "encoder", "skips" (high-frequency bands) and "decoder".
            labels: (H, W) and (h, w) integers; statistics are exchanged label by label.

        Returns:
            (1, 3, H, W), not clamped. Sizes must be multiples of `stride`.
        """
        content_skips: Skips = {}
        style_skips: Skips = {}
        style_features: dict[int, Tensor] = {}
        x, y = content, style
        levels = range(1, len(self.depths) + 2)
        for level in levels:
            x = self.encoder.encode(x, content_skips, level)
            y = self.encoder.encode(y, style_skips, level)
            if "decoder" in places:
                style_features[level] = y
            if "encoder" in places:
                x = exchange(x, y, alpha=alpha, labels=labels)
        if "skips" in places:
            for name in list(content_skips):
                if name.startswith("pool"):
                    content_skips[name] = exchange(
                        content_skips[name], style_skips[name], alpha=alpha, labels=labels
                    )
        y = y if "decoder" in places else x
        for level in reversed(levels):
            # the deepest level has been stylised already where the encoder was
            if "decoder" in places and (level < levels[-1] or "encoder" not in places):
                x = exchange(x, y, alpha=alpha, labels=labels)
            x = self.decoder.decode(x, content_skips, level)
            if "decoder" in places and level > 1:
                y = self.decoder.decode(y, style_skips, level)
        if self.colors:
            wanted = torch.lerp(content, moved_colors(content, style, labels), alpha)
            x = x + large(wanted - x)
        return x


def moved_colors(content: Tensor, style: Tensor, labels: Labels | None) -> Tensor:
    """Content (1, 3, H, W) with the style's mean and covariance of colors, label by label."""
    if labels is None:
        return recolored(content, *color_statistics(style))
    moved = content.clone()
    for label in common_labels(*labels):
        here, there = labels[0] == label, labels[1] == label
        part, given = content[:, :, here][..., None], style[:, :, there][..., None]
        moved[:, :, here] = recolored(part, *color_statistics(given))[..., 0]
    return moved


def exchange(
    content: Tensor, style: Tensor, *, alpha: float = 1.0, labels: Labels | None = None
) -> Tensor:
    """Content feature (1, C, H, W) whitened, and colored as the style's (1, C, h, w).

    Args:
        alpha: share of it; the rest stays the content's.
        labels: as `WCT2.transfer`'s, of any size; they are resized to the features by nearest
            pixel centers.
    """
    flat, given = content[0].flatten(1), style[0].flatten(1)
    if labels is None:
        moved = whiten_and_color(flat, given)
    else:
        moved = flat.clone()
        own, theirs = (
            _resized(label, feature)
            for label, feature in zip(labels, (content, style), strict=True)
        )
        for label in common_labels(*labels):
            here, there = (own == label).flatten(), (theirs == label).flatten()
            if here.any() and there.any():
                moved[:, here] = whiten_and_color(flat[:, here], given[:, there])
    return torch.lerp(content, moved.view_as(content), alpha)


def common_labels(content: Tensor, style: Tensor) -> list[int]:
    """Labels that count: of both pictures, of some size, and not too unlike in area."""
    found = []
    for label in content.unique().tolist():
        areas = [int((side == label).sum()) for side in (content, style)]
        small, large = min(areas), max(areas)
        if small > LEAST_PIXELS and large < LARGEST_RATIO * small:
            found.append(int(label))
    return found


def whiten_and_color(content: Tensor, style: Tensor, weight: float = 1.0) -> Tensor:
    """(C, N) with the covariance (plus 1) and mean of (C, M), kept in the content's range.

    Args:
        weight: of the coloring.
    """
    mean, white = _root(content, -0.5)
    style_mean, color = _root(style, 0.5)
    transform = (weight * color) @ white
    low, high = content.min(), content.max()
    moved = transform.to(content.dtype) @ (content - mean)
    return moved.add_(style_mean).clamp_(low, high)


def _root(feature: Tensor, power: float) -> tuple[Tensor, Tensor]:
    """Mean (C, 1), and covariance + 1 to this power (C, C)."""
    mean = feature.mean(dim=1, keepdim=True)
    count, channels = feature.shape[1], feature.shape[0]
    centered = feature - mean
    covariance = centered @ centered.T / max(count - 1, 1)
    del centered
    covariance = covariance + torch.eye(channels, dtype=feature.dtype, device=feature.device)
    values, vectors = torch.linalg.eigh(covariance)
    powers = torch.where(values < LEAST_EIGENVALUE, 0.0, values.clamp_min(1e-12).pow(power))
    return mean, (vectors * powers) @ vectors.T


def _resized(labels: Tensor, feature: Tensor) -> Tensor:
    size = (feature.shape[2], feature.shape[3])
    return F.interpolate(labels[None, None].float(), size, mode="nearest-exact")[0, 0].long()
