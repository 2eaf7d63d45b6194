"""Where in a picture lies what a generator draws: a face, which is looked for, or anything else.

Whatever reads pictures takes a `Subject` and asks it for the square to read. Faces are found and
aligned as in FFHQ; cars, cats or churches are taken from the middle of a picture or from a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import cv2
import numpy as np

from toonify.errors import InputError, UsageError
from toonify.faces.alignment import Alignment, Crop, align
from toonify.faces.types import RGB, FaceDetector, Points, f32
from toonify.utils.arguments import check_choice, check_range

Domain = Literal["faces", "any"]
Box = tuple[int, int, int, int]  # left, top, width and height in px of the picture

SMALLEST = 16  # px of a box, each way
FADE = 0.08  # sides of a square over which an edit ends, where the picture goes on


class Subject(Protocol):
    """Finds what a generator draws in a picture."""

    def crop(self, rgb: RGB, size: int) -> Crop:
        """The square (size, size, 3) of a picture (H, W, 3) uint8 that shows it.

        Raises:
            InputError: it isn't there.
        """
        ...

    def reach(self, crop: Crop, rgb: RGB, side: int) -> Points | None:
        """(side, side) in 0..1, how far an edit may change the crop; None for a head's ellipse."""
        ...


class LargestFace(Subject):
    """The largest face of a picture, aligned as in FFHQ."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector

    def crop(self, rgb: RGB, size: int) -> Alignment:
        """The aligned face; InputError where there is none."""
        faces = self._detector.detect(rgb)
        if not faces:
            raise InputError("no face found", hint="Use a picture with a visible face.")
        return align(rgb, faces[0], size)

    def reach(self, crop: Crop, rgb: RGB, side: int) -> None:
        """The head's ellipse."""


class Square(Subject):
    """The middle of a picture, as large as it can be, or the smallest square around a box.

    A square that reaches beyond the picture is moved into it; where it is larger than the picture,
    the picture is reflected.

    Args:
        box: left, top, width, height in px.

    Raises:
        UsageError: numbers that make no box.

    Examples:
        >>> car = Square((40, 90, 300, 160)).crop(photo, 256).image
    """

    def __init__(self, box: Sequence[int] | None = None) -> None:
        self.box = None if box is None else check_box(box)

    def crop(self, rgb: RGB, size: int) -> Crop:
        """The square; InputError where the box isn't within the picture."""
        left, top, side = self._place(*rgb.shape[:2])
        height, width = rgb.shape[:2]
        beyond = (-top, top + side - height, -left, left + side - width)
        above, below, before, after = (max(0, each) for each in beyond)
        area = rgb[max(0, top) : top + side, max(0, left) : left + side]
        if above or below or before or after:
            area = np.asarray(
                cv2.copyMakeBorder(area, above, below, before, after, cv2.BORDER_REFLECT), np.uint8
            )
        how = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(area, (size, size), interpolation=how), np.uint8)
        scale = side / size
        start = np.array([left, top]) + (scale - 1) / 2
        return Crop(image=image, matrix=np.array([[scale, 0, start[0]], [0, scale, start[1]]]))

    def reach(self, crop: Crop, rgb: RGB, side: int) -> Points:
        """All of it, fading out where the picture goes on beyond the square."""
        height, width = rgb.shape[:2]
        corner = crop.matrix[:, 2] - (crop.matrix[0, 0] - 1) / 2
        length = crop.matrix[0, 0] * crop.image.shape[0]
        at = (np.arange(side) + 0.5) / side
        ramps = []
        for start, end in zip(corner, (width, height), strict=True):
            opening, closing = at / FADE, (1 - at) / FADE
            ramp = np.minimum(
                opening if start > 0.5 else 1, closing if start + length < end - 0.5 else 1
            )
            ramps.append(np.clip(ramp, 0, 1) * np.ones(side))
        return f32(np.outer(ramps[1], ramps[0]))

    def _place(self, height: int, width: int) -> tuple[int, int, int]:
        """Left, top and side."""
        if self.box is None:
            side = min(height, width)
            return (width - side) // 2, (height - side) // 2, side
        x, y, w, h = self.box
        if x + w > width or y + h > height:
            raise InputError(
                f"the box {x},{y},{w},{h} reaches beyond the picture, which is {width}x{height} px",
                hint="Give `box` X,Y,W,H within it.",
            )
        side = max(w, h)

        def moved(start: float, end: int) -> int:
            whole = round(start)
            return min(max(0, whole), end - side) if side <= end else round((end - side) / 2)

        return moved(x + (w - side) / 2, width), moved(y + (h - side) / 2, height), side


def check_box(box: Sequence[int]) -> Box:
    """`box` as a tuple.

    Raises:
        UsageError: not four whole numbers, or none that make a box.
    """
    if len(box) != 4:
        raise UsageError(f"`box` has {len(box)} numbers", hint="Give four: X,Y,W,H in px.")
    for name, value, least in zip("XYWH", box, (0, 0, SMALLEST, SMALLEST), strict=True):
        if value is None:
            raise UsageError(f"`box` has no {name}", hint="Give four numbers: X,Y,W,H in px.")
        check_range("box", value, least, whole=True)
    x, y, width, height = (int(value) for value in box)
    return x, y, width, height


def check_domain(domain: str, box: Sequence[int] | None = None) -> None:
    """UsageError for an unknown domain, or a box that can't be."""
    check_choice("domain", domain, get_args(Domain))
    if box is not None:
        if domain == "faces":
            raise UsageError("faces are found, they need no `box`", hint="Add `domain` any.")
        check_box(box)


def subject_of(domain: Domain, box: Sequence[int] | None = None) -> Subject | None:
    """What finds a domain's subject; None for faces, which need a detector."""
    return None if domain == "faces" else Square(box)
