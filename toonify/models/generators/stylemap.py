"""StyleMapGAN (Kim et al., CVPR 2021, arXiv 2104.14754): a latent with places.

The intermediate latent is a map of 8×8 and more; every layer is normalized as a whole and then
scaled and shifted place by place. Module names are the published ones, so state dicts load as they
are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import ModelError
from toonify.models.layers import BLUR_TAPS, SQRT2, EqualLinear, leaky, pixel_norm

STYLE_CHANNELS = 64
MAPPING_LAYERS = 8
# Channels of the light design, which two CPU cores train in an hour
LIGHT_WIDTHS = {8: 128, 16: 96, 32: 64, 64: 32, 128: 16, 256: 8, 512: 8}
WIDTHS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64, 512: 32, 1024: 16}


class _Blur(nn.Module):
    """The low-pass filter, times `gain`; its kernel is a state-dict entry."""

    kernel: Tensor

    def __init__(self, padding: int, *, gain: float = 1.0) -> None:
        super().__init__()
        taps = torch.tensor(BLUR_TAPS, dtype=torch.float32)
        self.register_buffer("kernel", gain * torch.outer(taps, taps) / taps.sum() ** 2)
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel.expand(x.shape[1], 1, 4, 4)
        return F.conv2d(x, kernel, padding=self.padding, groups=x.shape[1])


class _Conv(nn.Module):
    """Convolution with equalized learning rate."""

    def __init__(
        self,
        given: int,
        taken: int,
        size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(taken, given, size, size))
        self.bias = None if bias is None else nn.Parameter(torch.full((taken,), bias))
        self.gain = 1 / math.sqrt(given * size * size)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.gain
        return F.conv2d(x, weight, self.bias, stride=self.stride, padding=self.padding)


class _Spread(_Conv):
    """The same transposed, with stride 2."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, (self.weight * self.gain).transpose(0, 1), stride=2)


class _Activation(nn.Module):
    """Bias, leaky ReLU, gain √2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return leaky((x + self.bias[:, None, None]) * SQRT2)


def _plain(given: int, taken: int, size: int = 3) -> nn.Sequential:
    return nn.Sequential(_Conv(given, taken, size, padding=size // 2), _Activation(taken))


def _up(given: int, taken: int) -> nn.Sequential:
    return nn.Sequential(_Spread(given, taken, 3), _Blur(1, gain=4.0), _Activation(taken))


class ModulatedConv(nn.Module):
    """The feature normalized as a whole, scaled and shifted by a stylemap, then convolved."""

    def __init__(
        self, given: int, taken: int, size: int, style_channels: int, *, up: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, taken, given, size, size))
        self.gamma = _Conv(style_channels, given, 3, padding=1, bias=1.0)
        self.beta = _Conv(style_channels, given, 3, padding=1, bias=0.0)
        self.blur = _Blur(1, gain=4.0) if up else None
        self.gain, self.padding = 1 / math.sqrt(given * size * size), size // 2

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x (B, C, H, W), stylemap (B, C', H, W) → (B, C'', H, W), or twice that size."""
        x = F.layer_norm(x, x.shape[1:])
        x = x * self.gamma(style) + self.beta(style)
        weight = self.weight[0] * self.gain
        if self.blur is None:
            return F.conv2d(x, weight, padding=self.padding)
        return self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))


class StyledLayer(nn.Module):
    """Modulated convolution and activation."""

    def __init__(
        self, given: int, taken: int, style_channels: int, *, size: int = 3, up: bool = False
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv(given, taken, size, style_channels, up=up)
        self.activate = _Activation(taken)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return self.activate(self.conv(x, style))


class StyledBlock(nn.Module):
    """Up-convolution and convolution beside a 1×1 up-sampled shortcut, over √2."""

    def __init__(self, given: int, taken: int, up_style: int, style: int) -> None:
        super().__init__()
        self.conv1 = StyledLayer(given, taken, up_style, up=True)
        self.conv2 = StyledLayer(taken, taken, style)
        self.skip = nn.Sequential(_Spread(given, taken, 1), _Blur(2, gain=4.0))

    def forward(self, x: Tensor, up_style: Tensor, style: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x, up_style), style) + self.skip(x)) / SQRT2


