"""The compact generator's blocks on a CPU where gradients are wanted, picture after picture (ours).

What `models/bands.py` does for drawing, as far as every step stays differentiable, any number of
times: a picture's activations stay in the cache from one step to the next, the style is folded
into the depthwise kernel, the wavelet's bands lie apart, and the image head's weights hold its
wavelet. Results and gradients are the plain path's but for the order of additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.models.bands import band_order, has_noise, same_convolution, wavelet
from toonify.models.base import Noise
from toonify.models.cpu import compute_dtype
from toonify.models.layers import sized_noise

if TYPE_CHECKING:
    from toonify.models.generators.mobile import Block, ImageHead, ModulatedConv

# what the wavelet makes of its four bands: upper left, upper right, lower left, lower right
_HAAR = ((1, 1, 1, 1), (1, 1, -1, -1), (1, -1, 1, -1), (1, -1, -1, 1))


def suits(x: Tensor) -> bool:
    """Whether blocks should run so: on a CPU, with gradients, neither compiled nor traced."""
    return (
        x.device.type == "cpu"
        and torch.is_grad_enabled()
        and len(x) > 0
        and compute_dtype(x) in (torch.float32, torch.bfloat16)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


def run_blocks(
    x: Tensor,
    blocks: Sequence[Block],
    styles: Sequence[Tensor],
    *,
    noise: Noise,
    head: ImageHead | None = None,
) -> Tensor:
    """Compact blocks one after the other, and the image head if given; as `bands.run_blocks`.

    Returns:
        (B, C', H, W) features, or with a head the image (B, 3, 2H, 2W).
    """
    dtype = compute_dtype(x)
    with torch.autocast("cpu", enabled=False):
        rows = zip(*(style.unbind() for style in styles), strict=True)
        pictures = [
            _run(picture.to(dtype), number, blocks, row, noise, head)
            for number, (picture, row) in enumerate(zip(x.unbind(), rows, strict=True))
        ]
        return torch.stack(pictures)


def _run(
    x: Tensor,
    number: int,
    blocks: Sequence[Block],
    styles: Sequence[Tensor],
    noise: Noise,
    head: ImageHead | None,
) -> Tensor:
    """One picture (C, h, w) of the batch."""
    y = x[band_order(len(x))].permute(1, 2, 0).contiguous()
    for i, block in enumerate(blocks):
        up, first, second = styles[3 * i : 3 * i + 3]
        y = _Wavelet.apply(y * (up[band_order(len(up))] * 0.5).to(y.dtype))
        first_noise, second_noise = (
            _noise_map(layer, number, (y.shape[0], y.shape[1]), noise)
            for layer in (block.conv1, block.conv2)
        )
        y = _conv(y, block.conv1, first, first_noise, apart=False)
        y = _conv(y, block.conv2, second, second_noise, apart=i < len(blocks) - 1)
    return y.permute(2, 0, 1) if head is None else _image(y, head, styles[3 * len(blocks)])


def _noise_map(
    layer: ModulatedConv, number: int, size: tuple[int, int], noise: Noise
) -> Tensor | None:
    """What is added to a picture, (H, W), or None without noise.

    Args:
        number: of the picture in the batch: projection gives each one maps of its own.
    """
    if noise == "random":
        return torch.randn(size) * layer.noise.std()
    if noise == "zero" or not has_noise(layer):
        return None
    return sized_noise(layer.noise, size)[number % len(layer.noise), 0]


def _conv(
    x: Tensor, layer: ModulatedConv, style: Tensor, noise: Tensor | None, *, apart: bool
) -> Tensor:
    """A separable convolution of x (h, w, C) with noise and activation.

    Args:
        noise: (h, w).
        apart: give the channels by wavelet band, for the next block.
    """
    dtype = x.dtype
    weight: Tensor = layer.pointwise
    bias: Tensor = layer.bias
    if apart:
        order = band_order(len(bias))
        weight, bias = weight[order], bias[order]
    kernel = (layer.depthwise * style[:, None, None, None]).to(dtype)
    y = _Depthwise.apply(x[None].permute(0, 3, 1, 2), kernel)
    y = same_convolution(y, weight.to(dtype), bias.to(dtype))
    if noise is not None:
        y = y.add_(noise.to(dtype))
    # changed in place before there are views of it, which would have to be copied
    return F.leaky_relu_(y, 0.2).permute(0, 2, 3, 1)[0]


def _image(x: Tensor, head: ImageHead, style: Tensor) -> Tensor:
    """The head's image (3, 2h, 2w) of features (h, w, C)."""
    haar = head.weight.new_tensor(_HAAR) * 0.5
    # three colors by four places, as `pixel_shuffle` takes them
    weight = haar @ head.weight[band_order(12), :, 0, 0].view(4, 3, -1).transpose(0, 1)
    bias = haar @ head.bias[band_order(12)].view(4, 3).t()[..., None]
    weight, bias = (weight * style).flatten(0, 1).to(x.dtype), bias.flatten().to(x.dtype)
    return F.pixel_shuffle(F.linear(x, weight, bias).permute(2, 0, 1), 2)


class _Wavelet(torch.autograd.Function):
    """Inverse Haar of (h, w, 4C) with its bands apart, but for its factor ½ → (2h, 2w, C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return wavelet(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _WaveletTransposed.apply(gradients[0].contiguous())


class _WaveletTransposed(torch.autograd.Function):
    """The linear map `_Wavelet` transposed, (2h, 2w, C) → (h, w, 4C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        height, width, channels = x.shape[0] // 2, x.shape[1] // 2, x.shape[2]
        pixels = x.view(height, 2, width, 2, channels)
        (a, b), (c, d) = (row.unbind(2) for row in pixels.unbind(1))
        out = x.new_empty(height, width, 4, channels)
        top, upper, bottom, lower = a + b, a - b, c + d, c - d
        torch.add(top, bottom, out=out[:, :, 0])
        torch.sub(top, bottom, out=out[:, :, 1])
        torch.add(upper, lower, out=out[:, :, 2])
        torch.sub(upper, lower, out=out[:, :, 3])
        return out.view(height, width, 4 * channels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _Wavelet.apply(gradients[0].contiguous())


class _Depthwise(torch.autograd.Function):
    """A depthwise 3×3 convolution whose gradient for x is one too: oneDNN's own is three times
    slower."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(x, kernel)
        return same_convolution(x, kernel, None, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, kernel = ctx.saved_tensors
        of_x = of_kernel = None
        if ctx.needs_input_grad[0]:
            of_x = _Depthwise.apply(gradients[0], kernel.flip(2, 3))
        if ctx.needs_input_grad[1]:
            ones = (1, 1)
            of_kernel = torch.ops.aten.convolution_backward(
                gradients[0], x, kernel, None, ones, ones, ones, False, (0, 0), x.shape[1],
                (False, True, False),
            )[1]  # fmt: skip
        return of_x, of_kernel
