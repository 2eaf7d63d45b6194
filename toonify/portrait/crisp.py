"""What a network drew, with flatter areas and sharper edges: as large as is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from toonify.faces.types import RGB, Points, f32
from toonify.portrait.shock_filter import shock_filter

ENLARGED = 2.5  # by how much a drawing is enlarged, for its edges to become sharp
FLATTENED = 3  # passes of the bilateral filter
LEVELS = 18.0  # of 255: differences up to about that are leveled
EYE = 0.24  # of the distance between the eyes: what lies that near an eye keeps its detail


def crisp(drawn: RGB, eyes: Sequence[Points] = ()) -> RGB:
    """Flatten a drawing (H, W, 3), and enlarge it `ENLARGED` times with sharp edges.

    Args:
        eyes: (2, 2) of each face, px of the drawing; they are not flattened, and sharpened less.
    """
    size = (round(drawn.shape[1] * ENLARGED), round(drawn.shape[0] * ENLARGED))
    flat = drawn
    for _ in range(FLATTENED):
        flat = np.asarray(cv2.bilateralFilter(flat, 9, LEVELS, 3.0), np.uint8)
    large = shock_filter(
        np.asarray(cv2.resize(flat, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    )
    for pair in eyes:
        for eye in pair:
            _restore(large, drawn, eye, EYE * float(np.hypot(*(pair[1] - pair[0]))))
    return large


def _restore(large: RGB, drawn: RGB, center: Points, radius: float) -> None:
    """Put the detail within `radius` px of a point back into an enlarged copy, in place."""
    height, width = drawn.shape[:2]
    x0, y0 = np.maximum(np.floor(center - 1.5 * radius), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(center + 1.5 * radius), [width, height]).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    left, top = round(x0 * ENLARGED), round(y0 * ENLARGED)
    right, bottom = round(x1 * ENLARGED), round(y1 * ENLARGED)
    size = (right - left, bottom - top)
    own = cv2.resize(drawn[y0:y1, x0:x1], size, interpolation=cv2.INTER_CUBIC)
    own = shock_filter(np.asarray(own, np.uint8), sigma=1.5, steps=3)
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32) / np.float32(ENLARGED)
    away = np.hypot(x - center[0], y - center[1]) / radius
    share = f32(np.clip((1.3 - away) / 0.5, 0, 1))
    around = np.ascontiguousarray(large[top:bottom, left:right])
    large[top:bottom, left:right] = cv2.blendLinear(own, around, share, 1 - share)
