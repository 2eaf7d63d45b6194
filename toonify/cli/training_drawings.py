"""`train-encoder --task sketch|mask`: photographs and what is drawn of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from toonify.cli.training_frames import FrameOptions
    from toonify.training.encoders.data import EncoderData
    from toonify.training.styleganex.batch import FrameSource


def drawn_faces(options: FrameOptions, data: EncoderData) -> FrameSource:
    """Faces with the drawings given of them, or made here."""
    import numpy as np

    from toonify.inversion.translation import LABELS, load_parser
    from toonify.training.styleganex.sources import FaceDrawings, pencil_sketch

    labels = len(LABELS) if options.task == "mask" else 1
    faces, names = data.photographs()
    if options.drawings is not None:
        drawings = np.stack([_drawing(options, name, faces.shape[1]) for name in names])
    else:
        draw = load_parser(options.parser) if options.parser is not None else pencil_sketch
        drawings = np.stack([draw(np.asarray(face)) for face in faces])
    return FaceDrawings(faces, drawings, labels=labels)


def _drawing(options: FrameOptions, name: str, size: int) -> np.ndarray:
    """The sketch or label map of a photograph: the file of the same name, any suffix."""
    import cv2
    import numpy as np

    from toonify.errors import InputError
    from toonify.inversion.translation import read_mask
    from toonify.media.images import read_image
    from toonify.training.data.drawings import center_square

    assert options.drawings is not None
    stem = Path(name).with_suffix("")
    folder = (options.drawings / stem).parent
    found = sorted(p for p in folder.iterdir() if p.stem == stem.name) if folder.is_dir() else []
    if not found:
        raise InputError(
            f"no drawing of {name} in {options.drawings}", hint="Name it as the photograph."
        )
    if options.task == "mask":
        labels = center_square(read_mask(found[0]))
        return np.asarray(cv2.resize(labels, (size, size), interpolation=cv2.INTER_NEAREST))
    gray = cv2.cvtColor(center_square(read_image(found[0]).flat), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
