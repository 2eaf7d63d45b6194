"""What a drawing can take from a person: colors of skin and hair, glasses, beard and hairdo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from toonify.faces.parsing import INPUT, LABELS, FaceParser, Parsing
from toonify.faces.types import RGB, Points, f32
from toonify.models.attribute_vector import HAIR, HAIRDOS, LENGTH, SHAPE, SKIN, WORN, Hairdo, Lab

LEAST = 60  # points that must show a color, of 128²


@dataclass(frozen=True, kw_only=True)
class FaceAttributes:
    """What is seen of a person.

    Attributes:
        skin, hair: their colors in CIELAB (L 0..100); None where too little is seen. A beard
            tells that of hair which isn't.
        glasses, sunglasses, beard, moustache: probabilities; sunglasses are glasses, too.
        hairdo: the one of `HAIRDOS` that comes nearest; None under a hat.
    """

    skin: Lab | None
    hair: Lab | None
    glasses: float
    sunglasses: float
    beard: float
    moustache: float
    hairdo: Hairdo | None

    def vector(self) -> Points:
        """(17,) float32, 0 where nothing is known; means of such vectors may stand for a clip."""
        out = np.zeros(LENGTH, np.float32)
        for part, color in ((SKIN, self.skin), (HAIR, self.hair)):
            if color is not None:
                out[part] = (*color, 1)
        out[WORN] = self.glasses, self.sunglasses, self.beard, self.moustache
        if self.hairdo is not None:
            out[SHAPE.start + HAIRDOS.index(self.hairdo)] = 1
        return out


def measure_attributes(rgb: RGB, parser: FaceParser) -> FaceAttributes:
    """Attributes of the person in an FFHQ crop (S, S, 3) uint8.

    Colors are those of the lit side, which drawings begin with: medians over the lightest 30 % of
    the points that surely show skin, 75 % of hair's, in the crop's own light.

    Examples:
        >>> measure_attributes(align(rgb, face, 256).image, FaceParser()).hairdo
        'short'
    """
    seen = parser.parse(rgb, mirrored=False)
    side = len(seen.labels)
    shrinks = min(rgb.shape[:2]) > INPUT
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = f32(cv2.resize(rgb, (side, side), interpolation=how)) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)

    def color(label: str, share: float) -> Lab | None:
        points = lab[seen.labels[..., LABELS.index(label)] > 0.7]
        if len(points) < LEAST:
            return None
        lit = points[points[:, 0] >= np.quantile(points[:, 0], 1 - share)]
        lightness, a, b = (float(v) for v in np.median(lit, axis=0))
        return lightness, a, b

    return FaceAttributes(
        skin=color("skin", 0.3),
        hair=color("hair", 0.75) or color("beard", 0.75),  # under a hat
        glasses=1 - seen.glasses["none"],
        sunglasses=seen.glasses["sun"],
        beard=seen.beard,
        moustache=seen.moustache,
        hairdo=_hairdo(seen),
    )


def _hairdo(seen: Parsing) -> Hairdo | None:
    """By the share of hair above the brows, beside the face and below the mouth."""
    if seen.headwear > 0.5:
        return None
    hair = np.asarray(seen.map() == LABELS.index("hair"), np.uint8)
    side = len(hair)
    count, which, stats, _ = cv2.connectedComponentsWithStats(hair)
    if count > 2:  # other people's hair is apart from it
        hair = np.asarray(which == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()), np.uint8)
    above, below = hair[: int(0.31 * side)].mean(), hair[int(0.69 * side) :].mean()
    beside = hair[int(0.39 * side) : int(0.62 * side)].mean()
    if below > (0.20 if beside > 0.30 else 0.10):  # clouds reach below the mouth, too
        return "long"
    if above < 0.16:
        return "receding"
    return "cloud" if beside > 0.30 else "curly" if beside > 0.20 else "short"
