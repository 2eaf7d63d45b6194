"""StyleGAN2's layers up to 32×32, a compact generator's from there on (ours).

StyleGANEX (arXiv 2303.06146) refactors the layers up to 32×32 alone. The later ones are local and
serve frames of any size as they are, so a compact generator (arXiv 2104.04767) keeps its own, and
with them its sharpness; only what it computes up to 32×32 has to be learnt anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from toonify.models.base import LayerInfo, Noise
from toonify.models.generators.mobile import Block, Fuse, ImageHead, finish, run_blocks
from toonify.models.generators.stylegan2 import StyleGAN2Layers
from toonify.models.layers import EqualConv2d, StyledConv, ToRGB
from toonify.models.modules import Modules

JUNCTION = 32  # resolution of the last of StyleGAN2's layers


class HybridGenerator(StyleGAN2Layers):
    """StyleGAN2's layers up to 32×32, whose features a compact generator's later blocks go on from.

    Rows of w+ are those of a StyleGAN2 or compact generator of the whole resolution. The tRGB
    layers up to 32×32 give partial images, which are no part of the final one.

    Args:
        resolution: height and width of the image, a power of two, at least 128.
        channels: of the layers at 4×4 to 32×32.
        junction: channels that the first compact block takes.
        deep: channels after each compact block (64×64, …, R/2).
    """

    folded = ("deep", "to_img")

    def __init__(
        self,
        *,
        resolution: int,
        channels: Mapping[Any, int],
        junction: int,
        deep: Sequence[int],
        w_dim: int = 512,
        z_dim: int = 512,
        mapping_layers: int = 8,
    ) -> None:
        count = int(math.log2(resolution)) - 6
        if resolution != 64 * 2**count or len(deep) != count or count < 1:
            raise ValueError(f"{resolution}x{resolution} doesn't go with {len(deep)} blocks")
        super().__init__(
            resolution=JUNCTION,
            channels=channels,
            w_dim=w_dim,
            z_dim=z_dim,
            mapping_layers=mapping_layers,
        )
        self.resolution, self.num_ws = resolution, 2 * int(math.log2(resolution)) - 2
        self.bridge = EqualConv2d(self.channels[JUNCTION], junction, 1)  # with its activation
        widths, infos = (junction, *deep), list(self.layers)
        self.deep: Modules[Block] = Modules()
        for i, (taken, given) in enumerate(zip(widths, deep, strict=False)):
            size, name, row = 64 * 2**i, f"deep.{i}", 7 + 2 * i
            self.deep.append(Block(taken, given, w_dim=w_dim, resolution=size))
            infos += [
                LayerInfo(f"{name}.up", size, row, "conv", taken),
                LayerInfo(f"{name}.conv1", size, row, "conv", taken // 4),
                LayerInfo(f"{name}.conv2", size, row + 1, "conv", given),
            ]
        self.to_img = ImageHead(widths[-1], w_dim=w_dim)
        infos.append(LayerInfo("to_img", resolution, self.num_ws - 1, "rgb", widths[-1]))
        self.layers = tuple(infos)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "hybrid"."""
        return {
            "architecture": "hybrid",
            "resolution": self.resolution,
            "channels": {str(size): count for size, count in self.channels.items()},
            "w_dim": self.w_dim,
            "z_dim": self.z_dim,
            "mapping_layers": self.mapping_layers,
            "junction": self.bridge.weight.shape[0],
            "deep": [block.conv2.bias.shape[0] for block in self.deep],
        }

    def affine(self, layer: LayerInfo) -> nn.Module:
        """Compact layers call it modulation."""
        module = self.get_submodule(layer.name)
        own = module.affine if isinstance(module, StyledConv | ToRGB) else module.modulation
        assert isinstance(own, nn.Module)
        return own

    @property
    def fusion_channels(self) -> list[int]:
        """Widths before each block, and before what goes on from them."""
        return list(self.channels.values())

    def tail(
        self, x: Tensor, image: Tensor, styles: Sequence[Tensor], *, noise: Noise = "const"
    ) -> Tensor:
        """The compact layers' image; the partial one has no part in it."""
        return self.finish(x, styles, noise=noise)

    def synthesize(self, styles: Sequence[Tensor], *, noise: Noise = "const") -> Tensor:
        x = self._shallow(styles, JUNCTION, noise)
        return self.finish(x, styles, noise=noise)

    def features(
        self, styles: Sequence[Tensor], *, resolution: int, noise: Noise = "const"
    ) -> Tensor:
        """Activations after the block of that resolution; at 32×32 StyleGAN2's, not bridged."""
        x = self._shallow(styles, min(resolution, JUNCTION), noise)
        if resolution <= JUNCTION:
            return x
        return self.deep_features(x, styles, resolution=resolution, noise=noise)

    def deep_features(
        self, x: Tensor, styles: Sequence[Tensor], *, resolution: int, noise: Noise = "const"
    ) -> Tensor:
        """Activations after a compact block, from `features(..., resolution=32)`.

        Args:
            styles: the whole list.
        """
        return next(y for size, y in self._deep(x, styles, noise) if size == resolution)

    def partial_images(
        self, styles: Sequence[Tensor], *, resolution: int | None = None, noise: Noise = "const"
    ) -> list[Tensor]:
        """Those of the layers up to 32×32, (B, 3, 4, 4) and so on, and the image itself."""
        images: list[Tensor] = []
        x: Tensor = self.const
        for size, y, image in self.stages(styles, noise):
            images.append(image)
            if size == resolution:
                return images
            x = y
        return [*images, self.finish(x, styles, noise=noise)]

    def finish(
        self,
        x: Tensor,
        styles: Sequence[Tensor],
        *,
        noise: Noise = "const",
        fuse: Fuse | None = None,
    ) -> Tensor:
        """The image that features at 32×32, or a whole frame's in their place, stand for.

        Args:
            x: (B, C, H, W) as `features(..., resolution=32)` gives them, of any size.
            styles: the whole list.
            fuse: from a compact block's resolution and its activations between its convolutions,
                gives what takes their place.
        """
        first = len(self.layers) - 1 - 3 * len(self.deep)
        return finish(
            self.bridge(x), self.deep, self.to_img, styles[first:], noise=noise, fuse=fuse
        )

    def _shallow(self, styles: Sequence[Tensor], resolution: int, noise: Noise) -> Tensor:
        return next(x for size, x, _ in self.stages(styles, noise) if size == resolution)

    def _deep(
        self, x: Tensor, styles: Sequence[Tensor], noise: Noise
    ) -> Iterator[tuple[int, Tensor]]:
        x = self.bridge(x)
        first = len(self.layers) - 1 - 3 * len(self.deep)
        for i, block in enumerate(self.deep):
            x = run_blocks(x, [block], styles[first + 3 * i :], noise=noise)
            yield 64 * 2**i, x
