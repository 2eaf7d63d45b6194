"""Two people whose parts go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError
from toonify.faces.mesh import head_pose
from toonify.faces.types import RGB, Face, Points, f32, is_plausible
from toonify.portrait.analysis import Analyzer
from toonify.portrait.subject import Subject

MOST_TURNED = 48.0  # degrees, beyond which the mesh is a guess
MOST_APART = (26.0, 22.0)  # degrees of yaw and pitch between faces that go together
MOST_FACES = 3  # that are looked at


@dataclass(frozen=True, eq=False)
class Person:
    """The largest face of a picture, measured.

    Attributes:
        rgb: (H, W, 3), the picture.
        subject: the face in its window.
        to_picture: (2, 3), px of the window to px of the picture.
        name: for messages.
        face: as it was found.
    """

    rgb: RGB
    subject: Subject
    to_picture: NDArray[np.float64]
    name: str
    face: Face

    @property
    def size(self) -> tuple[int, int]:
        """(w, h) of the window."""
        return self.subject.rgb.shape[1], self.subject.rgb.shape[0]

    def before(self) -> Points:
        """(h, w) in 0..1: hair, hands, things, hats and glasses."""
        parts = self.subject.parts
        seen = [parts.hair, parts.cover, parts.headwear, parts.glasses, parts.lenses]
        return f32(np.max([np.clip(each, 0, 1) for each in seen], axis=0))


def measure(analyzer: Analyzer, rgb: RGB, faces: Sequence[Face], name: str) -> Person:
    """The first face of a picture, measured; the others' hair is not its own.

    Raises:
        InputError: it can't be.
    """
    face = faces[0]
    found = analyzer.analyze(rgb, faces[:MOST_FACES]).subjects
    if not found or not is_plausible(face.points5):
        raise InputError(f"{name}: the face can't be measured", hint="Use a clearer picture.")
    subject = found[0]
    scale = subject.scale / subject.picture_scale
    shift = (np.array(subject.offset) + 0.5) / subject.picture_scale - 0.5
    return Person(rgb, subject, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), name, face)


def check_poses(photo: Person, other: Person) -> None:
    """InputError for faces that look into directions too different for parts to fit."""
    angles = []
    for person in (photo, other):
        yaw, pitch = head_pose(person.subject.face.points3d)[1:3]
        if abs(yaw) > MOST_TURNED:
            raise InputError(
                f"{person.name}: the face is turned too far aside ({abs(yaw):.0f}°)",
                hint="Use a picture that shows it from the front.",
            )
        angles.append((yaw, pitch))
    apart = [abs(a - b) for a, b in zip(*angles, strict=True)]
    if apart[0] > MOST_APART[0] or apart[1] > MOST_APART[1]:
        raise InputError(
            f"{photo.name} and {other.name}: the faces look into different directions"
            f" ({max(apart):.0f}° apart)",
            hint="Use pictures of heads that are turned alike.",
        )
