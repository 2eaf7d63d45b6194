"""Photographs and what is drawn of them: sketches or label maps, given or made."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from toonify.errors import InputError
from toonify.inversion.translation import LABELS, load_parser, read_mask
from toonify.media.images import read_image
from toonify.training.data.drawings import center_square
from toonify.training.encoders.data import EncoderData
from toonify.training.styleganex.batch import FrameSource
from toonify.training.styleganex.sources import FaceDrawings, pencil_sketch


def drawn_faces(
    data: EncoderData, *, masks: bool, drawings: Path | None = None, parser: Path | None = None
) -> FrameSource:
    """Faces with the drawings given of them, or made here.

    Args:
        data: photographs.
        masks: label maps; else sketches.
        drawings: folder of them, named as the photographs.
        parser: makes label maps without a folder, see `load_parser`.

    Raises:
        InputError: a photograph's drawing is missing, or unreadable.
    """
    faces, names = data.photographs()
    if drawings is not None:
        drawn = np.stack([_drawing(drawings, name, faces.shape[1], masks) for name in names])
    else:
        draw = load_parser(parser) if parser is not None else pencil_sketch
        drawn = np.stack([draw(np.asarray(face)) for face in faces])
    return FaceDrawings(faces, drawn, labels=len(LABELS) if masks else 1)


def _drawing(drawings: Path, name: str, size: int, mask: bool) -> np.ndarray:
    """The sketch or label map of a photograph: the file of the same name, any suffix."""
    stem = Path(name).with_suffix("")
    folder = (drawings / stem).parent
    found = sorted(p for p in folder.iterdir() if p.stem == stem.name) if folder.is_dir() else []
    if not found:
        raise InputError(f"no drawing of {name} in {drawings}", hint="Name it as the photograph.")
    if mask:
        labels = center_square(read_mask(found[0]))
        return np.asarray(cv2.resize(labels, (size, size), interpolation=cv2.INTER_NEAREST))
    gray = cv2.cvtColor(center_square(read_image(found[0]).flat), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
