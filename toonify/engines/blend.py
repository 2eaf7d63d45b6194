"""The portrait program's drawings with faces by a network.

The program's hair, clothes and backgrounds are flat and crisp; the network, which learnt from such
drawings, keeps closer to a face. They lie exactly over each other, so the one's faces are set into
the other along what the parser tells.
"""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np

from toonify.engines.portrait import StyleEngine
from toonify.engines.unet import UNetEngine
from toonify.errors import UsageError
from toonify.faces import FaceDetector, get_detector
from toonify.faces.types import RGB, Points, f32
from toonify.names import unknown_name
from toonify.portrait.analysis import Analysis
from toonify.portrait.engine import PortraitEngine
from toonify.portrait.subject import Subject

EYES_APART = 125.0  # px in a face whose `unit` is 1
SEAM = 0.016  # of the distance between the eyes: over which the two are mixed


class BlendEngine(StyleEngine):
    """Draws in styles that both the program and a network of the bundle know.

    Args:
        portraits: the program.
        style: the one that `characters` names first.
        network: draws the faces.
        options: as of `StyleEngine`.

    Example:
        >>> engine = BlendEngine.from_bundle("default", "ink")
        >>> (drawn,) = engine.draw_image(rgb, ["ink"], faces=engine.detector.detect(rgb))
    """

    name = "blend"

    def __init__(
        self,
        portraits: PortraitEngine,
        style: str | None = None,
        *,
        network: UNetEngine,
        **options: Any,
    ) -> None:
        super().__init__(portraits, style, **options)
        self.network = network
        if self.style not in network.characters:
            raise unknown_name("style of a network", self.style, list(network.characters))

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        style: str | None = None,
        *,
        detector: FaceDetector | None = None,
        landmarks: str = "auto",
        offline: bool = True,
        min_face: float | None = None,
        device: str = "auto",
        dtype: str = "auto",
        document: str | None = None,
        **options: Any,
    ) -> BlendEngine:
        """On a bundle's networks; `options` as of the class.

        Raises:
            ModelError: the bundle offers no styles or no network, or its files are missing or
                damaged.
            UsageError: a style that the two don't both know, or shapes are asked for.
        """
        if document is not None:
            raise UsageError(
                f"a network draws pixels, no shapes for {document}",
                hint="Take one of the styles that the program draws.",
            )
        if detector is None:
            detector = get_detector(landmarks, offline=offline, min_face=min_face)
        network = UNetEngine.from_bundle(bundle, detector=detector, device=device, dtype=dtype)
        return super().from_bundle(  # type: ignore[return-value]
            bundle,
            style,
            detector=detector,
            landmarks=landmarks,
            offline=offline,
            min_face=min_face,
            network=network,
            **options,
        )

    @property
    def characters(self) -> tuple[str, ...]:
        """Names of the styles that both know, the chosen one first."""
        return tuple(name for name in super().characters if name in self.network.characters)

    def identity(self, character: str) -> dict[str, Any]:
        """The program's, and the network's."""
        return {**super().identity(character), "faces": self.network.identity(character)}

    def describe(self) -> dict[str, Any]:
        """All that a clip's frames depend on beside the picture."""
        return {**super().describe(), "faces": self.network.describe()}

    def pixels(self, measured: Analysis, style: str, photo: RGB, size: tuple[int, int]) -> RGB:
        """As the program's, the faces by the network."""
        drawn = super().pixels(measured, style, photo, size)
        if not measured.subjects:
            return drawn
        scale = photo.shape[1] / measured.rgb.shape[1]
        apart = max(EYES_APART * s.face.unit * s.scale for s in measured.subjects) * scale
        faces = self.network.pixels(photo, style, size, apart)
        share = np.zeros(size[::-1], np.float32)
        for subject in measured.subjects:
            share = np.maximum(share, face_share(subject, size[0] / measured.rgb.shape[1], size))
        if drawn.shape[2] == 4:
            share = share * f32(drawn[..., 3] > 0)
        mixed = drawn.copy()
        mixed[..., :3] = cv2.blendLinear(
            faces, np.ascontiguousarray(drawn[..., :3]), f32(share), f32(1 - share)
        )
        return mixed


def face_share(subject: Subject, scale: float, size: tuple[int, int]) -> Points:
    """How much of each pixel is a person's face, (H, W) in 0..1.

    Args:
        scale: px of the result a px of the picture that was measured.
        size: (width, height) of the result.
    """
    parts = subject.parts
    face = np.clip(parts.skin + parts.beard + parts.glasses + parts.lenses, 0, 1)
    face = face * (1 - parts.neck) * (1 - parts.cover) * (1 - parts.headwear)
    sigma = max(SEAM * EYES_APART * subject.face.unit, 0.6)
    inside = cv2.GaussianBlur(f32(face), (0, 0), sigma)
    inside = np.clip((inside - 0.5) / 0.4, 0, 1)  # within the outlines, which are the program's
    k = subject.scale * scale
    x, y = subject.offset
    matrix = np.array([[k, 0, x * scale], [0, k, y * scale]], np.float64)
    return f32(cv2.warpAffine(f32(inside), matrix, size, flags=cv2.INTER_LINEAR))
