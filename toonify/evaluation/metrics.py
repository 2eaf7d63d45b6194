"""Figures over sets: correlation, kernel distance (KID's) and Fréchet distance (FID's).

Plain functions on NumPy arrays; where the arrays come from is `features.py` and `probes.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]


def correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Pearson's r; None with fewer than three pairs, or where either side never changes."""
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def slope(x: Sequence[float], y: Sequence[float]) -> float | None:
    """How far y goes for one unit of x (least squares); None where x never changes."""
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(a) < 3 or np.ptp(a) == 0:
        return None
    a = a - a.mean()
    return float(a @ (b - b.mean()) / (a @ a))


def kernel_distance(x: Features, y: Features) -> float | None:
    """Unbiased squared MMD with the kernel (x·y/d + 1)³ (KID, Bińkowski et al., 1801.01401).

    Args:
        x, y: (N, d) and (M, d) features. All pairs count, so no subsets are drawn.

    Returns:
        about 0 for equal distributions, below 0 by chance; None with fewer than two on a side.
    """
    if len(x) < 2 or len(y) < 2:
        return None
    width = x.shape[1]

    def kernel(a: Features, b: Features) -> Features:
        return np.asarray((a @ b.T / width + 1) ** 3, np.float64)

    def within(a: Features) -> float:
        k = kernel(a, a)
        return float((k.sum() - np.trace(k)) / (len(a) * (len(a) - 1)))

    return within(x) + within(y) - 2 * float(kernel(x, y).mean())


def frechet_distance(x: Features, y: Features) -> float | None:
    """Fréchet distance of the Gaussians fitted to two sets (FID, Heusel et al., 1706.08500).

    Biased upwards, the more the fewer samples there are; compare equal counts only.

    Args:
        x, y: (N, d) and (M, d) features.

    Returns:
        ≥ 0 up to rounding; None with fewer than two on a side.
    """
    if len(x) < 2 or len(y) < 2:
        return None
    # tr (C_x C_y)^½ is the sum of the singular values of X Yᵀ, X and Y centered and scaled so that
    # XᵀX = C_x: exact at any rank, and no d × d root is taken.
    a = (x - x.mean(0)) / np.sqrt(len(x) - 1)
    b = (y - y.mean(0)) / np.sqrt(len(y) - 1)
    between = float(np.square(x.mean(0) - y.mean(0)).sum())
    root = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    return between + float(np.square(a).sum() + np.square(b).sum()) - 2 * root
