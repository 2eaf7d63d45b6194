"""The detector of engines that draw pictures whoever is in them."""

from __future__ import annotations

from toonify.faces import FaceDetector
from toonify.faces.types import RGB, Face


class NoFaces(FaceDetector):
    """Looks for no faces."""

    name = "none"

    def detect(self, rgb: RGB, *, quick: bool = False) -> list[Face]:
        """None."""
        return []

    def follow(self, rgb: RGB, face: Face) -> None:
        """Nobody is followed."""

    def detect_largest(self, rgb: RGB) -> list[Face]:
        """None."""
        return []

    def smallest(self, longest: float, *, quick: bool = False) -> float:
        """0: none is looked for."""
        return 0.0
