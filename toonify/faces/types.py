"""What a face detector finds, and the interface every detector has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

RGB = NDArray[np.uint8]  # (H, W, 3)
Points = NDArray[np.float32]


def f32(values: ArrayLike) -> Points:
    """`values` as a float32 array."""
    return np.asarray(values, np.float32)


@dataclass(frozen=True, eq=False)
class Face:
    """One face in a picture; every coordinate in px of that picture, pixel centers at integers.

    Args:
        box: (4,) x0, y0, x1, y1; may reach beyond the picture.
        score: the detector's confidence, 0..1.
        points5: (5, 2) image-left eye, image-right eye, nose tip, left and right mouth corner
            (of the face, upright: a rotated face has them rotated).
        points68: (68, 2) in the iBUG order, when the detector gives them.
    """

    box: Points
    score: float
    points5: Points
    points68: Points | None = None

    @property
    def size(self) -> float:
        """The box's area in px²."""
        return float(max(self.box[2] - self.box[0], 0) * max(self.box[3] - self.box[1], 0))


class FaceDetector(Protocol):
    """Finds faces. Not thread-safe: one instance a thread.

    A detector derives from it and gives `name`, `detect` and `follow`; the rest is for those that
    can do with less than a whole look.
    """

    @property
    def name(self) -> str: ...

    def smallest(self, longest: float, *, quick: bool = False) -> float:
        """Height in px of the smallest faces that are looked for in a picture with that longest
        side; 0 where that is not known."""
        return 0.0

    def detect(self, rgb: RGB, *, quick: bool = False) -> list[Face]:
        """All faces in `rgb` (H, W, 3) uint8, largest first; an empty list when there is none.

        Args:
            quick: look less hard, for the many frames of a clip.
        """
        ...

    def detect_largest(self, rgb: RGB) -> list[Face]:
        """Faces, largest first, of which only the first one has to be found."""
        return self.detect(rgb)

    def glance(self, rgb: RGB, turn: int | None) -> list[Face]:
        """Faces of a clip's frame, largest first.

        Args:
            turn: counts the looks since the last new shot, so that each of them may look at a
                part only; None looks at all.
        """
        return self.detect(rgb, quick=True)

    def follow(self, rgb: RGB, face: Face) -> Face | None:
        """`face` measured anew in the next frame; None where it is not seen."""
        ...


def points5_from_68(points68: Points) -> Points:
    """(68, 2) -> (5, 2): each eye's mean of six, nose tip, outer mouth corners."""
    return np.stack(
        [
            points68[36:42].mean(0),
            points68[42:48].mean(0),
            points68[30],
            points68[48],
            points68[54],
        ]
    ).astype(np.float32)


def is_plausible(points5: Points) -> bool:
    """Whether five points can be a face: eyes apart, mouth below them, nothing far away.

    Guards the alignment against coincident eyes, mirrored orders and detections on texture.
    """
    if not np.isfinite(points5).all():
        return False
    left, right, nose = points5[0], points5[1], points5[2]
    mouth = points5[3:].mean(0)
    eyes, eye_center = right - left, (left + right) / 2
    distance = float(np.hypot(*eyes))
    drop = mouth - eye_center
    length = float(np.hypot(*drop))
    reach = max(distance, length)
    if reach < 2 or distance < 0.15 * reach or length < 0.3 * reach:
        return False
    # With y down, turning from the eye axis to the mouth is clockwise on an upright face.
    sine = float(eyes[0] * drop[1] - eyes[1] * drop[0]) / (distance * length)
    if sine < 0.3:
        return False
    return float(np.hypot(*(nose - (eye_center + mouth) / 2))) < 1.5 * reach
