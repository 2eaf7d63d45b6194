"""68 landmarks by the `face-alignment` package (Bulat & Tzimiropoulos, arXiv 1703.07332) on the
faces that MTCNN finds."""

from __future__ import annotations

import inspect
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

from toonify.checkpoints.cache import location
from toonify.checkpoints.registry import get
from toonify.errors import ModelError
from toonify.faces.mtcnn import MTCNNDetector
from toonify.faces.types import RGB, Face, FaceDetector, f32, is_plausible, points5_from_68

# MTCNN's boxes end below the lower lip; the landmark network knows boxes down to the chin.
BOX_GROWTH = (0.0, 0.0, 0.0, 0.06)  # left, top, right, bottom, in box sides


def weights_path() -> Path:
    """Where `face-alignment` keeps its 2-D network; found without importing torch."""
    return location(get("face-alignment"))


class FaceAlignmentDetector(FaceDetector):
    """MTCNN boxes with 68 landmarks each.

    Args:
        device: a torch device name.
        offline: never download, even where TOONIFY_DOWNLOAD is set.

    Raises:
        ModelError: no weights, or they can't be downloaded or read.
    """

    name = "face-alignment"

    def __init__(self, *, device: str = "cpu", offline: bool = True) -> None:
        from toonify.checkpoints.download import obtain  # not before it is needed: imports ssl

        hint = "Run: toonify models pull face-alignment, or use `landmarks` mtcnn."
        try:
            obtain("face-alignment", offline=offline)
        except ModelError as error:
            raise ModelError("face-alignment's weights are not here", hint=hint) from error
        try:
            import face_alignment
        except ImportError as error:
            raise ModelError(
                "the package face-alignment is not installed", hint="Install it with pip."
            ) from error
        options: dict[str, Any] = {"device": device, "flip_input": False}
        # The boxes come from MTCNN; the "folder" detector is the one that has no weights.
        options["face_detector"] = "folder"
        if "compile" in inspect.signature(face_alignment.FaceAlignment.__init__).parameters:
            options["compile"] = False
        try:
            self._net = face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D, **options)
        except (OSError, URLError, RuntimeError, pickle.UnpicklingError) as error:
            raise ModelError(f"can't load face-alignment's weights: {error}", hint=hint) from error
        self._boxes = MTCNNDetector()

    def smallest(self, longest: float, *, quick: bool = False) -> float:
        """See `FaceDetector.smallest`."""
        return self._boxes.smallest(longest, quick=quick)

    def detect(self, rgb: RGB, *, quick: bool = False) -> list[Face]:
        """All faces with `points68`, largest first; `points5` are taken from the 68."""
        return self._with_points(rgb, self._boxes.detect(rgb, quick=quick))

    def follow(self, rgb: RGB, face: Face) -> Face | None:
        """`face` measured anew where it is expected; None where it is not seen."""
        found = self._boxes.follow(rgb, face)
        return None if found is None else self._with_points(rgb, [found])[0]

    def _with_points(self, rgb: RGB, faces: list[Face]) -> list[Face]:
        if not faces:
            return []
        boxes = []
        for face in faces:
            x0, y0, x1, y1 = (float(v) for v in face.box)
            left, top, right, bottom = BOX_GROWTH
            w, h = x1 - x0, y1 - y0
            boxes.append([x0 - left * w, y0 - top * h, x1 + right * w, y1 + bottom * h])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._net.get_landmarks_from_image(rgb, detected_faces=boxes) or []
        out = []
        for face, points in zip(faces, found, strict=True):
            points68 = f32(points)
            points5 = points5_from_68(points68)
            # Landmarks that fell apart (a profile, a drawing) are worse than MTCNN's five.
            if is_plausible(points5):
                face = replace(face, points5=points5, points68=points68)
            out.append(face)
        return out