class _Constant(nn.Module):
    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, size, size))


class StyleMapDecoder(nn.Module):
    """Stylemap → picture."""

    def __init__(self, size: int, map_size: int, widths: dict[int, int], *, small: bool) -> None:
        super().__init__()
        sizes = [2**k for k in range(int(math.log2(map_size)), int(math.log2(size)) + 1)]

        def style(at: int) -> int:
            return STYLE_CHANNELS if small else widths[at]

        first = sizes[0]
        self.input = _Constant(widths[first], first)
        self.conv1 = StyledLayer(widths[first], widths[first], style(first))
        self.convs = nn.ModuleList()
        self.convs_latent = nn.ModuleList(
            [_plain(STYLE_CHANNELS, style(first)), _plain(style(first), style(first))]
        )
        for below, at in pairwise(sizes):
            self.convs.append(StyledBlock(widths[below], widths[at], style(below), style(at)))
            self.convs_latent.append(_up(style(below), style(at)))
            self.convs_latent.append(_plain(style(at), style(at)))
        self.to_rgb = StyledLayer(widths[size], 3, style(size), size=1)

    def resize(self, stylemap: Tensor) -> list[Tensor]:
        """(B, 64, S, S) → a stylemap for every layer, w+ (latents 0, 1, …)."""
        stylemaps = []
        for layer in self.convs_latent:
            stylemap = layer(stylemap)
            stylemaps.append(stylemap)
        return stylemaps

    def forward(self, stylemaps: list[Tensor]) -> Tensor:
        """Stylemaps of all layers → (B, 3, R, R), about [-1, 1], not clamped."""
        x = self.input.input.expand(len(stylemaps[0]), -1, -1, -1)
        x = self.conv1(x, stylemaps[0])
        for index, block in enumerate(self.convs):
            x = block(x, stylemaps[2 * index + 1], stylemaps[2 * index + 2])
        return self.to_rgb(x, stylemaps[-1])


class StyleMapGenerator(nn.Module):
    """Mapping of z to a stylemap, where there is one, and its decoder.

    Args:
        size: height and width of pictures.
        map_size: of the stylemap, 8 by default.
        channel_multiplier: on widths from 64×64 on; 2 as published.
        small: stylemaps of all layers have 64 channels (the published `small_generator`).
        widths: channels at each resolution, instead of the multiplied ones.
        mapping: whether z is mapped; without, stylemaps are encoded from pictures alone.
    """

    mapping_z: nn.Sequential | None

    def __init__(
        self,
        *,
        size: int,
        map_size: int = 8,
        channel_multiplier: int = 2,
        small: bool = False,
        widths: dict[int, int] | None = None,
        mapping: bool = True,
    ) -> None:
        super().__init__()
        self.size, self.map_size, self.small = size, map_size, small
        self.widths = stylemap_widths(channel_multiplier) if widths is None else dict(widths)
        self.mapping_z = self._mapping_network() if mapping else None
        self.decoder = StyleMapDecoder(size, map_size, self.widths, small=small)

    def _mapping_network(self) -> nn.Sequential:
        layers: list[nn.Module] = [nn.Identity()]
        for index in range(MAPPING_LAYERS):
            last = index == MAPPING_LAYERS - 1
            taken = STYLE_CHANNELS * (self.map_size**2 if last else 1)
            layers.append(EqualLinear(STYLE_CHANNELS, taken, lr_multiplier=0.01, activate=True))
        return nn.Sequential(*layers)

    def mapping(
        self, z: Tensor, *, mean: Tensor | None = None, truncation_psi: float = 1.0
    ) -> Tensor:
        """z (B, 64) → stylemap (B, 64, S, S).

        Args:
            mean: (1, 64·S²) of many z's maps, which psi below 1 leads towards.
        """
        flat = self.flat(z)
        if mean is not None and truncation_psi < 1:
            flat = mean.lerp(flat, truncation_psi)
        return flat.view(len(z), STYLE_CHANNELS, self.map_size, self.map_size)

    def flat(self, z: Tensor) -> Tensor:
        """z (B, 64) → (B, 64·S²).

        Raises:
            ModelError: the generator has no mapping network.
        """
        if self.mapping_z is None:
            raise ModelError(
                "this StyleMapGAN has no mapping network", hint="Encode pictures instead of z."
            )
        return self.mapping_z(pixel_norm(z))

    def forward(self, stylemap: Tensor) -> Tensor:
        """(B, 64, S, S) → picture (B, 3, R, R), about [-1, 1], not clamped."""
        return self.decoder(self.decoder.resize(stylemap))


