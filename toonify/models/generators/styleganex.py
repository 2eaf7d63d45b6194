"""StyleGANEX's generator (arXiv 2303.06146): StyleGAN2 for frames of any size.

StyleGAN2 starts from a 4×4 constant, which holds it to one size and to aligned faces. Here its
shallow layers all run at the resolution of the 32×32 one with dilated kernels, on a feature of
any height and width, and the constant is replaced by a feature of the whole frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from toonify.models.base import Generator, Noise
from toonify.models.generators.stylegan2 import StyleGAN2Layers
from toonify.models.layers import StyledConv, fast_layout, sized_noise, smooth

FEATURE_RESOLUTION = 32  # of the generator's layers, where the first feature enters
# (block, features, image so far) → both with the encoder's features fused in
Fuse = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]


class StyleGANEXGenerator(Generator):
    """A StyleGAN2 generator refactored.

    `G(f0, w+)` with `f0 = first_feature()` is the StyleGAN2's own image to float precision.

    Args:
        base: the StyleGAN2 (or hybrid), of at least 64×64; its parameters are shared, not copied.
    """

    def __init__(self, base: StyleGAN2Layers) -> None:
        super().__init__()
        if base.resolution <= FEATURE_RESOLUTION:
            raise ValueError(f"a generator of {base.resolution}x{base.resolution} is too small")
        self.base = base
        self.resolution, self.w_dim, self.z_dim = base.resolution, base.w_dim, base.z_dim
        self.num_ws, self.layers = base.num_ws, base.layers
        self.scale = base.resolution // FEATURE_RESOLUTION  # image pixels a feature pixel
        self.feature_channels = base.channels[4]

    @property
    def w_avg(self) -> Tensor:  # type: ignore[override]
        """Mean of w (w_dim,)."""
        return self.base.w_avg

    def config(self) -> dict[str, Any]:
        """The StyleGAN2's, which is what gets saved."""
        return self.base.config()

    def mapping(self, z: Tensor, *, truncation_psi: float = 1.0) -> Tensor:
        """z (B, z_dim) standard normal → w (B, w_dim)."""
        return self.base.mapping(z, truncation_psi=truncation_psi)

    def styles(self, w_plus: Tensor) -> list[Tensor]:
        """w+ (B, num_ws, w_dim) → one (B, C_i) tensor a layer, in the order of `layers`."""
        return self.base.styles(w_plus)

    def mapping_weights(self) -> list[tuple[Tensor, Tensor]]:
        """The StyleGAN2's."""
        return self.base.mapping_weights()

    def features(
        self, styles: Sequence[Tensor], *, resolution: int, noise: Noise = "const"
    ) -> Tensor:
        """The StyleGAN2's."""
        return self.base.features(styles, resolution=resolution, noise=noise)

    def first_feature(self) -> Tensor:
        """f0 (1, C, 32, 32): the constant, every pixel repeated 8 times each way."""
        const = self.base.const
        return const.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)

    def noise_shapes(self, height: int, width: int) -> dict[str, tuple[int, int]]:
        """Buffers of noise maps → their height and width for a feature of this size."""
        shapes = {}
        for layer in self.layers:
            factor = max(1, layer.resolution // FEATURE_RESOLUTION)
            for name, _ in self.base.get_submodule(layer.name).named_buffers(recurse=False):
                shapes[f"base.{layer.name}.{name}"] = (height * factor, width * factor)
        return shapes

    def synthesize(
        self,
        styles: Sequence[Tensor],
        *,
        noise: Noise = "const",
        feature: Tensor | None = None,
        fuse: Fuse | None = None,
        resolution: int | None = None,
    ) -> Tensor:
        """Styles and first feature → image (B, 3, H·scale, W·scale), about [-1, 1], not clamped.

        Args:
            noise: "const" for the stored maps (averaged or repeated to each layer's size),
                "random" for fresh ones, "zero" for none.
            feature: (B or 1, feature_channels, H, W); `first_feature()` when None.
            fuse: called before every block with what the encoder's features are fused into.
            resolution: of the last block that is run, whose image so far is the answer; all of
                them when None.
        """
        if len(styles) != len(self.layers):
            raise ValueError(f"expected {len(self.layers)} styles, got {len(styles)}")
        x = self.first_feature() if feature is None else feature
        if x.ndim != 4 or x.shape[1] != self.feature_channels:
            raise ValueError(
                f"the first feature must be (B, {self.feature_channels}, H, W), "
                f"not {tuple(x.shape)}"
            )
        x = fast_layout(x.expand(max(len(x), len(styles[0])), -1, -1, -1))

        def run(layer: StyledConv, x: Tensor, style: Tensor, dilation: int) -> Tensor:
            height, width = x.shape[2:]
            if layer.up and not dilation:
                height, width = 2 * height, 2 * width
            return layer(x, style, _noise(layer, x, noise, (height, width)), dilation=dilation)

        steps = iter(styles)
        x = run(self.base.conv1, x, next(steps), FEATURE_RESOLUTION // 4)
        image = self.base.to_rgb1(x, next(steps), None)
        for index, block in enumerate(self.base.blocks):
            if fuse is not None:
                x, image = fuse(index, x, fast_layout(image))
            size = 8 * 2**index
            if size <= FEATURE_RESOLUTION:
                dilation = FEATURE_RESOLUTION // size
                x = run(block.up, x, next(steps), dilation)
                x = run(block.conv, x, next(steps), dilation)
                skip = smooth(image, dilation=dilation, pad=dilation)
                image = block.to_rgb(x, next(steps), None) + skip
            else:
                x = run(block.up, x, next(steps), 0)
                x = run(block.conv, x, next(steps), 0)
                image = block.to_rgb(x, next(steps), image)
            if size == resolution:
                return image
        if fuse is not None and len(self.base.fusion_channels) > len(self.base.blocks):
            x, image = fuse(len(self.base.blocks), x, fast_layout(image))
        return self.base.tail(x, image, styles, noise=noise)

    def forward(
        self,
        w_plus: Tensor,
        *,
        noise: Noise = "const",
        feature: Tensor | None = None,
        fuse: Fuse | None = None,
    ) -> Tensor:
        """w+ (B, num_ws, w_dim) → image; arguments as `synthesize`'s."""
        return self.synthesize(self.styles(w_plus), noise=noise, feature=feature, fuse=fuse)


def _noise(layer: StyledConv, x: Tensor, noise: Noise, size: tuple[int, int]) -> Tensor | None:
    if noise == "zero":
        return None
    if noise == "random":
        return x.new_empty(len(x), 1, *size).normal_()
    return sized_noise(layer.noise_const, size)
