"""A drawn character in the colors of a person's skin and hair.

The generator's own tones end where those of its drawings did: very dark and very light skin would
come out as a gray between. Lines, blush and shade keep their share of the color.
"""

from __future__ import annotations

import cv2
import numpy as np

from toonify.faces.attributes import lit_color
from toonify.faces.parsing import LABELS, Parsing
from toonify.faces.types import RGB, Points, f32
from toonify.models.attribute_vector import Lab

SKIN = {"skin": 1.0, "ear": 1.0, "neck": 1.0, "lips": 0.6}  # how far each part follows
HAIR = {"hair": 1.0, "beard": 1.0, "brow": 0.6}
GAIN = (0.4, 1.5)  # of lightness, at most
EDGE = 0.004  # sigma of the parts' borders, in sides


def in_own_colors(
    toon: RGB, seen: Parsing, *, skin: Lab | None, hair: Lab | None, share: float = 1.0
) -> RGB:
    """A drawing (S, S, 3) uint8 with a person's colors.

    Args:
        seen: what the parser sees of the drawing.
        skin, hair: CIELAB of the person's (L 0..100), as of `measure_attributes`; None where it
            is not known, and stays the drawing's.
        share: how far the colors are moved, 0..1.
    """
    lab = cv2.cvtColor(f32(toon) / 255, cv2.COLOR_RGB2LAB)
    out = f32(toon)
    for want, label, parts in ((skin, "skin", SKIN), (hair, "hair", HAIR)):
        have = lit_color(toon, seen, label)
        if want is None or have is None:
            continue
        gain = float(np.clip(want[0] / max(have[0], 1.0), *GAIN))
        moved = lab * f32([gain, 1, 1]) + f32([0, want[1] - have[1], want[2] - have[2]])
        rgb = np.clip(cv2.cvtColor(f32(moved), cv2.COLOR_LAB2RGB), 0, 1) * 255
        where = _where(seen, parts, toon.shape[0]) * np.float32(share)
        out += (rgb - f32(toon)) * where[..., None]
    return np.asarray(np.clip(np.rint(out), 0, 255), np.uint8)


def _where(seen: Parsing, parts: dict[str, float], side: int) -> Points:
    shares = f32(sum(seen.labels[..., LABELS.index(name)] * far for name, far in parts.items()))
    whole = cv2.resize(shares, (side, side))
    return f32(np.clip(cv2.GaussianBlur(whole, (0, 0), EDGE * side), 0, 1))