class _Residual(nn.Module):
    """Two convolutions, the second one halving, beside a shortcut, over √2."""

    def __init__(self, given: int, taken: int) -> None:
        super().__init__()
        self.conv1 = _plain(given, given)
        self.conv2 = nn.Sequential(_Blur(2), _Conv(given, taken, 3, stride=2), _Activation(taken))
        self.skip = nn.Sequential(_Blur(1), _Conv(given, taken, 1, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x)) + self.skip(x)) / SQRT2


class StyleMapEncoder(nn.Module):
    """Picture (B, 3, R, R) in [-1, 1] → stylemap (B, 64, S, S).

    Args:
        size, map_size, channel_multiplier: as the generator's.
    """

    def __init__(
        self,
        *,
        size: int,
        map_size: int = 8,
        channel_multiplier: int = 2,
        widths: dict[int, int] | None = None,
    ) -> None:
        super().__init__()
        widths = stylemap_widths(channel_multiplier) if widths is None else widths
        self.from_rgb = _plain(3, widths[size], 1)
        self.convs = nn.ModuleList()
        while size > map_size:
            self.convs.append(_Residual(widths[size], widths[size // 2]))
            size //= 2
        self.final_conv = _plain(widths[size], STYLE_CHANNELS)

    def forward(self, image: Tensor) -> Tensor:
        x = self.from_rgb(image)
        for block in self.convs:
            x = block(x)
        return self.final_conv(x)


class StyleMapGAN(nn.Module):
    """Generator and encoder that were trained together, in one file.

    Args:
        size, map_size, small, widths, mapping: as `StyleMapGenerator`'s; widths may have strings
            for keys, as JSON does.

    Examples:
        >>> network = StyleMapGAN(size=128, map_size=16, widths=LIGHT_WIDTHS, mapping=False)
        >>> network(torch.zeros(1, 3, 128, 128)).shape
        torch.Size([1, 3, 128, 128])
    """

    def __init__(
        self,
        *,
        size: int,
        map_size: int,
        widths: Mapping[Any, int],
        small: bool = False,
        mapping: bool = True,
    ) -> None:
        super().__init__()
        table = {int(at): int(width) for at, width in widths.items()}
        table = {at: width for at, width in table.items() if map_size <= at <= size}
        self.generator = StyleMapGenerator(
            size=size, map_size=map_size, small=small, widths=table, mapping=mapping
        )
        self.encoder = StyleMapEncoder(size=size, map_size=map_size, widths=table)

    @property
    def size(self) -> int:
        """Height and width of pictures."""
        return self.generator.size

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "stylemap"."""
        generator = self.generator
        return {
            "architecture": "stylemap",
            "size": generator.size,
            "map_size": generator.map_size,
            "small": generator.small,
            "widths": {str(at): width for at, width in generator.widths.items()},
            "mapping": generator.mapping_z is not None,
        }

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, R, R) in [-1, 1] → its reconstruction, not clamped."""
        return self.generator(self.encoder(image))


def stylemap_widths(channel_multiplier: int) -> dict[int, int]:
    """Channels at each resolution, as published."""
    return {at: width * (channel_multiplier if at >= 64 else 1) for at, width in WIDTHS.items()}
