"""Parts of a face in its aligned crop: where they are, and whether they are there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.faces.alignment import Alignment
from toonify.faces.parsing import LABELS, Parsing
from toonify.faces.types import Points, f32

SIDE = 256  # px of the masks
FACE = ((0.5, 0.56), (0.36, 0.42))  # center and half axes of where a crop's own face is, in sides


@dataclass(frozen=True)
class FacePart:
    """What a name stands for.

    Attributes:
        labels: of `faces.parsing.LABELS`, but for hair within the crop's own face. The nose has
            none: it lies between eyes and mouth.
        around: by which the labels are widened, in sides of the crop.
        least: share of the crop that it covers where there is one.
        skin: it lies in skin, whose tone follows the photograph's.
    """

    labels: tuple[str, ...]
    around: float
    least: float
    skin: bool = True


PARTS = {
    "eyes": FacePart(("eye",), 0.028, 0.002),
    "brows": FacePart(("brow",), 0.02, 0.002),
    "nose": FacePart((), 0.012, 0.0),
    "mouth": FacePart(("lips", "mouth"), 0.03, 0.004),
    "hair": FacePart(("hair",), 0.004, 0.04, skin=False),
    "glasses": FacePart(("glasses", "sunglasses"), 0.012, 0.006, skin=False),
    "beard": FacePart(("beard",), 0.015, 0.01),
}


def part_mask(name: str, parsing: Parsing, alignment: Alignment) -> Points | None:
    """(256, 256) in {0, 1}: a part of an aligned face with a little around it; None: it has none.

    Args:
        name: of `PARTS`.
        parsing: of the crop.
        alignment: whose face's points place the nose.
    """
    part = PARTS[name]
    if not part.labels:
        return widened(_nose(alignment), part.around)
    if name == "beard" and parsing.beard < 0.5:
        return None
    if name == "eyes" and share_of(parsing, "sunglasses").mean() > PARTS["glasses"].least:
        return None
    which = [LABELS.index(label) for label in part.labels]
    seen = np.isin(parsing.resized((SIDE, SIDE)).argmax(axis=2), which)
    if name != "hair":
        seen = seen & _own_face()
    seen = _without_specks(seen)
    if seen.mean() < part.least:
        return None
    mask = f32(seen)
    if name == "glasses":  # rims are parsed, lenses only where they are dark
        hull = cv2.convexHull(np.argwhere(seen)[:, ::-1].astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 1.0)
    return widened(mask, part.around)


def share_of(parsing: Parsing, *labels: str) -> Points:
    """(256, 256) probability of some of `LABELS`, "skin" say."""
    return f32(parsing.resized((SIDE, SIDE))[..., [LABELS.index(x) for x in labels]].sum(axis=2))


def widened(mask: Points, sides: float) -> Points:
    """A mask (S, S), grown by a share of its side."""
    size = 2 * max(1, round(sides * mask.shape[0])) + 1
    return f32(cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))))


def _own_face() -> NDArray[np.bool_]:
    """(256, 256): not where somebody else looks into the crop."""
    (x, y), (across, along) = FACE
    axis = (np.arange(SIDE) + 0.5) / SIDE
    return np.asarray(np.hypot((axis[None, :] - x) / across, (axis[:, None] - y) / along) < 1, bool)


def _without_specks(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask without areas that are a twentieth of it or less."""
    _, areas, stats, _ = cv2.connectedComponentsWithStats(seen.astype(np.uint8))
    large = stats[:, cv2.CC_STAT_AREA] > 0.05 * seen.sum()
    large[0] = False  # what is not the part
    return np.asarray(large[areas], bool)


def _nose(alignment: Alignment) -> Points:
    """From between the eyes to below the nostrils, by the face's five points."""
    points = alignment.face_in_crop.points5 * (SIDE / alignment.image.shape[0])
    left, right, tip = points[:3]
    eyes, mouth = (left + right) / 2, points[3:].mean(axis=0)
    across = (right - left) / 2
    # a turned head's nose lies beside the line from the eyes to the mouth
    base = tip + 0.3 * (mouth - tip)
    bridge = eyes + 0.12 * (tip - eyes)
    corners = [
        bridge - 0.22 * across,
        bridge + 0.22 * across,
        (tip + base) / 2 + 0.66 * across,
        base + 0.4 * across,
        base - 0.4 * across,
        (tip + base) / 2 - 0.66 * across,
    ]
    mask = np.zeros((SIDE, SIDE), np.float32)
    cv2.fillConvexPoly(mask, np.rint(np.stack(corners)).astype(np.int32), 1.0, cv2.LINE_AA)
    return f32(mask > 0.5)
