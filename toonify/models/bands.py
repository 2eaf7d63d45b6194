"""The compact generator's blocks on a CPU, a band of rows at a time (ours).

The plain path of `models/mobile.py` reads and writes each layer's whole activation once a step:
modulation, wavelet, depthwise and pointwise convolution, noise, activation. Here a block runs
from its input to its output on a few rows that stay in the processor's cache, one picture after
the other, so that a batch costs no more a picture than one:

- the style is folded into the depthwise kernel, or into the image head's weights;
- the wavelet's four bands lie apart, because the layer before has its output channels in that
  order, and are put together without a copy;
- noise and activation change the convolution's output in place;
- the image head follows the last block within the band.

Results are the plain path's but for the order of additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.models.base import Noise
from toonify.models.cpu import compute_dtype, infers, keep
from toonify.models.layers import sized_noise

if TYPE_CHECKING:
    from toonify.models.generators.mobile import Block, ImageHead, ModulatedConv

BAND = 1 << 20  # values of a layer that are worked on together: they fit in the cache


def suits(x: Tensor) -> bool:
    """Whether blocks should run in bands: on a CPU, without gradients, in 32 or 16 bits."""
    return infers(x) and len(x) > 0 and compute_dtype(x) in (torch.float32, torch.bfloat16)


def run_blocks(
    x: Tensor,
    blocks: Sequence[Block],
    styles: Sequence[Tensor],
    *,
    noise: Noise,
    head: ImageHead | None = None,
) -> Tensor:
    """Compact blocks one after the other, and the image head if given.

    Args:
        x: features (B, C, h, w).
        blocks: at least one.
        styles: (B, C_i), three a block (up, conv1, conv2), then the head's.
        noise: as `Generator.synthesize`'s.
        head: what makes the image from the last block's output.

    Returns:
        (B, C', H, W) features with channels last in memory; with a head the image (B, 3, 2H, 2W).
    """
    dtype = compute_dtype(x)
    styles = [style.to(dtype) for style in styles]
    with torch.autocast("cpu", enabled=False):
        maps: list[Tensor | None] = []
        size = x.shape[2:]
        for block in blocks:
            size = torch.Size((2 * size[0], 2 * size[1]))
            maps += [
                _noise_map(layer, (len(x), *size), noise, dtype)
                for layer in (block.conv1, block.conv2)
            ]
        out: Tensor | None = None
        # picture after picture, so that what lies between two blocks uses the same memory again
        for b in range(len(x)):
            pixels = x[b].to(dtype).permute(1, 2, 0).contiguous()  # (h, w, C)
            pixels = pixels[..., band_order(pixels.shape[2])]
            for i, block in enumerate(blocks):
                last = i == len(blocks) - 1
                pixels = _run_block(
                    pixels,
                    block,
                    [style[b] for style in styles[3 * i : 3 * i + 3]],
                    [None if one is None else one[b % len(one)] for one in maps[2 * i : 2 * i + 2]],
                    by_band=not last,
                    head=(head, styles[3 * i + 3][b]) if last and head is not None else None,
                )
            if len(x) == 1:
                out = pixels[None]
                break
            if out is None:
                out = pixels.new_empty(len(x), *pixels.shape)
            out[b] = pixels
    if out is None:
        raise ValueError("there is no picture to run")
    return out if head is not None else out.permute(0, 3, 1, 2)


def _run_block(
    x: Tensor,
    block: Block,
    styles: Sequence[Tensor],
    noise: Sequence[Tensor | None],
    *,
    by_band: bool,
    head: tuple[ImageHead, Tensor] | None,
) -> Tensor:
    """One block of one picture.

    Args:
        x: (h, w, C), channels by wavelet band.
        styles: (C,), (C/4,), (C',).
        noise: (2h, 2w, 1) for either convolution, or None.
        by_band: give the output's channels by wavelet band, for the next block.
        head: the image head and its style, which then take the block's output.

    Returns:
        (2h, 2w, C'), or the image (3, 4h, 4w).
    """
    height, width = 2 * x.shape[0], 2 * x.shape[1]
    first = _constants(block.conv1, x.dtype, by_band=False)
    second = _constants(block.conv2, x.dtype, by_band=by_band)
    wide = max(first.taken, second.taken, second.given)
    step = max(2, BAND // (width * wide) // 2 * 2)
    up_style = styles[0][band_order(len(styles[0]))] * 0.5
    kernels = [first.depthwise * _column(styles[1]), second.depthwise * _column(styles[2])]
    if head is None:
        out = x.new_empty(height, width, second.given)
    else:
        out = x.new_empty(3, 2 * height, 2 * width)
        to_img = _head_constants(head[0], x.dtype)
        weight, bias = to_img[0] * head[1], to_img[1]
    for top in range(0, height, step):
        bottom = min(top + step, height)
        # rows that the two 3x3 kernels reach to; the wavelet gives them in twos
        rows = range(max(top - 2, 0) // 2, (min(bottom + 2, height) + 1) // 2)
        y = wavelet(x[rows.start : rows.stop] * up_style)
        at = 2 * rows.start
        y, at = _conv(y, at, (top - 1, bottom + 1), height, kernels[0], first, noise[0])
        into = None if head is not None else out[top:bottom]
        y, at = _conv(y, at, (top, bottom), height, kernels[1], second, noise[1], into)
        if head is not None:
            image = torch.addmm(bias, weight, y.reshape(-1, second.given).t())
            _image_wavelet(image.view(4, 3, bottom - top, width), out[:, 2 * top : 2 * bottom])
    return out


def _conv(
    x: Tensor,
    at: int,
    wanted: tuple[int, int],
    height: int,
    kernel: Tensor,
    layer: _Layer,
    noise: Tensor | None,
    into: Tensor | None = None,
) -> tuple[Tensor, int]:
    """A separable convolution with noise and activation, of some rows.

    Args:
        x: (n, w, C), the rows from `at` on of the picture's `height`.
        wanted: first and last-but-one row of the output, cut to the picture.
        into: (rows, w, C') to write to.

    Returns:
        (rows, w, C') and which row its first one is.
    """
    top, bottom = max(wanted[0], 0), min(wanted[1], height)
    y = same_convolution(x[None].permute(0, 3, 1, 2), kernel, None, groups=layer.taken)
    # where the band ends inside the picture, the outermost rows lack a neighbor and are not used
    y = same_convolution(y[:, :, top - at : bottom - at], layer.pointwise, layer.bias)
    y = y.permute(0, 2, 3, 1)[0]
    if noise is not None:
        y += noise[top:bottom]
    if into is None:
        return F.leaky_relu_(y, 0.2), top
    torch._C._nn.leaky_relu(y, 0.2, out=into)
    return into, top


def same_convolution(x: Tensor, weight: Tensor, bias: Tensor | None, *, groups: int = 1) -> Tensor:
    """A convolution that keeps height and width, channels last.

    torch leaves small ones in a single thread to its slower kernels; oneDNN's are chosen where
    they are there.
    """
    pad = weight.shape[2] // 2
    if torch.backends.mkldnn.is_available() and hasattr(torch, "mkldnn_convolution"):
        ones = (1, 1)
        return torch.mkldnn_convolution(x, weight, bias, (pad, pad), ones, ones, groups)
    return F.conv2d(x, weight, bias, padding=pad, groups=groups)


class _Layer:
    """A convolution's weights as they are used: depthwise (C, 1, 3, 3), pointwise
    (C', C, 1, 1), bias (C',)."""

    def __init__(self, layer: ModulatedConv, dtype: torch.dtype, by_band: bool) -> None:
        weight: Tensor = layer.pointwise
        bias: Tensor = layer.bias
        if by_band:
            order = band_order(len(bias))
            weight, bias = weight[order], bias[order]
        self.depthwise = layer.depthwise.to(dtype)
        self.pointwise = weight.to(dtype)
        self.bias = bias.to(dtype)
        self.given, self.taken = self.pointwise.shape[:2]


def _constants(layer: ModulatedConv, dtype: torch.dtype, *, by_band: bool) -> _Layer:
    sources = (layer.depthwise, layer.pointwise, layer.bias)
    return keep(layer, (dtype, by_band), sources, lambda: _Layer(layer, dtype, by_band))


def _head_constants(head: ImageHead, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weights (12, C) and bias (12, 1) by wavelet band, with the wavelet's factor in them."""

    def make() -> tuple[Tensor, Tensor]:
        order = band_order(12)
        weight = head.weight[order, :, 0, 0] * 0.5
        return weight.to(dtype), (head.bias[order] * 0.5).to(dtype)[:, None]

    return keep(head, dtype, (head.weight, head.bias), make)


def band_order(channels: int) -> Tensor:
    """The order in which `inverse_haar`'s channels lie band by band."""
    quarter = channels // 4
    details = torch.arange(quarter, channels).view(quarter, 3).t().reshape(-1)
    return torch.cat((torch.arange(quarter), details))


def _column(style: Tensor) -> Tensor:
    return style[:, None, None, None]


def has_noise(layer: ModulatedConv) -> bool:
    """Whether a layer's map counts: those of generators of drawings are zero, and not learnt."""
    return layer.noise.requires_grad or bool(layer.noise.any())


def _noise_map(
    layer: ModulatedConv, shape: tuple[int, int, int], noise: Noise, dtype: torch.dtype
) -> Tensor | None:
    """(1 or B, H, W, 1) for a `shape` of (B, H, W), or None without noise."""
    batch, height, width = shape
    if noise == "zero" or (noise == "const" and not has_noise(layer)):
        return None
    if noise == "const":
        return sized_noise(layer.noise, (height, width)).to(dtype).reshape(-1, height, width, 1)
    fresh = torch.randn(batch, height, width, 1)
    return (fresh * layer.noise.std()).to(dtype)


def wavelet(x: Tensor) -> Tensor:
    """Inverse Haar of (h, w, 4C) with bands apart and the factor ½ taken already → (2h, 2w, C)."""
    height, width, channels = x.shape
    low, a, d, e = x.view(height, width, 4, channels // 4).unbind(2)
    out = x.new_empty(height, 2, width, 2, channels // 4)
    plus, minus, total, difference = low + a, low - a, d + e, d - e
    torch.add(plus, total, out=out[:, 0, :, 0])
    torch.sub(plus, total, out=out[:, 0, :, 1])
    torch.add(minus, difference, out=out[:, 1, :, 0])
    torch.sub(minus, difference, out=out[:, 1, :, 1])
    return out.view(2 * height, 2 * width, channels // 4)


def _image_wavelet(bands: Tensor, out: Tensor) -> None:
    """The same of an image: (4, 3, h, w) written to (3, 2h, 2w)."""
    low, a, d, e = bands
    plus, minus, total, difference = low + a, low - a, d + e, d - e
    torch.add(plus, total, out=out[:, 0::2, 0::2])
    torch.sub(plus, total, out=out[:, 0::2, 1::2])
    torch.add(minus, difference, out=out[:, 1::2, 0::2])
    torch.sub(minus, difference, out=out[:, 1::2, 1::2])
