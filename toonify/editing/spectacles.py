"""Glasses put on a face: a frame drawn where the face's mesh has eyes, nose and ears.

A generator of 256 px paints rims as lumps, and dark lenses as bruises. A frame is a thing of few
curves: drawn at the photograph's own resolution, in its pose and light, it is one.
"""

from __future__ import annotations

import cv2
import numpy as np

from toonify.bundle import bundle_folder
from toonify.editing.background import Placement
from toonify.faces.alignment import Crop
from toonify.faces.mesh import FaceMesh
from toonify.faces.parsing import LABELS, FaceParser, Parsing
from toonify.faces.spectacles import draw_frames
from toonify.faces.types import RGB, Points, f32

LARGEST = 1024  # px of the drawn crop
THIN, THICKER = 0.024, 0.014  # of a frame in distances of the eyes, and what a strength of 1 adds
COLOR = (43, 38, 37)
BRIGHT = 150.0  # levels of skin that COLOR is seen beside
SHADE, GLOSS, GLASS = 0.25, 26.0, 5.0  # of the frame on skin; levels on its upper edge, of a lens


class Spectacles:
    """One photograph's face, to put glasses on.

    Args:
        rgb: (H, W, 3) uint8.
        crop: its aligned face.
        parser: tells hair, which hides temples, and whether glasses are worn already.

    Raises:
        InputError: the face can't be measured.
    """

    def __init__(self, rgb: RGB, crop: Crop, parser: FaceParser) -> None:
        self._rgb, self._place = rgb, Placement(rgb, crop)
        self._parsing = parser.parse(crop.image)
        measures = FaceMesh(bundle_folder("default")).measure(crop.image)
        own, share = crop.image.shape[0], np.hypot(*crop.matrix[:, 0])
        self._side = int(np.clip(own * share, 128, LARGEST))
        self._points = f32((measures.points3d + 0.5) * (self._side / own) - 0.5)
        self._light = _light(crop.image, self._parsing)

    @property
    def worn(self) -> bool:
        """Whether there are some already."""
        return self._parsing.glasses["none"] < 0.3

    def __call__(self, strength: float) -> RGB:
        """The photograph with glasses on, of thin rims at 1 and thick ones at 3.

        Nothing changes at 0 and below, and where glasses are worn.
        """
        if strength <= 0 or self.worn or self._place.empty:
            return self._rgb.copy()
        frame, temples, lenses = self._drawn(THIN + THICKER * strength)
        hair = f32(self._parsing.labels[..., LABELS.index("hair")])
        temples = temples * (1 - self._place.placed(hair))
        shadow = _moved_down(frame, self._side * 0.014)
        cover = np.maximum(frame, temples)[..., None]
        relief = cv2.GaussianBlur(cover, (0, 0), 1)
        gloss = np.clip(relief - np.roll(relief, 1, 0), 0, 1)[..., None] * GLOSS
        out = self._rgb.copy()
        area = f32(out[self._place.area])
        area = area * (1 - SHADE * shadow[..., None]) + GLASS * lenses[..., None]
        color = self._light * (f32(COLOR) + gloss)
        area = area + (color - area) * cover * 0.96
        out[self._place.area] = np.clip(np.rint(area), 0, 255).astype(np.uint8)
        return out

    def _drawn(self, thick: float) -> tuple[Points, Points, Points]:
        """Frame, temples and lenses in 0..1, over the photograph's area.

        Args:
            thick: of the frame, in distances of the eyes.
        """
        drawn = draw_frames(self._points, self._side, thick=thick)
        parts = (drawn.frame, drawn.temples, drawn.lenses)
        frame, temples, lenses = (self._place.placed(part) for part in parts)
        return frame, temples, f32(lenses * (1 - frame))


def _light(rgb: RGB, parsing: Parsing) -> float:
    """How bright the skin is beside `BRIGHT`."""
    skin = cv2.resize(f32(parsing.labels[..., LABELS.index("skin")]), rgb.shape[1::-1])
    bright = float((rgb.mean(2) * skin).sum() / max(float(skin.sum()), 1.0))
    return float(np.clip(bright / BRIGHT, 0.25, 1.15))


def _moved_down(field: Points, px: float) -> Points:
    """A soft copy, `px` further down."""
    shift = f32(np.array([[1, 0, 0], [0, 1, px]]))
    moved = cv2.warpAffine(field, shift, field.shape[1::-1])
    return f32(cv2.GaussianBlur(moved, (0, 0), max(px / 2, 0.5)))
