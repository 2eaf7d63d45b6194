"""Finding faces, FFHQ alignment, and pasting back."""

from __future__ import annotations

from toonify.errors import UsageError
from toonify.faces.alignment import Alignment, align, ffhq_quad, paste_back
from toonify.faces.landmarks import FaceAlignmentDetector, weights_path
from toonify.faces.mtcnn import MTCNNDetector
from toonify.faces.types import Face, FaceDetector

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


def get_detector(name: str = "auto", *, device: str = "cpu", offline: bool = True) -> FaceDetector:
    """The face detector `name`: "mtcnn" (always works), "face-alignment" (68 points), or "auto":
    face-alignment where its weights are already cached, else mtcnn.

    Args:
        device: torch device of the landmark network; mtcnn runs on the CPU.
        offline: face-alignment may not download its weights.

    Raises:
        UsageError: unknown name.
        ModelError: the detector's weights are missing.
    """
    if name == "auto":
        name = "face-alignment" if weights_path().is_file() else "mtcnn"
    if name == "mtcnn":
        return MTCNNDetector()
    if name == "face-alignment":
        return FaceAlignmentDetector(device=device, offline=offline)
    raise UsageError(f"unknown face detector {name!r}", mend=f"Use one of {', '.join(DETECTORS)}.")
