"""Line-ups: is the photograph a drawing was made of found again among all of them?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LAYOUT = 24  # cells along each side of a color layout


def top1(distances: Array) -> float | None:
    """Share of the rows whose smallest entry is on the diagonal, and nowhere else.

    Args:
        distances: (N, N), from each drawing (row) to each photograph.

    Returns:
        0..1, 1/N by chance; None with fewer than two.
    """
    count = len(distances)
    if count < 2:
        return None
    own = np.diagonal(distances)
    others = np.where(np.eye(count, dtype=bool), np.inf, distances).min(1)
    return float((own < others).mean())


def descriptor_distances(drawings: Sequence[Array], photos: Sequence[Array]) -> Array:
    """(N, N) Euclidean distances of face descriptors (d,)."""
    a, b = np.stack(drawings).astype(np.float64), np.stack(photos).astype(np.float64)
    return np.asarray(np.linalg.norm(a[:, None] - b[None], axis=2))


def layout_distances(
    drawings: Sequence[Array], photos: Sequence[Array], heads: Sequence[Array]
) -> Array:
    """(N, N) mean distances of color layouts, each over the photograph's head.

    Args:
        drawings, photos: CIELAB colors of `LAYOUT`×`LAYOUT` cells, (24, 24, 3).
        heads: share of each cell that is the photograph's head, (24, 24).
    """
    a, b = np.stack(drawings).astype(np.float64), np.stack(photos).astype(np.float64)
    weights = np.stack(heads).astype(np.float64)
    weights = weights / np.maximum(weights.sum((1, 2), keepdims=True), 1e-9)
    rows = [(np.linalg.norm(drawing[None] - b, axis=3) * weights).sum((1, 2)) for drawing in a]
    return np.stack(rows)
