"""What stands before a face: hands, microphones, cups, which a drawing goes behind."""

from __future__ import annotations

import cv2
import numpy as np

from toonify.faces.parsing import LABELS, FaceParser
from toonify.faces.types import RGB, Points, f32
from toonify.utils.ramps import smoothstep

HAND, THING = LABELS.index("hand"), LABELS.index("object")
# Probabilities from which on a pixel begins to count, and counts fully.
HAND_SEEN, THING_SEEN = (0.35, 0.8), (0.25, 0.6)
LEAST = 0.006  # part of the crop below which a patch is light and shade
MOST_INSIDE = 0.85  # part of a hand within the face's oval, above which it is shade on a cheek
LEAST_INSIDE = 0.03  # below it stands beside the face
SOFT = 0.008  # blur of the outline, in crop sides


class OcclusionMask:
    """FFHQ crops → opacity of hands and things before the face; one instance a thread.

    Args:
        parser: labels the crop; None takes the one that ships.

    Raises:
        ModelError: there is none, or it can't be read.
    """

    def __init__(self, parser: FaceParser | None = None) -> None:
        self._parser = FaceParser(mirrored=False) if parser is None else parser

    def __call__(self, crop: RGB) -> Points:
        """(S, S, 3) uint8 → (S, S) float32 in 0..1; 0 where nothing stands before the face."""
        labels = self._parser(crop)
        hand, thing = labels[..., HAND], labels[..., THING]
        found = np.maximum(smoothstep(hand, *HAND_SEEN), smoothstep(thing, *THING_SEEN))
        side = found.shape[0]
        y, x = (np.mgrid[:side, :side] + 0.5) / side
        oval = ((x - 0.5) / 0.25) ** 2 + ((y - 0.6) / 0.36) ** 2 < 1  # where FFHQ has the face
        count, parts = cv2.connectedComponents((found > 0.5).astype(np.uint8))
        keep = np.zeros(count, bool)
        for part in range(1, count):
            own = parts == part
            inside = float(oval[own].mean())
            is_thing = float(thing[own].mean()) > float(hand[own].mean())
            keep[part] = own.mean() >= LEAST and inside > LEAST_INSIDE
            keep[part] &= is_thing or inside < MOST_INSIDE
        size = crop.shape[0]
        mask = f32(np.where(keep[parts], found, 0))
        mask = f32(cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR))
        return f32(cv2.GaussianBlur(mask, (0, 0), max(SOFT * size, 0.3)))
