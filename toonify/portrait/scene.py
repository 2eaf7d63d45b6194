"""What the parts of one drawing share: the picture, its flow, and the window of each head."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from toonify.portrait.fields import Field, Lab, Streamlines, f32
from toonify.portrait.memory import NO_MEMORY, Steady
from toonify.portrait.shapes import Drawing, Ring
from toonify.portrait.styles import Style
from toonify.portrait.subject import FaceGeometry, Parts


@dataclass(eq=False)
class Palette:
    """Colors of one head that its parts are drawn with, RGB in 0..1 by default."""

    skin: Field  # CIELAB of the skin's main tone
    ink: Field  # outlines of skin and features
    fold: Field  # softer lines within skin
    hair_ink: Field | None = None


@dataclass(eq=False)
class Head:
    """One head in its window of the picture; all fields and points are in px of the window.

    A point of the window is at `point * scale + offset` in the drawing.
    """

    lab: Lab
    flow: Streamlines
    face: FaceGeometry
    parts: Parts
    style: Style
    drawing: Drawing
    offset: tuple[float, float]
    scale: float = 1.0
    memory: Steady = NO_MEMORY
    palette: Palette = field(
        default_factory=lambda: Palette(
            f32([65, 14, 18]), f32([0.15, 0.08, 0.06]), f32([0.5, 0.3, 0.25])
        )
    )

    @property
    def unit(self) -> float:
        return self.face.unit

    @property
    def pen(self) -> float:
        """Width of an ordinary line, px; thinner lines would vanish on small faces."""
        return max(self.style.line, 1.7) * self.unit**0.6

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the window."""
        return (self.lab.shape[1], self.lab.shape[0])

    def add(
        self,
        rings: list[Ring],
        color: ArrayLike,
        *,
        opacity: float = 1.0,
        blur: float = 0.0,
        clip: list[Ring] | None = None,
    ) -> None:
        """Paint rings given in px of the window."""
        moved = self.to_drawing(rings)
        through = None if clip is None else self.to_drawing(clip)
        self.drawing.add(moved, color, opacity=opacity, blur=blur * self.scale, clip=through)

    def to_drawing(self, rings: list[Ring]) -> list[Ring]:
        """Rings of the window in px of the drawing."""
        move = f32(self.offset)
        return [f32(ring) * np.float32(self.scale) + move for ring in rings if len(ring) >= 3]
