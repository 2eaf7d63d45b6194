"""What can be seen of a head in an aligned picture, and how well a drawing keeps it.

Pictures are FFHQ-aligned and measured at `SIDE` px. Where colors are compared, the same pixels
are: the photograph's skin, hair and cheeks in either picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.evaluation.color import ciede2000, to_lab
from toonify.evaluation.lineup import LAYOUT
from toonify.faces.parsing import LABELS, FaceParser
from toonify.faces.types import RGB, Points, f32
from toonify.portrait.subject import CHEEKS

Mask = NDArray[np.bool_]

SIDE = 256
HEAD = (
    "skin", "hair", "ear", "brow", "eye", "lips", "mouth", "glasses", "sunglasses", "beard",
    "headwear",
)  # fmt: skip
SURE = 0.6  # probability of a label where its color is measured
SOFT = 1.25  # px, sigma that pictures are softened by for the parser
INWARD = 5  # px that such a region is shrunk by
FEW = 0.01  # share of the picture below which there is nothing to measure
FLAT = (7, 2.0)  # side of a neighborhood, and standard deviation of L (0..255) below which: flat
UNDECIDED = (0.2, 0.8)  # probabilities between which the parser leaves it open
# mean over the photographs, unless in MEDIANS
FIGURES = ("skin_error", "hair_error", "hair_iou", "flat", "cheeks")
MEDIANS = ("skin_error", "hair_error")


@dataclass(frozen=True, eq=False)
class Head:
    """One picture's head.

    Attributes:
        lab: (SIDE, SIDE, 3) CIELAB.
        head, skin, hair, cheeks: (SIDE, SIDE) where they are; colors are measured in the last
            three, so they keep away from their borders.
        hair_map: (SIDE, SIDE) all that is hair or headwear, in the softened picture: drawn hair
            without strands looks like a cap to the parser.
        glasses, beard: probabilities; `soft_glasses`: in the softened picture.
        layout: (24, 24, 3), mean CIELAB of each cell.
        share: (24, 24), how much of each cell is head.
    """

    lab: Points
    head: Mask
    skin: Mask
    hair: Mask
    cheeks: Mask
    hair_map: Mask
    glasses: float
    beard: float
    soft_glasses: float
    layout: Points
    share: Points


def see_head(rgb: RGB, parser: FaceParser, mesh: Points | None = None) -> Head:
    """Look at an FFHQ-aligned picture (S, S, 3) uint8.

    Args:
        mesh: (468, 2) points of its face, px of it; None: its cheeks aren't known.
    """
    parsing = parser.parse(rgb)
    labels = parsing.resized((SIDE, SIDE))
    shrinks = rgb.shape[0] > SIDE
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(rgb, (SIDE, SIDE), interpolation=how), np.uint8)
    lab = to_lab(small)

    # A parser of photographs takes dots and lines of a drawing for things; softened, they go.
    soft = parser.parse(np.asarray(cv2.GaussianBlur(small, (0, 0), SOFT), np.uint8))

    def probability(*names: str, among: Points = labels) -> Points:
        return f32(sum(among[..., LABELS.index(name)] for name in names))

    head = probability(*HEAD) > 0.5
    skin = _inner(probability("skin") > SURE)
    cheeks = np.zeros((SIDE, SIDE), np.uint8)
    if mesh is not None:
        scale = SIDE / rgb.shape[0]
        for cheek in CHEEKS:
            outline = np.rint((mesh[list(cheek), :2] + 0.5) * scale - 0.5).astype(np.int32)
            cv2.fillPoly(cheeks, [cv2.convexHull(outline)], 1)
    return Head(
        lab=f32(lab),
        head=head,
        skin=skin,
        hair=_inner(probability("hair") > SURE),
        cheeks=(cheeks > 0) & skin,
        hair_map=probability("hair", "headwear", among=soft.resized((SIDE, SIDE))) > 0.5,
        glasses=1 - parsing.glasses["none"],
        beard=max(parsing.beard, parsing.moustache),
        soft_glasses=1 - soft.glasses["none"],
        layout=f32(cv2.resize(lab, (LAYOUT, LAYOUT), interpolation=cv2.INTER_AREA)),
        share=f32(cv2.resize(f32(head), (LAYOUT, LAYOUT), interpolation=cv2.INTER_AREA)),
    )


def _inner(mask: Mask) -> Mask:
    kernel = np.ones((2 * INWARD + 1, 2 * INWARD + 1), np.uint8)
    padded = cv2.erode(mask.astype(np.uint8), kernel, borderValue=1)
    return np.asarray(padded > 0)


def mean_color(head: Head, where: Mask) -> Points | None:
    """Mean CIELAB color (3,) of a region; None where it is too small to tell."""
    if where.mean() < FEW / 4:
        return None
    return f32(head.lab[where].mean(0))


def flat_share(head: Head, where: Mask) -> float | None:
    """Share of a region's pixels that lie in flat areas; None where there is no region."""
    if where.mean() < FEW:
        return None
    side, limit = FLAT
    lightness = head.lab[..., 0].astype(np.float64) * 2.55
    mean = cv2.blur(lightness, (side, side))
    variance = np.maximum(cv2.blur(lightness * lightness, (side, side)) - mean**2, 0)
    return float((np.sqrt(variance)[where] < limit).mean())


