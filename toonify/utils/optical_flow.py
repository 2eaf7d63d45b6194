"""Where things move between two pictures of one size."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

BORDER = cv2.BORDER_REPLICATE
RGB = NDArray[np.uint8]  # (H, W, 3)
Field = NDArray[np.float32]


def optical_flow(before: RGB, after: RGB, *, longest: float, smooth: float) -> Field:
    """(S, S, 2) px: where in `before` (S, S, 3) each pixel of `after` comes from, away from itself.

    Dense inverse search (arXiv 1603.03590).

    Args:
        longest: ways are cut to it, in sides of the picture.
        smooth: deviation of the Gaussian that the field is smoothed by, likewise.
    """
    gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (after, before)]
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = np.asarray(finder.calc(gray[0], gray[1], None), np.float32)  # type: ignore[call-overload]
    side = before.shape[0]
    length = np.hypot(flow[..., 0], flow[..., 1])
    flow *= np.minimum(1, longest * side / np.maximum(length, 1e-6))[..., None]
    soft = cv2.GaussianBlur(flow, (0, 0), smooth * side, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(soft, np.float32)


def moved(
    picture: NDArray[Any], flow: Field, how: int = cv2.INTER_LINEAR, *, border: int = BORDER
) -> NDArray[Any]:
    """What a picture (H, W, …) has where `flow` (H, W, 2) px leads from each of its pixels."""
    x, y = _places(*flow.shape[:2])
    return cv2.remap(picture, flow[..., 0] + x, flow[..., 1] + y, how, None, border)


@lru_cache(maxsize=4)
def _places(height: int, width: int) -> tuple[Field, Field]:
    """(H, W) each pixel's x, and its y."""
    y, x = np.mgrid[:height, :width]
    return np.asarray(x, np.float32), np.asarray(y, np.float32)
