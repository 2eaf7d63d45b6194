"""Glasses put on a face: a frame drawn where the face's mesh has eyes, nose and ears.

A generator of 256 px paints rims as lumps, and dark lenses as bruises. A frame is a thing of few
curves: drawn at the photograph's own resolution, in its pose and light, it is one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.bundle import bundle_folder
from toonify.editing.background import Placement
from toonify.faces.alignment import Crop
from toonify.faces.mesh import FaceMesh, head_pose
from toonify.faces.parsing import LABELS, FaceParser, Parsing
from toonify.faces.types import RGB, Points, f32

LIDS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)  # of the mesh, around the image's left and right eye
CHEEKS = (127, 356)  # where temples pass the edge of the face
EARS = (234, 454)
LARGEST = 2048  # px of the drawn crop
# In distances of the eyes
WIDTH, DROP, FORWARD = 0.425, 0.07, 0.2  # half a lens, below the eye's middle, before it
THIN, THICKER = 0.024, 0.014  # of a frame, and what a strength of 1 adds
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
        share = np.hypot(*crop.matrix[:, 0]) * 2
        self._size = int(np.clip(crop.image.shape[0] * share, 256, LARGEST)) // 2 * 2
        self._points = f32((measures.points3d + 0.5) * (self._size / crop.image.shape[0]))
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
        shadow = _moved_down(frame, self._size / 2 * 0.014)
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
        points = self._points
        rotation = head_pose(points)[0]
        right, down, inward = (rotation[:, i] for i in range(3))
        eyes = [points[list(lids)].mean(0) for lids in LIDS]
        apart = float(np.linalg.norm(eyes[1] - eyes[0]))
        outline, width = lens_outline(), max(1.5, thick * apart)
        frame, temples, lenses = (np.zeros((self._size, self._size), np.uint8) for _ in range(3))
        inner, outer = [], []
        for side, eye in zip((-1, 1), eyes, strict=True):
            middle = eye + apart * (DROP * down - FORWARD * inward)
            across = side * right + 0.12 * inward  # a frame bends around the face
            shape = middle + WIDTH * apart * (outline[:, :1] * across + outline[:, 1:] * down)
            cv2.fillPoly(lenses, [_fixed(shape)], 255, cv2.LINE_AA, 4)
            _stroke(frame, shape, width, closed=True)
            top = outline[:, 1] < -0.3
            order = np.argsort(outline[top][:, 0])
            _stroke(frame, shape[top][order] + 0.15 * width * down, 1.35 * width)
            inner.append(shape[_nearest(outline, (-1, -0.3))])
            outer.append(shape[_nearest(outline, (1, -0.42))])
        crest = (inner[0] + inner[1]) / 2 - apart * (0.09 * down + 0.03 * inward)
        at = np.linspace(0, 1, 16)[:, None]
        bridge = (1 - at) ** 2 * inner[0] + 2 * at * (1 - at) * crest + at**2 * inner[1]
        _stroke(frame, bridge, width)
        for side, hinge, cheek, ear in zip((-1, 1), outer, CHEEKS, EARS, strict=True):
            edge = points[cheek] + 0.04 * apart * side * right
            if (edge - hinge)[:2] @ right[:2] * side > 0:  # on the side that is seen
                behind = points[ear] + apart * (0.02 * side * right - 0.1 * down)
                _stroke(temples, np.stack([hinge, edge, behind]), 0.9 * width)
        seen = (self._size // 2, self._size // 2)
        small = (
            cv2.resize(x, seen, interpolation=cv2.INTER_AREA) for x in (frame, temples, lenses)
        )
        frame_, temples_, lenses_ = (self._place.placed(f32(x / np.float32(255))) for x in small)
        return frame_, temples_, f32(lenses_ * (1 - frame_))


def lens_outline() -> Points:
    """(72, 2): x from the nose outward in -1..1, y down; a rounded rectangle, narrower below."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    x, y = (np.sign(t) * np.abs(t) ** 0.52 for t in (np.cos(angle), np.sin(angle)))
    x = x * (1 - 0.1 * np.clip(y, 0, 1))
    y = y - 0.12 * np.clip(x, 0, 1) ** 2 * (y < 0)  # corners go up a little
    return f32(np.stack([x, 0.76 * y], 1))


def _nearest(outline: Points, point: tuple[float, float]) -> int:
    return int(np.linalg.norm(outline - f32(point), axis=1).argmin())


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


def _fixed(points: Points) -> NDArray[np.int32]:
    return np.asarray(np.round(points[:, :2] * 16), np.int32)


def _stroke(mask: NDArray[np.uint8], points: Points, width: float, *, closed: bool = False) -> None:
    layer = np.zeros_like(mask)
    cv2.polylines(layer, [_fixed(points)], closed, 255, max(1, round(width)), cv2.LINE_AA, 4)
    np.maximum(mask, layer, out=mask)
