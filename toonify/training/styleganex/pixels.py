"""Small pixel arithmetic shared by the frames' makers."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike

from toonify.faces.types import RGB, Points, f32


def mix(below: Points, above: Points, share: ArrayLike) -> Points:
    return f32(below + (above - below) * f32(share))


def u8(image: ArrayLike) -> RGB:
    values = np.asarray(image)
    return np.asarray(cv2.add(values, np.zeros(1), dtype=cv2.CV_8U), np.uint8)  # saturates
