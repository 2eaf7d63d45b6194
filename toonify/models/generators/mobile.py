"""The compact face generator: MobileStyleGAN's layout (arXiv 2104.04767) in plain torch.

Modulated depthwise-separable convolutions with constant demodulation, Haar inverse-wavelet
upsampling and one image head. It shares the mapping network, and so W, with the StyleGAN2 it was
distilled from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models import bands, bands_grad
from toonify.models.base import Generator, LayerInfo, Noise
from toonify.models.layers import normal_weight, sized_noise
from toonify.models.modules import Modules


def inverse_haar(x: Tensor) -> Tensor:
    """Haar inverse wavelet transform, (B, 4C, h, w) → (B, C, 2h, 2w).

    The first C channels are the low band; the rest, viewed as (C, 3), the three details of each.
    """
    batch, channels, height, width = x.shape
    quarter = channels // 4
    low = x[:, :quarter]
    detail = x[:, quarter:].reshape(batch, quarter, 3, height, width)
    a, d, e = detail.unbind(2)
    plus, minus, total, difference = low + a, low - a, d + e, d - e
    top = torch.stack((plus + total, plus - total), dim=-1)
    bottom = torch.stack((minus + difference, minus - difference), dim=-1)
    out = torch.stack((top, bottom), dim=3)  # (B, C, h, 2, w, 2)
    return out.reshape(batch, quarter, 2 * height, 2 * width) * 0.5


def in_range(x: Tensor, style: Tensor, gain: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """A style of at most 1, and the gain that makes up for it, where x is in float16, whose largest
    value is 65504: between a block's first layers, values reach twice that. Else as given.
    """
    if x.dtype != torch.float16:
        return style, gain
    largest = style.float().abs().amax().clamp_min(1e-12)
    return style / largest, largest if gain is None else gain * largest


class ModulatedConv(nn.Module):
    """Style-modulated convolution with the demodulation folded in as a constant.

    Dense 3×3 (`separable=False`, the first layer) or depthwise 3×3 then pointwise, followed by
    bias, a fixed noise map and leaky ReLU 0.2 without gain.
    """

    noise: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, *, w_dim: int, resolution: int, separable: bool
    ) -> None:
        super().__init__()
        self.modulation = nn.Linear(w_dim, in_channels)
        nn.init.ones_(self.modulation.bias)
        if separable:
            self.depthwise = nn.Parameter(normal_weight(in_channels, 1, 3, 3, std=1 / 3))
            self.pointwise = nn.Parameter(
                normal_weight(out_channels, in_channels, 1, 1, std=in_channels**-0.5)
            )
        else:
            self.weight = nn.Parameter(
                normal_weight(out_channels, in_channels, 3, 3, std=(9 * in_channels) ** -0.5)
            )
        self.separable = separable
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("noise", torch.zeros(1, 1, resolution, resolution))

    def forward(
        self, x: Tensor, style: Tensor, noise: Noise, *, gain: Tensor | None = None
    ) -> Tensor:
        """x (B, I, H, W), style (B, I) → (B, O, H, W).

        Args:
            gain: what x is to be multiplied by, (); 1 when None.
        """
        style, gain = in_range(x, style, gain)
        x = x * style[:, :, None, None].to(x.dtype)
        weight: Tensor = self.pointwise if self.separable else self.weight
        if gain is not None:
            weight = weight * gain
        if self.separable:
            x = F.conv2d(x, self.depthwise.to(x.dtype), padding=1, groups=x.shape[1])
            x = F.conv2d(x, weight.to(x.dtype), self.bias.to(x.dtype))
        else:
            x = F.conv2d(x, weight.to(x.dtype), self.bias.to(x.dtype), padding=1)
        if noise == "const":
            x = x + sized_noise(self.noise, (x.shape[2], x.shape[3])).to(x.dtype)
        elif noise == "random":
            fresh = torch.randn(x.shape[0], 1, *x.shape[2:], device=x.device, dtype=x.dtype)
            x = x + fresh * self.noise.std().to(x.dtype)
        return F.leaky_relu(x, 0.2)


class Upsample(nn.Module):
    """Modulate, then inverse Haar: (B, C, h, w) → (B, C/4, 2h, 2w)."""

    def __init__(self, channels: int, *, w_dim: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(w_dim, channels)
        nn.init.ones_(self.modulation.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return inverse_haar(x * style[:, :, None, None].to(x.dtype))


class Block(nn.Module):
    """Upsample and two separable convolutions."""

    def __init__(self, in_channels: int, out_channels: int, *, w_dim: int, resolution: int) -> None:
        super().__init__()
        self.up = Upsample(in_channels, w_dim=w_dim)
        self.conv1 = ModulatedConv(
            in_channels // 4, out_channels, w_dim=w_dim, resolution=resolution, separable=True
        )
        self.conv2 = ModulatedConv(
            out_channels, out_channels, w_dim=w_dim, resolution=resolution, separable=True
        )


class ImageHead(nn.Module):
    """Modulated 1×1 convolution to 12 channels, then inverse Haar to RGB."""

    def __init__(self, channels: int, *, w_dim: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(w_dim, channels)
        nn.init.ones_(self.modulation.bias)
        self.weight = nn.Parameter(normal_weight(12, channels, 1, 1, std=channels**-0.5))
        self.bias = nn.Parameter(torch.zeros(12))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        style, gain = in_range(x, style)
        x = x * style[:, :, None, None].to(x.dtype)
        weight = self.weight if gain is None else self.weight * gain
        return inverse_haar(F.conv2d(x, weight.to(x.dtype), self.bias.to(x.dtype)))


Fuse = Callable[[int, Tensor], Tensor]


def run_blocks(
    x: Tensor,
    blocks: Iterable[Block],
    styles: Sequence[Tensor],
    *,
    noise: Noise,
    fuse: Fuse | None = None,
) -> Tensor:
    """Features (B, C, h, w) through `Block`s; `styles` begins with the first one's.

    Args:
        fuse: from a block's height and its activations (B, C, H, W) between its two convolutions,
            gives what takes their place.
    """
    run = list(blocks)
    if run and fuse is None and bands.suits(x):
        return bands.run_blocks(x, run, styles, noise=noise)
    if run and fuse is None and bands_grad.suits(x):
        return bands_grad.run_blocks(x, run, styles, noise=noise)
    for i, block in enumerate(run):
        up, first, second = styles[3 * i : 3 * i + 3]
        up, gain = in_range(x, up)
        x = block.up(x, up).contiguous(memory_format=torch.channels_last)
        x = block.conv1(x, first, noise, gain=gain)
        if fuse is not None:
            x = fuse(x.shape[2], x)
        x = block.conv2(x, second, noise)
    return x


def finish(
    x: Tensor,
    blocks: Iterable[Block],
    head: ImageHead,
    styles: Sequence[Tensor],
    *,
    noise: Noise,
    fuse: Fuse | None = None,
) -> Tensor:
    """The image of features (B, C, h, w): `Block`s, then the head, which takes the last style.

    Args:
        fuse: as of `run_blocks`.
    """
    run = list(blocks)
    own = [*styles[: 3 * len(run)], styles[-1]]
    if run and fuse is None and bands.suits(x):
        return bands.run_blocks(x, run, own, noise=noise, head=head)
    if run and fuse is None and bands_grad.suits(x):
        return bands_grad.run_blocks(x, run, own, noise=noise, head=head)
    return head(run_blocks(x, run, styles, noise=noise, fuse=fuse), styles[-1])


class MobileGenerator(Generator):
    """Compact generator; w+ entries as StyleGAN2's at the same resolution.

    Args:
        resolution: output height and width, a power of two, at least 32.
        channels: output channels of the 4×4 layer and of each block (8×8, …, R/2); None takes
            the published widths. Each must be divisible by 4.
        w_dim: width of z and w.
        mapping_layers: linear layers of the mapping network.
    """

    def __init__(
        self,
        *,
        resolution: int = 1024,
        channels: Sequence[int] | None = None,
        w_dim: int = 512,
        mapping_layers: int = 8,
    ) -> None:
        super().__init__()
        log2 = int(math.log2(resolution))
        if 2**log2 != resolution or resolution < 32:
            raise ValueError(f"resolution must be a power of two from 32 on, not {resolution}")
        count = log2 - 3
        if channels is None:
            channels = [min(512, 32768 // 2 ** (i + 2)) for i in range(count + 1)]
        if len(channels) != count + 1 or any(c % 4 for c in channels):
            raise ValueError(f"{count + 1} widths divisible by 4 expected, not {list(channels)}")
        self.resolution = resolution
        self.channels = tuple(channels)
        self.w_dim = self.z_dim = w_dim
        self.num_ws = 2 * log2 - 2
        self.mapping_net = Modules(nn.Linear(w_dim, w_dim) for _ in range(mapping_layers))
        self.register_buffer("w_avg", torch.zeros(w_dim))
        self.const = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        self.conv1 = ModulatedConv(
            channels[0], channels[0], w_dim=w_dim, resolution=4, separable=False
        )
        self.blocks = Modules(
            Block(channels[i], channels[i + 1], w_dim=w_dim, resolution=2 ** (i + 3))
            for i in range(count)
        )
        self.to_img = ImageHead(channels[-1], w_dim=w_dim)
        layers = [LayerInfo("conv1", 4, 0, "conv", channels[0])]
        for i in range(count):
            res, name = 2 ** (i + 3), f"blocks.{i}"
            layers += [
                LayerInfo(f"{name}.up", res, 2 * i + 1, "conv", channels[i]),
                LayerInfo(f"{name}.conv1", res, 2 * i + 1, "conv", channels[i] // 4),
                LayerInfo(f"{name}.conv2", res, 2 * i + 2, "conv", channels[i + 1]),
            ]
        layers.append(LayerInfo("to_img", resolution, self.num_ws - 1, "rgb", channels[-1]))
        self.layers = tuple(layers)
        self._modulations = [self.get_submodule(f"{x.name}.modulation") for x in self.layers]

    def config(self) -> dict[str, Any]:
        return {
            "architecture": "mobile",
            "resolution": self.resolution,
            "channels": list(self.channels),
            "w_dim": self.w_dim,
            "mapping_layers": len(self.mapping_net),
        }

    def mapping(self, z: Tensor, *, truncation_psi: float = 1.0) -> Tensor:
        x = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in self.mapping_net:
            x = F.leaky_relu(layer(x), 0.2) * math.sqrt(2)
        if truncation_psi != 1.0:
            x = self.w_avg.to(x) + truncation_psi * (x - self.w_avg.to(x))
        return x

    def mapping_weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each mapping layer."""
        return [(layer.weight, layer.bias) for layer in self.mapping_net]

    def styles(self, w_plus: Tensor) -> list[Tensor]:
        if w_plus.ndim != 3 or w_plus.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(
                f"w+ must be (B, {self.num_ws}, {self.w_dim}), not {tuple(w_plus.shape)}"
            )
        return [
            affine(w_plus[:, layer.latent_index])
            for affine, layer in zip(self._modulations, self.layers, strict=True)
        ]

    def features(
        self, styles: Sequence[Tensor], *, resolution: int, noise: Noise = "const"
    ) -> Tensor:
        """Activations (B, C, resolution, resolution) after the block of that resolution."""
        # expand from the style batch, and take the module's dtype under autocast too
        x = self.const.expand(styles[0].shape[0], -1, -1, -1)
        x = self.conv1(x.contiguous(memory_format=torch.channels_last), styles[0], noise)
        if resolution > 4:
            x = self.run_blocks(x, styles, 0, int(math.log2(resolution)) - 2, noise)
        return x

    def synthesize(self, styles: Sequence[Tensor], *, noise: Noise = "const") -> Tensor:
        return self.from_features(
            self.features(styles, resolution=4, noise=noise), styles, noise=noise
        )

    def synthesize_crop(
        self, styles: Sequence[Tensor], rows: slice, columns: slice, *, noise: Noise = "const"
    ) -> Tensor:
        if not bands_grad.suits(self.const):
            return super().synthesize_crop(styles, rows, columns, noise=noise)
        x = self.features(styles, resolution=4, noise=noise)
        return bands_grad.run_blocks(
            x, list(self.blocks), styles[1:], noise=noise, head=self.to_img, crop=(rows, columns)
        )

    def from_features(
        self, x: Tensor, styles: Sequence[Tensor], *, noise: Noise = "const"
    ) -> Tensor:
        """Finish an image from `features(...)` of any resolution; `styles` is the whole list."""
        start = int(math.log2(x.shape[-1])) - 2
        return finish(x, self.blocks[start:], self.to_img, styles[1 + 3 * start :], noise=noise)

    def run_blocks(
        self, x: Tensor, styles: Sequence[Tensor], start: int, stop: int, noise: Noise = "const"
    ) -> Tensor:
        """Features (B, C, h, w) through blocks `start` to before `stop`; `styles` is the whole
        list."""
        return run_blocks(x, self.blocks[start:stop], styles[1 + 3 * start :], noise=noise)


def mobile_from_folded(tensors: Mapping[str, Tensor]) -> MobileGenerator:
    """Build the 1024×1024 generator from a state dict with every scale folded in.

    Args:
        tensors: names as in `MobileGenerator`, but `mapping.N.*` and `w_mean`.
    """
    count = len({k.split(".")[1] for k in tensors if k.startswith("blocks.")})
    widths = [tensors["const"].shape[1]]
    widths += [tensors[f"blocks.{i}.conv2.bias"].shape[0] for i in range(count)]
    generator = MobileGenerator(
        resolution=2 ** (count + 3),
        channels=widths,
        w_dim=tensors["mapping.0.weight"].shape[1],
        mapping_layers=len({k for k in tensors if k.startswith("mapping.") and "weight" in k}),
    )
    renamed = {
        ("w_avg" if k == "w_mean" else k.replace("mapping.", "mapping_net.")): v
        for k, v in tensors.items()
    }
    generator.load_state_dict(renamed)
    return generator
