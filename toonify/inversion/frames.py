"""Photographs as StyleGANEX (arXiv 2303.06146) sees them: a whole frame and its aligned face."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from toonify.errors import InputError
from toonify.faces.alignment import Alignment, Crop
from toonify.faces.subject import Subject
from toonify.models.encoders.psp import INPUT_SIZE
from toonify.models.encoders.styleganex import STRIDE

RGB = NDArray[np.uint8]  # (H, W, 3)
Framing = Literal["whole", "face", "aligned"]

EYE_DISTANCE = 64.0  # pixels between the eyes of a frame, as in training
REACH = 256  # pixels kept on each side of the eyes by the framing "face"
SMALLEST, MOST_PIXELS = 32, 2**20


@dataclass(frozen=True, eq=False)
class AlignedInput:
    """What the encoders read of one photograph.

    Attributes:
        face: (256, 256, 3) uint8 aligned crop, for w+.
        frame: (H, W, 3) uint8 with the eyes 64 px apart, for f; None with "aligned".
        crop: the face's, in px of the frame; None without one.
    """

    face: RGB
    frame: RGB | None
    crop: Crop | None = None


def prepare_input(
    rgb: RGB,
    framing: Framing,
    subject: Subject | None = None,
    *,
    lower: int | None = None,
) -> AlignedInput:
    """Frame and face of a photograph (H, W, 3) uint8; of other subjects, frame and square.

    Args:
        framing: "whole" keeps the photograph whole, "face" 256 px around the eyes, "aligned"
            has no frame.
        subject: finds the face or square; None with "aligned" takes the photograph as an
            FFHQ-aligned face.
        lower: what comes back is as if super-resolution by this factor were to undo it.

    Raises:
        InputError: no face, or a frame too small or too large.
    """
    if framing == "aligned":
        face = resize(rgb, INPUT_SIZE, INPUT_SIZE)
        if subject is not None:
            face = subject.crop(rgb, INPUT_SIZE).image
        return AlignedInput(lowered(face, lower) if lower else face, None)
    if subject is None:
        raise ValueError("a subject is needed to find the face")
    aligned = frame_crop(rgb, subject.crop(rgb, INPUT_SIZE), framing)
    if not lower or aligned.frame is None:
        return aligned
    face, frame = lowered(aligned.face, lower), lowered(aligned.frame, lower)
    return replace(aligned, face=face, frame=frame)


def frame_crop(rgb: RGB, crop: Crop, framing: Framing) -> AlignedInput:
    """`prepare_input` for the 256x256 crop of a face, or of a square, 256 px in its frame too."""
    if isinstance(crop, Alignment):
        left, right = crop.face.points5[0], crop.face.points5[1]
        scale = EYE_DISTANCE / float(np.hypot(*(right - left)))
        x, y = (left + right) / 2
        what, smaller = "face", "face"
    else:
        what, smaller = "square", "aligned"
        scale = 1 / float(crop.matrix[0, 0])
        x, y = crop.matrix @ [INPUT_SIZE / 2, INPUT_SIZE / 2, 1]
    top, bottom, start, stop = 0, rgb.shape[0], 0, rgb.shape[1]
    if framing == "face":
        reach = REACH / scale
        top, bottom = max(0, round(y - reach)), min(bottom, round(y + reach))
        start, stop = max(0, round(x - reach)), min(stop, round(x + reach))
    height, width = round((bottom - top) * scale), round((stop - start) * scale)
    if framing == "whole" and height * width > MOST_PIXELS:
        raise InputError(
            f"with the {what} at its size the frame would be {width}x{height} px",
            hint=f"Use `frame` {smaller}.",
        )
    if min(height, width) < SMALLEST:
        raise InputError(
            f"with the {what} at its size the frame is {width}x{height} px, at least {SMALLEST} "
            "are needed",
            hint=f"Use a picture that shows more around the {what}, or `frame` aligned.",
        )
    sides = np.array([width / (stop - start), height / (bottom - top)])
    frame = resize(rgb[top:bottom, start:stop], height, width)
    return AlignedInput(crop.image, frame, crop.scaled(sides, start=(start, top)))


def resize(rgb: RGB, height: int, width: int) -> RGB:
    """(H, W, C) or (H, W) uint8 to another size, averaged when smaller."""
    if rgb.shape[:2] == (height, width):
        return rgb
    smaller = height < rgb.shape[0] or width < rgb.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=how), np.uint8)


def lowered(rgb: RGB, factor: int) -> RGB:
    """(H, W, 3) shrunk as far as super-resolution by `factor` would undo, and enlarged again."""
    height, width = rgb.shape[:2]
    times = max(1, factor // 4)  # the published answer is four times the frame
    small = resize(rgb, max(1, height // times), max(1, width // times))
    return resize(small, height, width)


def pad_to_stride(frame: Tensor) -> Tensor:
    """(B, C, H, W) continued by reflection, right and below, to multiples of the stride.

    Raises:
        InputError: smaller than 32 px.
    """
    height, width = frame.shape[2:]
    if min(height, width) < SMALLEST:
        raise InputError(
            f"the frame is {width}x{height} px", hint=f"At least {SMALLEST} each way are needed."
        )
    padding = (0, -width % STRIDE, 0, -height % STRIDE)
    return F.pad(frame, padding, mode="reflect") if any(padding) else frame
