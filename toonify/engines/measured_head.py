"""Where a person's head, hair and neck are in a picture, and where they are a moment later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toonify.faces import Face
from toonify.faces.types import f32
from toonify.portrait.fields import Field
from toonify.portrait.subject import JAW, Subject

PARTS = ("hair", "skin", "neck", "headwear", "cover", "beard", "clothes")


@dataclass(frozen=True, eq=False)
class MeasuredHead:
    """What a drawing is set onto.

    Attributes:
        maps: (h, w, 7) float32 in 0..1, the `PARTS` in a window around the head.
        matrix: (2, 3) float64, px of the maps -> px of the picture.
        jaw: (N, 2), its line from ear to ear, px of the picture.
        unit: px of the picture; 1 where the eyes are 125 px apart.
        down: (2,), unit vector from the forehead to the chin.
        points5: (5, 2), of the face, px of the picture.
    """

    maps: Field
    matrix: NDArray[np.float64]
    jaw: Field
    unit: float
    down: Field
    points5: Field

    @classmethod
    def of_subject(cls, subject: Subject, face: Face) -> MeasuredHead:
        """From the program's measures."""
        # the analysis' picture may be smaller than the photograph
        ratio = subject.scale / subject.picture_scale
        left, top = ((at + 0.5) / subject.picture_scale - 0.5 for at in subject.offset)
        matrix = np.array([[ratio, 0, left], [0, ratio, top]], np.float64)
        return cls(
            maps=np.dstack([getattr(subject.parts, name) for name in PARTS]),
            matrix=matrix,
            jaw=f32(subject.face.points[list(JAW)] @ matrix[:, :2].T + matrix[:, 2]),
            unit=subject.face.unit * ratio,
            down=subject.face.down,
            points5=face.points5,
        )

    def moved(self, face: Face) -> MeasuredHead:
        """The same head where its face is now: turned in the picture, shifted and scaled."""
        turn = similarity_between(self.points5, face.points5)
        scale = float(np.hypot(*turn[:, 0]))
        matrix = turn[:, :2] @ self.matrix
        matrix[:, 2] += turn[:, 2]
        return replace(
            self,
            matrix=matrix,
            jaw=f32(self.jaw @ turn[:, :2].T + turn[:, 2]),
            unit=self.unit * scale,
            down=f32(turn[:, :2] @ self.down / scale),
            points5=face.points5,
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, for `restored`."""
        return {
            "maps": self.maps,
            "matrix": self.matrix,
            "jaw": self.jaw,
            "unit": np.array([self.unit]),
            "down": self.down,
            "points5": self.points5,
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[Any]]) -> MeasuredHead:
        """What a `state` is of."""
        return cls(
            maps=arrays["maps"],
            matrix=np.asarray(arrays["matrix"], np.float64),
            jaw=arrays["jaw"],
            unit=float(arrays["unit"][0]),
            down=arrays["down"],
            points5=arrays["points5"],
        )


def similarity_between(before: Field, after: Field) -> NDArray[np.float64]:
    """(2, 3): rotation, scale and shift that bring points (N, 2) nearest to others (Umeyama 1991,
    without reflection)."""
    old, new = np.asarray(before, np.float64), np.asarray(after, np.float64)
    a, b = old - old.mean(0), new - new.mean(0)
    size = max(float((a * a).sum()), 1e-12)
    cos = float((a * b).sum()) / size
    sin = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / size
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, new.mean(0) - turn @ old.mean(0)])
