"""Wavelet filters as matrices over a row or column of pixels, borders reflected.

As matrices they run at the speed of matrix products everywhere, and differentiate twice.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

# Orthonormal low-pass filters of Daubechies' symlets of 2 and 6 vanishing moments.
_ROOT = math.sqrt(3)
_SYM2 = [v / (4 * math.sqrt(2)) for v in (1 + _ROOT, 3 + _ROOT, 3 - _ROOT, 1 - _ROOT)]
_SYM6 = [
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
]
OVERLAP = len(_SYM6) // 2  # pixels of the doubled image beyond each border, for `halving`


def resample(images: Tensor, matrix: Tensor) -> Tensor:
    """Rows and columns of (B, 3, S, S) by a matrix (T, S), or one a sample (B, T, S)."""
    if matrix.ndim == 3:
        matrix = matrix[:, None]
    return matrix @ (images @ matrix.transpose(-1, -2))


@lru_cache(maxsize=4)
def upsampling(size: int, device: torch.device) -> Tensor:
    """(2S + 2·OVERLAP, S): doubling by zero insertion and sym6, a little beyond the borders."""
    taps = torch.arange(len(_SYM6))
    columns = torch.arange(-2 * OVERLAP, size + 2 * OVERLAP)[:, None].expand(-1, len(taps))
    rows = 2 * columns + taps - 5 + OVERLAP
    side = 2 * size + 2 * OVERLAP
    inside = (rows >= 0) & (rows < side)
    values = (math.sqrt(2) * torch.tensor(_SYM6)).expand_as(rows)[inside]
    places = (rows[inside], _reflected(columns, size)[inside])
    return torch.zeros(side, size).index_put_(places, values, accumulate=True).to(device)


@lru_cache(maxsize=4)
def halving(size: int, device: torch.device) -> Tensor:
    """(S, 2S + 2·OVERLAP): sym6 and every second value, which undoes `upsampling`."""
    columns = 2 * torch.arange(size)[:, None] + torch.arange(len(_SYM6)) - 5 + OVERLAP
    values = (torch.tensor(_SYM6) / math.sqrt(2)).expand_as(columns)
    return torch.zeros(size, 2 * size + 2 * OVERLAP).scatter_(1, columns, values).to(device)


@lru_cache(maxsize=4)
def band_filters(size: int, device: torch.device) -> Tensor:
    """(4, S, S): the image's frequency bands from low to high, an octave each, by sym2.

    Their sum is the identity.
    """
    low = torch.tensor(_SYM2, dtype=torch.float64)
    high = low * torch.tensor([1.0, -1.0, 1.0, -1.0])
    low, high = _autocorrelation(low) / 2, _autocorrelation(high) / 2
    rows = [torch.ones(1, dtype=torch.float64)]
    # Lowest octave first: every split but the last is stretched and smoothed by the next.
    for _ in range(3):
        rows = [_convolved(_stretched(row), low) for row in rows]
        side = (len(rows[0]) - len(high)) // 2
        rows.append(F.pad(high, (side, side)))
    reach = len(rows[0]) // 2
    columns = torch.arange(size)[:, None] + torch.arange(-reach, reach + 1)
    columns = _reflected(columns, size)
    filters = torch.zeros(len(rows), size, size)
    for matrix, row in zip(filters, rows, strict=True):
        matrix.scatter_add_(1, columns, row.float().expand_as(columns))
    return filters.to(device)


def _reflected(index: Tensor, size: int) -> Tensor:
    """The pixels that stand for those beyond the borders: …2 1 | 0 1 2…"""
    period = 2 * (size - 1)
    index = index.abs() % period
    return torch.minimum(index, period - index)


def _convolved(a: Tensor, b: Tensor) -> Tensor:
    out = torch.zeros(len(a) + len(b) - 1, dtype=a.dtype)
    for i, value in enumerate(a):
        out[i : i + len(b)] += value * b
    return out


def _autocorrelation(taps: Tensor) -> Tensor:
    return _convolved(taps, taps.flip(0))


def _stretched(taps: Tensor) -> Tensor:
    """Zeros put between the taps."""
    out = torch.zeros(2 * len(taps) - 1, dtype=taps.dtype)
    out[::2] = taps
    return out
