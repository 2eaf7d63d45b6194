"""The silhouette of a drawing in front of a plain or gently graded background."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.faces.types import RGB, Points, f32
from toonify.utils.channels import largest

WORK = 256  # the silhouette is found at this size; larger drawings have no finer outline to find
REFITS = 7  # by then it has crept down to the bottom corners
MIN_SIDE = 48  # smaller ones have no outline to speak of
BORDER = 0.05  # strip along the top corners and upper sides where the background shows, in sides
CORNER = 0.3  # part of the top, from either corner: hair often fills the middle
MIN_PLAIN = 0.6  # part of that strip that has to fit the background model
MAX_SPREAD = 8.0  # robust deviation from it, in levels, of a background still called plain
TOLERANCE = (14.0, 30.0)  # color distance that still is background: at least, at most
SMOOTH = 0.008  # smoothing of the outline, in sides


def drawing_matte(toon: RGB) -> Points | None:
    """Opacity (S, S) float32 in 0..1 of what is drawn in `toon` (S, S, 3) uint8, 0 on background.

    The background is a quadratic color field in x and y, fitted robustly along the top and the
    sides, and reaches in from there as far as the colors follow it. None when the drawing has no
    such background or nothing plausible stands before it.
    """
    size = toon.shape[0]
    work = np.asarray(toon, np.uint8)
    if size > WORK:
        work = np.asarray(cv2.resize(work, (WORK, WORK), interpolation=cv2.INTER_AREA), np.uint8)
    side = work.shape[0]
    if side < MIN_SIDE:
        return None
    planes = f32(np.stack(cv2.split(work)))
    strip = np.zeros((side, side), bool)
    width = max(round(side * BORDER), 2)
    corner = round(side * CORNER)
    strip[:width, :corner] = strip[:width, -corner:] = True
    strip[: round(side * 0.6), :width] = strip[: round(side * 0.6), -width:] = True

    field, distance, spread = _fitted(planes, strip)
    tolerance = float(np.clip(4 * spread, *TOLERANCE))
    if spread > MAX_SPREAD or (distance[strip] < tolerance).mean() < MIN_PLAIN:
        return None
    background = _flood(distance < tolerance)
    if background.mean() < 0.05:
        return None
    # The border alone says little about the middle and the bottom: fit again on all that was found.
    for _ in range(REFITS):
        before = background
        field, distance, spread = _fitted(planes, before, field)
        tolerance = float(np.clip(4 * spread, *TOLERANCE))
        background = _flood(distance < tolerance)
        if np.array_equal(background, before):
            break

    drawn = _solid(~background)
    middle = drawn[side * 4 // 10 : side * 7 // 10, side * 4 // 10 : side * 6 // 10]
    if not 0.12 < drawn.mean() < 0.9 or middle.mean() < 0.9:
        return None
    # Blurring and cutting evens the outline; the cut above one half draws it in.
    outline = cv2.GaussianBlur(
        drawn.astype(np.float32), (0, 0), side * SMOOTH, borderType=cv2.BORDER_REPLICATE
    )
    if size > side:
        outline = cv2.resize(outline, (size, size), interpolation=cv2.INTER_LINEAR)
    return f32(np.clip((f32(outline) - 0.6) / 0.3, 0, 1))


@lru_cache(maxsize=4)
def _basis(side: int) -> NDArray[np.float64]:
    """(side * side, 6): 1, x, y, x², xy, y² with x and y in -1..1."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].reshape(2, -1)
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 1)


def _fitted(
    planes: Points, seeds: NDArray[np.bool_], field: NDArray[Any] | None = None
) -> tuple[NDArray[Any], Points, float]:
    """A field (6, 3) fitted robustly on the seeds, the distance (S, S) of every color to it, and
    the fit's robust deviation.

    Args:
        planes: (3, S, S), the colors.
        field: a former fit, to go on from.
    """
    where = np.flatnonzero(seeds)
    where = where[:: max(1, len(where) // 4000)]
    a, b = _basis(seeds.shape[0])[where], planes.reshape(3, -1)[:, where].T.astype(np.float64)
    # start from the median color: hair along the border would draw a plain first fit to itself
    fits = 8 if field is None else 3
    residual = _largest(b - (np.median(b, axis=0) if field is None else a @ field))
    field = np.zeros((6, 3)) if field is None else field
    for _ in range(fits):
        weights = 1 / (1 + (residual / (1.5 * _deviation(residual))) ** 2) ** 2
        aw = a * weights[:, None]
        field = np.linalg.solve(aw.T @ a + 1e-3 * np.eye(6), aw.T @ b)
        residual = _largest(b - a @ field)
    return field, _distance(planes, field), _deviation(residual)


def _deviation(residual: NDArray[np.float64]) -> float:
    middle = len(residual) // 2
    return max(1.48 * float(np.partition(residual, middle)[middle]), 0.5)


def _distance(planes: Points, field: NDArray[Any]) -> Points:
    """The largest difference (S, S) of a color's channels to the field's."""
    at = np.linspace(-1, 1, planes.shape[1])
    away = np.zeros(planes.shape[1:], np.float32)
    for plane, (one, x, y, xx, xy, yy) in zip(planes, field.T, strict=True):
        colors = np.outer(f32(at * xy), f32(at))
        colors += f32(one + at * y + at * at * yy)[:, None]
        colors += f32(at * x + at * at * xx)
        np.maximum(away, np.abs(plane - colors), out=away)
    return away


def _largest(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    return largest(np.abs(difference, out=difference))


def _flood(plain: np.ndarray) -> np.ndarray:
    """The part of `plain` that hangs together with the top and side borders, leaks cut off."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = cv2.morphologyEx(
        cv2.copyMakeBorder(plain.astype(np.uint8), 4, 4, 4, 4, cv2.BORDER_REPLICATE),
        cv2.MORPH_OPEN,
        kernel,
    )[4:-4, 4:-4]
    _, labels = cv2.connectedComponents(opened, connectivity=4)
    edge = np.concatenate([labels[0], labels[:, 0], labels[:, -1]])
    keep = np.zeros(int(labels.max()) + 1, bool)
    keep[edge] = True
    keep[0] = False
    return np.asarray(keep[labels])


def _solid(drawn: np.ndarray) -> np.ndarray:
    """The largest component of `drawn`, its holes filled."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(drawn.astype(np.uint8))
    if count < 2:
        return drawn
    largest = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    # Everything that the outside can't reach; the bottom is where the neck leaves the drawing.
    framed = np.pad((~largest).astype(np.uint8), ((1, 0), (1, 1)), constant_values=1)
    _, outside = cv2.connectedComponents(framed, connectivity=4)
    return np.asarray((outside != outside[0, 0])[1:, 1:-1])
