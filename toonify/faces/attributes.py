"""What a drawing can take from a person: colors of skin and hair, glasses, beard and hairdo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from toonify.faces.parsing import INPUT, LABELS, FaceParser, Parsing
from toonify.faces.types import RGB, Points, f32
from toonify.models.attribute_vector import HAIR, HAIRDOS, LENGTH, SHAPE, SKIN, WORN, Hairdo, Lab

# share of the points, the lightest, that lightness is taken from: not of shadows
LIT = {"skin": 0.6, "hair": 1.0, "beard": 0.75, "brow": 0.75}
LEAST = {"skin": 60, "hair": 160, "beard": 60, "brow": 20}  # points that must show it, of 128²
GREEN = -3.0  # a* below which no hair grows: it's leaves …
DYED = 0.08  # … unless there is more of it than this share of the crop


@dataclass(frozen=True, kw_only=True)
class FaceAttributes:
    """What is seen of a person.

    Attributes:
        skin, hair: their colors in CIELAB (L 0..100); None where too little is seen. Beard or
            brows tell that of hair which isn't.
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

    Colors are medians over the points that surely show them, in the crop's own light; lightness is
    that of the lit side, which drawings begin with. Where little hair is seen, or a hat on it,
    beard or brows tell its color.

    Examples:
        >>> measure_attributes(align(rgb, face, 256).image, FaceParser()).hairdo
        'short'
    """
    seen = parser.parse(rgb, mirrored=False)
    hair = None if seen.headwear > 0.5 else lit_color(rgb, seen, "hair")
    if (
        hair is not None
        and hair[1] < GREEN
        and seen.labels[..., LABELS.index("hair")].mean() < DYED
    ):
        hair = None
    return FaceAttributes(
        skin=lit_color(rgb, seen, "skin"),
        hair=hair or lit_color(rgb, seen, "beard") or lit_color(rgb, seen, "brow"),
        glasses=1 - seen.glasses["none"],
        sunglasses=seen.glasses["sun"],
        beard=seen.beard,
        moustache=seen.moustache,
        hairdo=_hairdo(seen),
    )


def lit_color(rgb: RGB, seen: Parsing, label: str) -> Lab | None:
    """CIELAB (L 0..100) of a part of a crop (S, S, 3) uint8, one of `LEAST`: medians of the
    points that surely show it, its lightness of the lit ones; None where too few do."""
    side = len(seen.labels)
    shrinks = min(rgb.shape[:2]) > INPUT
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = f32(cv2.resize(rgb, (side, side), interpolation=how)) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    points = lab[seen.labels[..., LABELS.index(label)] > 0.7]
    if len(points) < LEAST[label]:
        return None
    lit = points[:, 0][points[:, 0] >= np.quantile(points[:, 0], 1 - LIT[label])]
    _, a, b = (float(v) for v in np.median(points, axis=0))  # sheen has no color
    return float(np.median(lit)), a, b


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
