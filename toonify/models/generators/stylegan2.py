"""StyleGAN2's generator (arXiv 1912.04958), skip architecture, unconditional."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from toonify.models.base import Generator, LayerInfo, Noise
from toonify.models.layers import EqualLinear, StyledConv, ToRGB, fast_layout, pixel_norm
from toonify.models.modules import Modules


def channel_table(
    resolution: int, *, channel_base: int = 32768, channel_max: int = 512
) -> dict[int, int]:
    """Feature channels at each resolution from 4 up: min(channel_base / resolution, channel_max).

    rosinality's channel multiplier c is `channel_base` = 16384·c with 512 channels kept up to
    32×32 (c = 2 for the official FFHQ weights); NVIDIA's options have these names.
    """
    sizes = [2**i for i in range(2, int(math.log2(resolution)) + 1)]
    return {size: min(channel_base // size, channel_max) for size in sizes}


def check_channels(resolution: int, channels: Mapping[Any, int]) -> dict[int, int]:
    """Channel table with integer keys; ValueError unless it covers 4, 8, … resolution."""
    table = {int(size): int(count) for size, count in channels.items()}
    if resolution < 8 or resolution & (resolution - 1):
        raise ValueError(f"resolution must be a power of two, at least 8, not {resolution}")
    sizes = list(channel_table(resolution))
    if sorted(table) != sizes:
        raise ValueError(f"channels must name the resolutions {sizes}, not {sorted(table)}")
    return {size: table[size] for size in sizes}


class SynthesisBlock(nn.Module):
    """Doubles the resolution: up-convolution, convolution, tRGB added to the upsampled image."""

    def __init__(
        self, in_channels: int, channels: int, w_dim: int, *, resolution: int, clamp: float | None
    ) -> None:
        super().__init__()
        self.up = StyledConv(
            in_channels, channels, w_dim, resolution=resolution, up=True, clamp=clamp
        )
        self.conv = StyledConv(channels, channels, w_dim, resolution=resolution, clamp=clamp)
        self.to_rgb = ToRGB(channels, w_dim, clamp=clamp)


class StyleGAN2Layers(Generator):
    """StyleGAN2's mapping network and synthesis layers, to any resolution.

    `StyleGAN2Generator` is these layers, `HybridGenerator` goes on from them. State-dict names:
    `mapper.0…`, `const`, `conv1`, `to_rgb1`, `blocks.b.{up,conv,to_rgb}`, `w_avg`; block b works
    at resolution 8·2^b.

    Args:
        resolution: height and width of the last layer, a power of two, at least 8.
        channels: feature channels at each resolution, see `channel_table`; JSON's string keys do.
        mapping_layers: fully connected layers from z to w.
        conv_clamp: limit on every layer's output (NVIDIA trains with 256), None for none.
    """

    folded: ClassVar[tuple[str, ...]] = ()  # parts without equalized learning rates

    def __init__(
        self,
        *,
        resolution: int,
        channels: Mapping[Any, int],
        w_dim: int = 512,
        z_dim: int = 512,
        mapping_layers: int = 8,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.channels = check_channels(resolution, channels)
        self.resolution, self.w_dim, self.z_dim = resolution, w_dim, z_dim
        self.mapping_layers, self.conv_clamp = mapping_layers, conv_clamp
        self.mapper = nn.Sequential(
            *(
                EqualLinear(w_dim if i else z_dim, w_dim, lr_multiplier=0.01, activate=True)
                for i in range(mapping_layers)
            )
        )
        width = self.channels[4]
        self.const = nn.Parameter(torch.randn(1, width, 4, 4))
        self.conv1 = StyledConv(width, width, w_dim, resolution=4, clamp=conv_clamp)
        self.to_rgb1 = ToRGB(width, w_dim, clamp=conv_clamp)
        self.blocks: Modules[SynthesisBlock] = Modules()
        infos = [
            LayerInfo("conv1", 4, 0, "conv", width),
            LayerInfo("to_rgb1", 4, 1, "rgb", width),
        ]
        for b, (size, count) in enumerate(list(self.channels.items())[1:]):
            self.blocks.append(
                SynthesisBlock(width, count, w_dim, resolution=size, clamp=conv_clamp)
            )
            infos += [
                LayerInfo(f"blocks.{b}.up", size, 2 * b + 1, "conv", width),
                LayerInfo(f"blocks.{b}.conv", size, 2 * b + 2, "conv", count),
                LayerInfo(f"blocks.{b}.to_rgb", size, 2 * b + 3, "rgb", count),
            ]
            width = count
        self.layers = tuple(infos)
        self.num_ws = 2 * len(self.channels)
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def mapping(self, z: Tensor, *, truncation_psi: float = 1.0) -> Tensor:
        """z (B, z_dim) standard normal → w (B, w_dim), drawn to `w_avg` as psi goes to 0."""
        w = self.mapper(pixel_norm(z))
        return w if truncation_psi == 1.0 else self.w_avg.lerp(w, truncation_psi)

    def mapping_weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each mapping layer, as they multiply."""
        return [
            (layer.weight * layer.weight_gain, layer.bias * layer.lr_multiplier)
            for layer in cast(Sequence[EqualLinear], self.mapper)
        ]

    def affine(self, layer: LayerInfo) -> nn.Module:
        """What gives a layer's style from its row of w+."""
        return cast(StyledConv | ToRGB, self.get_submodule(layer.name)).affine

    def styles(self, w_plus: Tensor) -> list[Tensor]:
        """w+ (B, num_ws, w_dim) → one (B, C_i) tensor a layer, in the order of `layers`."""
        return [self.affine(layer)(w_plus[:, layer.latent_index]) for layer in self.layers]

    @property
    def fusion_channels(self) -> list[int]:
        """Widths of the features that StyleGANEX's encoder may fuse into, before each block."""
        raise NotImplementedError

    def partial_images(
        self, styles: Sequence[Tensor], *, resolution: int | None = None, noise: Noise = "const"
    ) -> list[Tensor]:
        """The sums of tRGB outputs after each block, (B, 3, 4, 4), (B, 3, 8, 8), …

        Args:
            resolution: of the last one; the generator's when None. Later blocks are not run.
        """
        raise NotImplementedError

    def tail(
        self, x: Tensor, image: Tensor, styles: Sequence[Tensor], *, noise: Noise = "const"
    ) -> Tensor:
        """The image from what the layers end with: features and the image so far, of any size.

        Args:
            styles: the whole list.
        """
        raise NotImplementedError

    def stages(
        self,
        styles: Sequence[Tensor],
        noise: Noise = "const",
        *,
        fuse: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(resolution, activations, image so far) after each block.

        Args:
            fuse: gives what takes the place of the activations (B, C, R, R) between a block's two
                convolutions.
        """
        if len(styles) != len(self.layers):
            raise ValueError(f"expected {len(self.layers)} styles, got {len(styles)}")
        batch = styles[0].shape[0]

        def run(layer: StyledConv, x: Tensor, style: Tensor) -> Tensor:
            shape = (batch, *layer.noise_const.shape[1:])
            if noise == "const":
                return layer(x, style, layer.noise_const)
            return layer(x, style, x.new_empty(shape).normal_() if noise == "random" else None)

        steps = iter(styles)
        x = fast_layout(self.const.expand(batch, -1, -1, -1))
        x = run(self.conv1, x, next(steps))
        image = self.to_rgb1(x, next(steps), None)
        yield 4, x, image
        for size, block in zip(list(self.channels)[1:], self.blocks, strict=True):
            x = run(block.up, x, next(steps))
            if fuse is not None:
                x = fuse(size, x)
            x = run(block.conv, x, next(steps))
            image = block.to_rgb(x, next(steps), image)
            yield size, x, image


class StyleGAN2Generator(StyleGAN2Layers):
    """Mapping network and synthesis network.

    Loads rosinality's, NVIDIA's and pSp's weights through `toonify.checkpoints`; arguments as of
    `StyleGAN2Layers`, whose last layer is the image's.
    """

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "stylegan2"."""
        return {
            "architecture": "stylegan2",
            "resolution": self.resolution,
            "channels": {str(size): count for size, count in self.channels.items()},
            "w_dim": self.w_dim,
            "z_dim": self.z_dim,
            "mapping_layers": self.mapping_layers,
            "conv_clamp": self.conv_clamp,
        }

    @property
    def fusion_channels(self) -> list[int]:
        """Widths before each block."""
        return list(self.channels.values())[:-1]

    def tail(
        self, x: Tensor, image: Tensor, styles: Sequence[Tensor], *, noise: Noise = "const"
    ) -> Tensor:
        """The image so far: nothing comes after."""
        return image

    def synthesize(self, styles: Sequence[Tensor], *, noise: Noise = "const") -> Tensor:
        """Styles in the order of `layers` → image (B, 3, R, R), about [-1, 1], not clamped.

        Args:
            noise: "const" for the stored maps, "random" for fresh ones, "zero" for none.
        """
        _, _, image = deque(self.stages(styles, noise), maxlen=1).pop()
        return image

    def features(
        self, styles: Sequence[Tensor], *, resolution: int, noise: Noise = "const"
    ) -> Tensor:
        """Activations (B, C, resolution, resolution) after the block of that resolution."""
        return next(x for size, x, _ in self.stages(styles, noise) if size == resolution)

    def partial_images(
        self, styles: Sequence[Tensor], *, resolution: int | None = None, noise: Noise = "const"
    ) -> list[Tensor]:
        """The sums of tRGB outputs after each block, (B, 3, 4, 4), (B, 3, 8, 8), …

        Args:
            resolution: of the last one; the generator's when None. Later blocks are not run.
        """
        last, images = resolution or self.resolution, []
        for size, _, image in self.stages(styles, noise):
            images.append(image)
            if size == last:
                break
        return images
