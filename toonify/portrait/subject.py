"""What the program knows about one person: mesh, eyes, and soft maps of what is where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toonify.portrait.fields import Field, f32
from toonify.portrait.memory import NO_MEMORY, Steady

RGB = NDArray[np.uint8]

# Indices of MediaPipe's 468-point mesh; "left" and "right" are the image's sides.
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
JAW = (
    234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361,
    323, 454,
)  # fmt: skip
LIP_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIP_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
BROWS = (  # upper and lower edge, from the outer end to the inner
    ((70, 63, 105, 66, 107), (46, 53, 52, 65, 55)),
    ((300, 293, 334, 296, 336), (276, 283, 282, 295, 285)),
)
NOSE_WING = ((64, 98, 97, 2), (294, 327, 326, 2))
UNDER_NOSE = (98, 97, 2, 326, 327, 165, 391, 92, 322, 61, 291, 0, 40, 270)
CHEEKS = ((205, 50, 118, 119, 120, 47, 126, 203), (425, 280, 347, 348, 349, 277, 355, 423))


@dataclass(frozen=True, eq=False)
class Eye:
    """One eye; points in px. `upper` and `lower` (9, 2) run from the outer corner to the inner."""

    upper: Field
    lower: Field
    iris: Field  # (2,)
    radius: float


@dataclass(frozen=True, eq=False)
class FaceGeometry:
    """Mesh and eyes of one face, px of the picture that is drawn.

    `unit` is 1 where the eyes are 125 px apart, as in a 512 px portrait: every width and sigma of
    the program is given for such a face and multiplied with it.
    """

    points: Field  # (468, 2)
    points3d: Field  # (468, 3)
    eyes: tuple[Eye, Eye]  # the image's left and right
    yaw: float  # degrees, + to the image's right
    roll: float
    unit: float

    @property
    def down(self) -> Field:
        """Unit vector from the forehead to the chin."""
        angle = np.deg2rad(self.roll)
        return f32([-np.sin(angle), np.cos(angle)])


@dataclass(frozen=True, eq=False)
class Parts:
    """Soft maps (H, W), 0..1, of one person in the picture that is drawn."""

    person: Field
    hair: Field
    skin: Field  # face, ears and neck together
    neck: Field
    clothes: Field
    beard: Field
    glasses: Field  # frames
    lenses: Field  # sunglasses: dark lenses with their frames
    headwear: Field
    cover: Field  # hands and things before the face


@dataclass(frozen=True, eq=False)
class Subject:
    """One person to draw.

    `rgb`, `face` and `parts` are in px of the person's own window, which is sampled at the size
    that its face is drawn best at; a point of it is at `point * scale + offset` in the picture.
    """

    rgb: RGB
    face: FaceGeometry
    parts: Parts
    scale: float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)
    memory: Steady = NO_MEMORY
    picture_scale: float = 1.0  # px of the picture a px of the photograph
    face_index: int = 0  # of its face among those that were given
