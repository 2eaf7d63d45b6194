"""3×3 convolutions with half of the multiplications, on a CPU (arXiv 1509.09308).

Winograd's minimal filtering F(4, 3) along the height: six rows and the kernel's three are taken to
six points, where a plain convolution of one row each does the rest, and four rows of results are
read off the products. The points are 0, ±3/4, ±3/2 and infinity: with the usual ±1 and ±2 rounding
errors are twice as large. Filtering both ways would save half of what is left, and spend it on
rearranging tiles; so every step runs through whole rows in memory.

Bands of rows are taken through all steps while they are in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.models.cpu import compute_dtype, infers

GIVEN, TAKEN = 4, 6  # rows of results and of values
P, Q = 0.75, 1.5  # the points, beside their negatives, 0 and infinity
BAND = 1 << 21  # values at the points that are worked on together
MIN_CHANNELS, MIN_PIXELS = 64, 1024  # of a convolution and of a band: less isn't worth it


@dataclass(frozen=True)
class Finish:
    """What follows a convolution, done while its results are in the cache.

    Attributes:
        scale: (1 or B, O), factors of its channels.
        bias: (O,), added to them.
        noise: (1 or B, 1, H', W'), added to all of them.
        slope: of a leaky ReLU at last; 1 for none.
    """

    scale: Tensor | None = None
    bias: Tensor | None = None
    noise: Tensor | None = None
    slope: float = 1.0

    def apply(self, y: Tensor, picture: int, rows: slice) -> None:
        """Change y (h, W', O), some rows of a picture of the batch, in place."""
        if self.scale is not None:
            y *= self.scale[picture % len(self.scale)]
        if self.bias is not None:
            y += self.bias
        if self.noise is not None:
            y += self.noise[picture % len(self.noise), 0, rows, :, None]
        if self.slope != 1:
            F.leaky_relu_(y, self.slope)


def suits(x: Tensor, weight: Tensor) -> bool:
    """Whether `convolve` is exact enough and faster: float32 on a CPU, without gradients, of
    many channels and pixels."""
    return (
        infers(x)
        and compute_dtype(x) == weight.dtype == torch.float32
        and min(weight.shape[:2]) >= MIN_CHANNELS
        and x.shape[2] * x.shape[3] >= MIN_PIXELS
    )


def kernels_at_points(weight: Tensor) -> Tensor:
    """A weight (O, I, 3, 3) as `convolve` takes it: (6, O, I, 1, 3)."""
    rows = weight.permute(2, 0, 1, 3)
    return (_transform() @ rows.reshape(3, -1)).view(TAKEN, *rows.shape[1:3], 1, 3)


def convolve(
    x: Tensor, kernels: Tensor, finish: Finish = Finish(), *, padding: int, dilation: int = 1
) -> Tensor:
    """What F.conv2d(x, weight, padding=padding, dilation=dilation) gives, finished.

    Args:
        x: (B, I, H, W) in float32.
        kernels: `kernels_at_points(weight)`, (6, O, I, 1, 3).
        padding: zeros around.

    Returns:
        (B, O, H', W') with channels last in memory, H' = H + 2·padding - 2·dilation.
    """
    batch, taken, height, width = x.shape
    d, given, pixels = dilation, kernels.shape[1], x.permute(0, 2, 3, 1).contiguous()
    out = x.new_empty(batch, height + 2 * (padding - d), width + 2 * (padding - d), given)
    # with dilation d a picture's rows are those of d pictures that lie in each other
    fitting = max(MIN_PIXELS, BAND // (TAKEN * max(taken, given)))
    step = GIVEN * d * max(1, fitting // (width * d))
    for b in range(batch):
        for top in range(0, out.shape[1], step):
            rows = slice(top, min(out.shape[1], top + step))
            into = out[b, rows]
            groups = -(-len(into) // (GIVEN * d))
            values = _rows(pixels[b], top - padding, (GIVEN * groups + 2) * d)
            values = values.unfold(0, TAKEN * d, GIVEN * d).unflatten(-1, (TAKEN, d))
            points = x.new_empty(TAKEN, groups, d, width, taken)
            _to_points(values.movedim(-1, 1).unbind(-1), points.unbind(0))
            products = [
                _convolve_rows(line.flatten(0, 1), kernel, padding, d).unflatten(0, (groups, d))
                for line, kernel in zip(points, kernels, strict=True)
            ]
            whole = len(into) == GIVEN * d * groups
            y = into if whole else x.new_empty(GIVEN * d * groups, *into.shape[1:])
            _from_points(products, y.unflatten(0, (groups, GIVEN, d)).unbind(1))
            finish.apply(y[: len(into)], b, rows)
            if not whole:
                into.copy_(y[: len(into)])
    return out.permute(0, 3, 1, 2)


def _rows(x: Tensor, first: int, count: int) -> Tensor:
    """Rows from `first` on of x (H, W, C), with zeros where it has none."""
    above, below = max(-first, 0), max(first + count - len(x), 0)
    rows = x[first + above : first + count - below]
    return F.pad(rows, (0, 0, 0, 0, above, below)) if above or below else rows


def _convolve_rows(x: Tensor, kernel: Tensor, padding: int, dilation: int) -> Tensor:
    """x (H, W, I), each row by kernel (O, I, 1, 3) → (H, W', O)."""
    x = x[None].permute(0, 3, 1, 2)
    y = F.conv2d(x, kernel, padding=(0, padding), dilation=(1, dilation))
    return y.permute(0, 2, 3, 1)[0]


def _to_points(x: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """Six rows → their values at the six points."""
    even, odd = torch.sub(x[4], x[2], alpha=Q * Q), torch.sub(x[3], x[1], alpha=Q * Q)
    torch.add(even, odd, alpha=P, out=out[1])
    torch.sub(even, odd, alpha=P, out=out[2])
    torch.sub(x[4], x[2], alpha=P * P, out=even)
    torch.sub(x[3], x[1], alpha=P * P, out=odd)
    torch.add(even, odd, alpha=Q, out=out[3])
    torch.sub(even, odd, alpha=Q, out=out[4])
    torch.sub(x[2], x[0], alpha=P * P, out=out[0])
    torch.sub(even, out[0], alpha=Q * Q, out=out[0])
    torch.sub(x[5], x[3], alpha=P * P, out=out[5])
    torch.sub(out[5], odd, alpha=Q * Q, out=out[5])


def _from_points(x: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """Products at the six points, which are overwritten → four rows of results.

    Those at ±P and ±Q are multiplied by 2P² and 2Q², which `kernels_at_points` sees to.
    """
    torch.add(x[1], x[2], out=out[0])
    torch.sub(x[1], x[2], out=out[3])
    even, odd = torch.add(x[3], x[4], out=x[1]), torch.sub(x[3], x[4], out=x[2])
    torch.lerp(out[0], even, 0.5, out=out[2])
    torch.lerp(out[3], odd, 1 / (2 * Q), out=out[1])  # 1/2P + 1/2Q = 1
    torch.add(x[0], out[0], alpha=1 / (2 * P * P), out=out[0])
    torch.add(out[0], even, alpha=1 / (2 * Q * Q), out=out[0])
    torch.add(x[5], out[3], alpha=P / 2, out=out[3])
    torch.add(out[3], odd, alpha=Q / 2, out=out[3])


@cache
def _transform() -> Tensor:
    """(6, 3): from a kernel's three rows to its values at the points, as `_from_points` wants."""
    at_points = [
        [value / (x * x - other * other) for value in (1, x, x * x)]
        for x, other in ((P, Q), (-P, Q), (Q, P), (-Q, P))
    ]
    return torch.tensor([[1 / (P * P * Q * Q), 0, 0], *at_points, [0, 0, 1]])
