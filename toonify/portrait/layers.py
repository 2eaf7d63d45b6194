"""A picture in two layers: its people, and what is behind them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.faces.types import RGB, f32


@dataclass(frozen=True, eq=False)
class Layers:
    """People before something, or before nothing.

    Attributes:
        people: (H, W, 3) uint8, the whole picture as its people are drawn.
        alpha: (H, W) uint8, where they are.
        behind: (H, W, 3) uint8; None where the picture is transparent.
        known: `behind` shows what is behind people, too; else they stand in it.
        grain: what is made up behind them is to have a photograph's.
    """

    people: RGB
    alpha: NDArray[np.uint8]
    behind: RGB | None
    known: bool = True
    grain: bool = True

    @classmethod
    def of_photo(cls, photo: RGB) -> Layers:
        """All of a photograph (H, W, 3) as the people in it."""
        return cls(photo, np.full(photo.shape[:2], 255, np.uint8), photo, known=False)

    def flat(self) -> RGB:
        """One picture, (H, W, 3) uint8, or (H, W, 4) with opacity where nothing is behind."""
        if self.behind is None:
            people = self.people.copy()
            people[self.alpha == 0] = 0
            return np.dstack([people, self.alpha])
        share = f32(self.alpha) / 255
        mixed = cv2.blendLinear(
            np.ascontiguousarray(self.people), np.ascontiguousarray(self.behind), share, 1 - share
        )
        return np.asarray(mixed, np.uint8)
