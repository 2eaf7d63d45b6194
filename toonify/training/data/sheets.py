"""Contact sheets of drawings: what was done to each, or what is odd about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from toonify.faces.templates import FFHQ_POINTS
from toonify.faces.types import RGB
from toonify.training.data.check import DataReport

TILE = 112
GAP = 6
BAR = 5  # px of color under a picture
CAPTION = 15
TITLE = 24
COLUMNS = 12
MOST = 360  # cells; more would make a sheet that nobody looks through

Color = tuple[int, int, int]
PLAIN: Color = (225, 225, 225)
CHECK_LEGEND: dict[str, Color] = {
    "mean": (60, 90, 220),
    "outlier": (220, 50, 50),
    "misplaced": (200, 60, 200),
    "duplicate": (240, 170, 20),
    "framing": (20, 160, 190),
    "no-face": (150, 150, 60),
}


@dataclass(frozen=True)
class Cell:
    """One drawing on a sheet.

    Attributes:
        image: (H, W, 3) uint8, square.
        caption: short name under it.
        kind: what the colored bar says; a key of the sheet's legend, or "".
    """

    image: RGB
    caption: str
    kind: str = ""


def contact_sheet(
    cells: Sequence[Cell], *, title: str, legend: Mapping[str, Color], marked_first: bool = False
) -> RGB:
    """(H, W, 3): the cells in rows, a colored bar under each, the legend beside the title.

    Of more than MOST cells, all with a kind are kept before the others, which are thinned evenly;
    the title says so.
    """
    shown = list(cells)
    if len(shown) > MOST:
        shown = _thinned(shown)
        title = f"{title}; {len(shown)} of them here"
    if marked_first:
        shown.sort(key=lambda cell: not cell.kind)
    columns = max(min(COLUMNS, len(shown)), 6)
    height = TILE + BAR + CAPTION + GAP
    rows = -(-len(shown) // columns)
    width = columns * (TILE + GAP) + GAP
    page = Image.new("RGB", (width, 2 * TITLE + rows * height + GAP), "white")
    draw = ImageDraw.Draw(page)
    font, small = ImageFont.load_default(size=15), ImageFont.load_default(size=11)
    draw.text((GAP, TITLE / 2), title, fill="black", font=font, anchor="lm")
    x = float(GAP)
    for kind, color in legend.items():
        count = sum(cell.kind == kind for cell in cells)
        if not count:
            continue
        draw.rectangle((x, TITLE + 6, x + 12, TITLE + 18), fill=color)
        text = f"{kind}: {count}"
        draw.text((x + 17, TITLE + 12), text, fill="black", font=small, anchor="lm")
        x += 35 + draw.textlength(text, font=small)
    for index, cell in enumerate(shown):
        row, column = divmod(index, columns)
        left, top = GAP + column * (TILE + GAP), 2 * TITLE + row * height
        page.paste(Image.fromarray(thumbnail(cell.image, TILE)), (left, top))
        bar = (left, top + TILE, left + TILE - 1, top + TILE + BAR - 1)
        draw.rectangle(bar, fill=legend.get(cell.kind, PLAIN))
        center = (left + TILE / 2, top + TILE + BAR + CAPTION / 2)
        text = _shortened(cell.caption, draw, small)
        draw.text(center, text, fill="black", font=small, anchor="mm")
    return np.asarray(page)


def thumbnail(image: RGB, side: int) -> RGB:
    """A square picture at (side, side)."""
    if image.shape[:2] == (side, side):
        return image
    method = cv2.INTER_AREA if image.shape[0] > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side, side), interpolation=method), np.uint8)


def with_guides(crop: RGB) -> RGB:
    """A copy at a cell's size with small crosses where FFHQ has eyes and mouth."""
    out = np.ascontiguousarray(thumbnail(crop, TILE)).copy()
    mouth = FFHQ_POINTS[3:].mean(0)
    for x, y in (*FFHQ_POINTS[:2], mouth):
        center = (round(float(x) * TILE), round(float(y) * TILE))
        for color, width in (((255, 255, 255), 3), ((230, 0, 80), 1)):
            cv2.drawMarker(out, center, color, cv2.MARKER_CROSS, 9, width)
    return out


def _thinned(cells: list[Cell]) -> list[Cell]:
    kinds = {kind: sum(cell.kind == kind for cell in cells) for kind in {c.kind for c in cells}}
    usual = max(kinds, key=lambda kind: kinds[kind])
    odd = [i for i, cell in enumerate(cells) if cell.kind != usual]
    rest = [i for i, cell in enumerate(cells) if cell.kind == usual]
    odd = odd[:: -(-len(odd) // MOST)] if odd else []
    room = MOST - len(odd)
    if room > 0:
        picks = np.linspace(0, len(rest) - 1, min(room, len(rest))).round().astype(int)
        odd += [rest[i] for i in picks]
    return [cells[i] for i in sorted(odd)]


def _shortened(
    text: str, draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont
) -> str:
    """The end of a name too long for its cell: the beginning is the folder's."""
    if draw.textlength(text, font=font) <= TILE:
        return text
    while text and draw.textlength(f"…{text}", font=font) > TILE:
        text = text[1:]
    return f"…{text}"


def report_sheet(report: DataReport) -> RGB:
    """The means, all and each character's, then every drawing as training sees it, odd ones first.

    A mean is sharp where the drawings agree: eyes that blur into a band are not aligned.
    """
    characters = [c for c in report.characters if c]
    cells = [Cell(report.mean(), "mean of all", "mean")]
    cells += [Cell(report.mean(c), f"mean of {c}", "mean") for c in characters]
    marks = report.marks()
    for drawing, picture in zip(report.drawings, report.pictures, strict=True):
        kind = marks.get(drawing.name, "")
        cells.append(Cell(picture, drawing.name, kind if kind in CHECK_LEGEND else ""))
    title = f"{len(report.drawings)} drawings as training sees them"
    return contact_sheet(cells, title=title, legend=CHECK_LEGEND, marked_first=True)
