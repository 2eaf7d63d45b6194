"""What is behind the people of a drawing."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from toonify.errors import UsageError

RGB = NDArray[np.uint8]
NAMES = ("draw", "keep", "transparent")
# "draw" (as everything else), "keep" (the photograph's), "transparent", or an RGB color, 0..255
Background = str | tuple[int, int, int]


def parse_background(text: str) -> Background:
    """One of `NAMES`, or a color as CSS writes it: "white", "#fc0", "rgb(255, 204, 0)".

    Raises:
        UsageError: it is neither.
    """
    if text in NAMES:
        return text
    try:
        red, green, blue, *_ = ImageColor.getrgb(text)
    except ValueError:
        raise UsageError(
            f"there is no background {text!r}",
            hint="Use draw, keep, transparent or a color such as white or #ffcc00.",
        ) from None
    return red, green, blue


def fitted(size: tuple[int, int], longest: int | None) -> tuple[int, int]:
    """(width, height) shrunk so that the longer side is at most `longest` px."""
    if longest is None or max(size) <= longest:
        return size
    scale = longest / max(size)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def resized(picture: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """A picture (H, W) or (H, W, C) at (width, height)."""
    if picture.shape[1::-1] == size:
        return picture
    shrinks = size[0] < picture.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), picture.dtype)