def measure_head(photo: Head) -> dict[str, float]:
    """What a photograph shows by itself: `cheeks` (lightness, 0..100), `glasses` and `beard`
    (probabilities), `flat`, as far as they can be measured."""
    cheeks = mean_color(photo, photo.cheeks)
    figures = {
        "glasses": round(photo.glasses, 4),
        "beard": round(photo.beard, 4),
        "flat": flat_share(photo, photo.head),
        "cheeks": None if cheeks is None else float(cheeks[0]),
    }
    return {name: float(value) for name, value in figures.items() if value is not None}


def compare_heads(photo: Head, drawing: Head) -> dict[str, float]:
    """How well a drawing keeps a photograph's head, as far as it can be measured.

    Returns:
        `skin_error` and `hair_error`: CIEDE2000 of the mean color of the photograph's skin and
        hair; `cheeks`: lightness of the photograph's cheeks in the drawing less that in the
        photograph; `hair_iou`: overlap (intersection over union) of what the parser takes for hair
        or headwear in either, softened; `flat`: share of the photograph's head that lies in flat
        areas of the drawing; `glasses` (softened) and `beard`: probabilities in the drawing.
    """
    figures: dict[str, float | None] = {}
    for name, where in (("skin_error", photo.skin), ("hair_error", photo.hair)):
        before, after = mean_color(photo, where), mean_color(drawing, where)
        both = before is not None and after is not None
        figures[name] = float(ciede2000(before, after)) if both else None  # type: ignore[arg-type]
    before, after = mean_color(photo, photo.cheeks), mean_color(drawing, photo.cheeks)
    figures["cheeks"] = None
    if before is not None and after is not None:
        figures["cheeks"] = float(after[0] - before[0])
    figures["hair_iou"] = None
    if photo.hair_map.mean() >= FEW:
        both_hair = (photo.hair_map & drawing.hair_map).sum()
        figures["hair_iou"] = float(both_hair / (photo.hair_map | drawing.hair_map).sum())
    figures["flat"] = flat_share(drawing, photo.head)
    figures |= {"glasses": round(drawing.soft_glasses, 4), "beard": round(drawing.beard, 4)}
    return {name: float(value) for name, value in figures.items() if value is not None}


def agreement(photos: list[float], drawings: list[float]) -> dict[str, float] | None:
    """Of those photographs that the parser is sure of, how many drawings it labels alike.

    Args:
        photos, drawings: probabilities that something (glasses, a beard) is there.

    Returns:
        `photos` measured, the share of drawings that `agree`, how many photographs `have` it, and
        of those the share of drawings that have `kept` it; None where none is measured.
    """
    measured = [(p > 0.5, d > 0.5) for p, d in zip(photos, drawings, strict=True) if not _unsure(p)]
    if not measured:
        return None
    kept = [after for before, after in measured if before]
    figures = {
        "photos": float(len(measured)),
        "agree": float(np.mean([before == after for before, after in measured])),
        "have": float(len(kept)),
    }
    return figures | ({"kept": float(np.mean(kept))} if kept else {})


def _unsure(probability: float) -> bool:
    return UNDECIDED[0] <= probability <= UNDECIDED[1]
