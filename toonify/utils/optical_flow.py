"""Where things move between two pictures of one size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

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
