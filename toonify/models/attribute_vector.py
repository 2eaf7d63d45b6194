"""How attributes of a face stand in a vector: what `toonify.faces.attributes` measures, and
`toonify.models.attribute_offsets` reads."""

from __future__ import annotations

from typing import Literal

Hairdo = Literal["receding", "short", "curly", "cloud", "long"]
HAIRDOS: tuple[Hairdo, ...] = ("receding", "short", "curly", "cloud", "long")
Lab = tuple[float, float, float]  # CIELAB, L 0..100

# A color and whether it is known, twice
SKIN, HAIR = slice(0, 4), slice(4, 8)
WORN = slice(8, 12)  # probabilities of glasses, sunglasses, a beard, a moustache
GLASSES_WORN = slice(WORN.start, WORN.start + 2)  # of these, glasses and sunglasses
SHAPE = slice(12, 12 + len(HAIRDOS))  # which of `HAIRDOS`; all 0 where none is known
LENGTH = SHAPE.stop
