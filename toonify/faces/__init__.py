"""Finding faces, FFHQ alignment, and pasting back."""

from __future__ import annotations

import os

from toonify.errors import UsageError
from toonify.faces.alignment import Alignment, align, ffhq_quad, paste_back
from toonify.faces.landmarks import FaceAlignmentDetector, weights_path
from toonify.faces.mtcnn import MTCNNDetector
from toonify.faces.tiling import LEAST, TiledDetector
from toonify.faces.types import Face, FaceDetector
from toonify.utils.arguments import check_range

DETECTORS = ("auto", "mtcnn", "face-alignment")

__all__ = [
    "DETECTORS",
    "Alignment",
    "Face",
    "FaceDetector",
    "align",
    "ffhq_quad",
    "get_detector",
    "paste_back",
]


def get_detector(
    name: str = "auto",
    *,
    device: str = "cpu",
    offline: bool = True,
    min_face: float | None = None,
) -> FaceDetector:
    """The face detector `name`: "mtcnn" (always works), "face-alignment" (68 points), or "auto":
    face-alignment where its weights are already cached, else mtcnn.

    Args:
        device: torch device of the landmark network; mtcnn runs on the CPU.
        offline: face-alignment may not download its weights.
        min_face: height in px of the smallest faces that are looked for, see `TiledDetector`.

    Raises:
        UsageError: unknown name.
        ModelError: the detector's weights are missing.
    """
    check_range("min_face", min_face, LEAST)
    if name == "auto":
        # a cache that may not be looked into holds nothing for us, which `os.path` says quietly
        name = "face-alignment" if os.path.isfile(weights_path()) else "mtcnn"
    if name == "mtcnn":
        return TiledDetector(MTCNNDetector(), min_face=min_face)
    if name == "face-alignment":
        detector = FaceAlignmentDetector(device=device, offline=offline)
        return TiledDetector(detector, min_face=min_face)
    raise UsageError(
        f"unknown face detector {name!r}", hint=f"Use `landmarks` {', '.join(DETECTORS)}."
    )
