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
# "draw" (as everything else), "keep" (the photograph's), "transparent", or a color: RGB 0..255, or
# what `parse_background` reads
Background = str | tuple[int, int, int]


def parse_background(background: Background) -> Background:
    """One of `NAMES`, or a color: RGB, or as CSS writes it ("white", "#fc0", "rgb(255, 204, 0)").

    Returns:
        the name, or (red, green, blue), each 0..255.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(background, str) and background in NAMES:
        return background
    try:
        given = ImageColor.getrgb(background)[:3] if isinstance(background, str) else background
        red, green, blue = given
        if not all(0 <= level <= 255 for level in given):
            raise ValueError
    except (TypeError, ValueError):
        raise UsageError(
            f"there is no background {background!r}",
            hint="Use draw, keep, transparent or a color such as white or #ffcc00.",
        ) from None
    return int(red), int(green), int(blue)


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
