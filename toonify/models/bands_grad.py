"""The compact generator's blocks on a CPU where gradients are wanted, picture after picture (ours).

What `models/bands.py` does for drawing, with gradients, which are differentiable in turn: a
separable convolution runs from its input to its output, and back, on bands of rows that stay in
the processor's cache, and keeps nothing between; the style is folded into the depthwise kernel, the
wavelet's bands lie apart, and the image head's weights hold its wavelet. Results and gradients are
the plain path's but for the order of additions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.models.bands import BAND, band_order, has_noise, same_convolution, wavelet
from toonify.models.base import Noise
from toonify.models.cpu import compute_dtype
from toonify.models.layers import sized_noise

if TYPE_CHECKING:
    from toonify.models.generators.mobile import Block, ImageHead, ModulatedConv

# what the wavelet makes of its four bands: upper left, upper right, lower left, lower right
_HAAR = ((1, 1, 1, 1), (1, 1, -1, -1), (1, -1, 1, -1), (1, -1, -1, 1))


Crop = tuple[slice, slice]  # rows and columns
_SLOPE = 0.2  # of leaky ReLU


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
    crop: Crop | None = None,
) -> Tensor:
    """Compact blocks one after the other, and the image head if given; as `bands.run_blocks`.

    Args:
        crop: rows and columns of the image to compute, with what they depend on; None for all.

    Returns:
        (B, C', H, W) features, or with a head the image (B, 3, 2H, 2W), or its crop.
    """
    dtype = compute_dtype(x)
    with torch.autocast("cpu", enabled=False):
        rows = zip(*(style.unbind() for style in styles), strict=True)
        pictures = [
            _run(picture.to(dtype), number, blocks, row, noise, head, crop)
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
    crop: Crop | None,
) -> Tensor:
    """One picture (C, h, w) of the batch."""
    y = x[band_order(len(x))].permute(1, 2, 0).contiguous()
    size = (y.shape[0], y.shape[1])
    needed = None if crop is None else _needed(crop, size, len(blocks))
    place = (0, 0)  # in the picture, of y's first row and column
    for i, block in enumerate(blocks):
        if needed is not None:
            y, place = _cut(y, place, needed[i])
        up, first, second = styles[3 * i : 3 * i + 3]
        y = _Wavelet.apply(y * (up[band_order(len(up))] * 0.5).to(y.dtype))
        size, place = (2 * size[0], 2 * size[1]), (2 * place[0], 2 * place[1])
        rows, columns = (slice(at, at + n) for at, n in zip(place, y.shape[:2], strict=True))
        first_noise, second_noise = (
            None if one is None else one[rows, columns]
            for one in (
                _noise_map(layer, number, size, noise) for layer in (block.conv1, block.conv2)
            )
        )
        y = _conv(y, block.conv1, first, first_noise, apart=False)
        y = _conv(y, block.conv2, second, second_noise, apart=i < len(blocks) - 1)
    if head is None:
        return y.permute(2, 0, 1)
    if crop is None or needed is None:
        return _image(y, head, styles[3 * len(blocks)])
    y, place = _cut(y, place, needed[-1])
    image = _image(y, head, styles[3 * len(blocks)])
    top, left = (part.start - 2 * at for part, at in zip(crop, place, strict=True))
    return image[:, top:, left:][:, : crop[0].stop - crop[0].start, : crop[1].stop - crop[1].start]


def _needed(crop: Crop, size: tuple[int, int], count: int) -> list[Crop]:
    """What each of `count` blocks must be given for a crop of the image, and the head at last.

    Args:
        size: height and width of what the first block is given.
    """
    parts = [slice(part.start // 2, (part.stop + 1) // 2) for part in crop]
    found = [(parts[0], parts[1])]
    for i in reversed(range(count)):
        # two 3×3 kernels reach two pixels further; the wavelet gives them in twos
        parts = [
            slice(max(part.start - 2, 0) // 2, min((part.stop + 3) // 2, side << i))
            for part, side in zip(parts, size, strict=True)
        ]
        found.append((parts[0], parts[1]))
    return found[::-1]


def _cut(x: Tensor, place: tuple[int, int], part: Crop) -> tuple[Tensor, tuple[int, int]]:
    """Rows and columns of a picture, of which x (h, w, C) is what is from `place` on."""
    rows, columns = (
        slice(one.start - at, one.stop - at) for one, at in zip(part, place, strict=True)
    )
    return x[rows, columns].contiguous(), (part[0].start, part[1].start)


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
    weight: Tensor = layer.pointwise[:, :, 0, 0]
    bias: Tensor = layer.bias
    if apart:
        order = band_order(len(bias))
        weight, bias = weight[order], bias[order]
    kernel = layer.depthwise * style[:, None, None, None]
    out: Tensor = _Separable.apply(x, kernel, weight, bias, noise)
    return out


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


class _Separable(torch.autograd.Function):
    """A separable convolution with noise and leaky ReLU, as `_separable`, in bands both ways.

    Gradients that are to be differentiated themselves are those of `_separable`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, kernel: Tensor, weight: Tensor, bias: Tensor, noise: Tensor | None
    ) -> Tensor:
        height, width, _ = x.shape
        depthwise, pointwise, shift = (one.to(x.dtype) for one in (kernel, weight, bias))
        out = x.new_empty(height, width, len(weight))
        for top, bottom in _bands(x, len(weight)):
            y, start = _spread(x, depthwise, top, bottom)
            y = same_convolution(
                y[:, :, top - start : bottom - start], pointwise[:, :, None, None], shift
            )
            rows = y.permute(0, 2, 3, 1).view(bottom - top, width, len(weight))
            if noise is not None:
                rows += noise[top:bottom, :, None].to(x.dtype)
            torch._C._nn.leaky_relu(rows, _SLOPE, out=out[top:bottom])
        ctx.save_for_backward(x, kernel, weight, bias, noise, out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        *inputs, out = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _differentiable(inputs, ctx.needs_input_grad, gradients[0])
        return _gradients(inputs, ctx.needs_input_grad, gradients[0].contiguous(), out)


def _bands(x: Tensor, given: int) -> Iterator[tuple[int, int]]:
    """First and last-but-one rows of the bands in which x (h, w, C) becomes `given` channels."""
    height, width, taken = x.shape
    step = max(2, BAND // (width * max(taken, given)))
    return ((top, min(top + step, height)) for top in range(0, height, step))


def _spread(x: Tensor, kernel: Tensor, top: int, bottom: int) -> tuple[Tensor, int]:
    """A depthwise convolution (1, C, n, w) of rows of x (h, w, C), and which row its first one is.

    Rows from `top` to `bottom` are right; the outermost ones beyond them lack a neighbor.
    """
    start = max(top - 1, 0)
    rows = x[None, start : bottom + 1].permute(0, 3, 1, 2)
    return same_convolution(rows, kernel, None, groups=len(kernel)), start


def _gradients(
    inputs: Sequence[Tensor], wanted: Sequence[bool], gradient: Tensor, out: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients of `_Separable`'s inputs that are wanted, from that of its output (h, w, C')."""
    x, kernel, weight, _, noise = inputs
    height, _, taken = x.shape
    given, dtype = len(weight), x.dtype
    of_x = torch.empty_like(x) if wanted[0] else None
    of_kernel, of_weight, of_bias = (
        torch.zeros_like(one, dtype=torch.float32) if want else None
        for one, want in zip(inputs[1:4], wanted[1:4], strict=True)
    )
    of_noise = torch.empty_like(noise) if wanted[4] else None
    depthwise = kernel.to(dtype)
    flipped = depthwise.flip(2, 3)
    back = weight.t().to(dtype).contiguous()[:, :, None, None]
    ones = (1, 1)
    for top, bottom in _bands(x, given):
        start, end = max(top - 1, 0), min(bottom + 1, height)
        inner = slice(top - start, bottom - start)
        y = torch.ops.aten.leaky_relu_backward(gradient[start:end], out[start:end], _SLOPE, True)
        own = y[inner].flatten(0, 1)
        if of_noise is not None:
            of_noise[top:bottom] = y[inner].sum(2)
        if of_bias is not None:
            of_bias += own.sum(0)
        if of_weight is not None:
            spread, _ = _spread(x, depthwise, top, bottom)
            spread = spread[:, :, inner].permute(0, 2, 3, 1).reshape(-1, taken)
            of_weight += _product(own, spread)
        if of_x is None and of_kernel is None:
            continue
        y = same_convolution(y[None].permute(0, 3, 1, 2), back, None)
        if of_x is not None:
            turned = same_convolution(y, flipped, None, groups=taken)
            of_x[top:bottom] = turned[0, :, inner].permute(1, 2, 0)
        if of_kernel is not None:
            # the neighboring bands' rows count there
            y[:, :, : inner.start] = 0
            y[:, :, inner.stop :] = 0
            rows = x[None, start:end].permute(0, 3, 1, 2)
            of_kernel += torch.ops.aten.convolution_backward(
                y, rows, depthwise, None, ones, ones, ones, False, (0, 0), taken,
                (False, True, False),
            )[1]  # fmt: skip
    return of_x, of_kernel, of_weight, of_bias, of_noise


def _product(a: Tensor, b: Tensor) -> Tensor:
    """aᵀ b, of (N, C') and (N, C): torch leaves float32 to a library twice as slow as oneDNN."""
    if a.dtype == torch.float32 and _has_onednn_product():
        return _onednn_product(a, b)
    return a.t() @ b


def _onednn_product(a: Tensor, b: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(a.t(), b.t(), None, "none", [], "")
    return product


@cache
def _has_onednn_product() -> bool:
    """Whether this torch has that operation, which it doesn't promise to keep, as it is called."""
    a, b = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0], [2.0]])
    try:
        return torch.allclose(_onednn_product(a, b), a.t() @ b)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False


def _differentiable(
    inputs: Sequence[Tensor], wanted: Sequence[bool], gradient: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients of `_Separable`'s inputs that are wanted, each with one of its own."""
    out = _separable(*inputs)
    chosen = [one for one, want in zip(inputs, wanted, strict=True) if want]
    found = iter(torch.autograd.grad(out, chosen, gradient, create_graph=True))
    return tuple(next(found) if want else None for want in wanted)


def _separable(
    x: Tensor, kernel: Tensor, weight: Tensor, bias: Tensor, noise: Tensor | None
) -> Tensor:
    """A depthwise 3×3 convolution, a pointwise one, noise and leaky ReLU of x (h, w, C), in torch.

    Args:
        kernel: (C, 1, 3, 3); weight: (C', C); bias: (C',); noise: (h, w).
    """
    dtype = x.dtype
    y = F.conv2d(x.permute(2, 0, 1)[None], kernel.to(dtype), padding=1, groups=len(kernel))
    y = F.conv2d(y, weight.to(dtype)[:, :, None, None], bias.to(dtype))
    if noise is not None:
        y = y + noise.to(dtype)
    return F.leaky_relu(y, _SLOPE)[0].permute(1, 2, 0)
