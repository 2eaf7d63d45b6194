"""Regions of a picture: what only light divides is one, what an edge divides is two."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.portrait.fields import Field, Lab, f32

EDGE = 6.5  # CIELAB units across a border, below which it is none
ACROSS = 2  # px on either side of a border, between which that is measured
UNLIKE = 16.0  # CIELAB units between the colors of two regions, from which they stay two


def even_out(picture: Lab, labels: NDArray[np.int32], *, area: float) -> Lab:
    """The picture with every region in its mean color.

    Regions are what hangs together under one label. Two become one where no edge divides them (a
    wall in passing light, a sky), and where one is too small; the least edge goes first.

    Args:
        picture: (H, W, 3), smooth.
        labels: (H, W), of a first division by color.
        area: px² of the smallest region.
    """
    regions = components(labels)
    count = int(regions.max()) + 1
    flat = regions.ravel()
    size = np.bincount(flat, minlength=count).astype(np.float64)
    total = np.stack([np.bincount(flat, f32(picture[..., i]).ravel(), count) for i in range(3)], 1)
    parent = np.arange(count)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for first, second, edge in borders(picture, regions, count):
        a, b = root(first), root(second)
        if a == b:
            continue
        apart = float(np.linalg.norm(total[a] / size[a] - total[b] / size[b]))
        if min(size[a], size[b]) >= area and (edge > EDGE or apart > UNLIKE):
            continue
        parent[b] = a
        size[a] += size[b]
        total[a] += total[b]
    roots = np.array([root(i) for i in range(count)])
    return f32((total[roots] / size[roots][:, None])[regions])


def components(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """(H, W), numbers from 0 of what hangs together under one label."""
    out = np.zeros(labels.shape, np.int32)
    start = 0
    for label in np.unique(labels):
        found, own = cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=4)
        np.copyto(out, own + (start - 1), where=own > 0)
        start += found - 1
    return out


def borders(picture: Lab, regions: NDArray[np.int32], count: int) -> list[tuple[int, int, float]]:
    """Pairs of neighbors and the mean step of color across their border, least first."""
    keys, steps = [], []
    for axis in (0, 1):
        a, b = np.moveaxis(regions, axis, 0)[:-1], np.moveaxis(regions, axis, 0)[1:]
        far = np.moveaxis(_step(picture, axis), axis, 0)
        differ = a != b
        low, high = np.minimum(a, b)[differ], np.maximum(a, b)[differ]
        keys.append(low.astype(np.int64) * count + high)
        steps.append(far[differ])
    key, step = np.concatenate(keys), np.concatenate(steps)
    pairs, inverse = np.unique(key, return_inverse=True)
    mean = np.bincount(inverse, step) / np.maximum(np.bincount(inverse), 1)
    order = np.argsort(mean, kind="stable")
    return [(int(pairs[i] // count), int(pairs[i] % count), float(mean[i])) for i in order]


def _step(picture: Lab, axis: int) -> Field:
    """Difference of color between `ACROSS` px before and after each border between two px."""
    p = np.moveaxis(picture, axis, 0)
    padded = np.concatenate([p[:1]] * (ACROSS - 1) + [p] + [p[-1:]] * (ACROSS - 1))
    difference = padded[2 * ACROSS - 1 :] - padded[: -(2 * ACROSS - 1)]
    length = np.sqrt(np.einsum("ijc,ijc->ij", difference, difference))
    return f32(np.moveaxis(length, 0, axis))
