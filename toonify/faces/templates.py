"""Where an FFHQ crop goes on a drawing: a crop box from a face, from a head's silhouette, or the
middle; and what is drawn beyond the picture's border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError
from toonify.faces.alignment import align, ffhq_quad
from toonify.faces.matte import drawing_matte
from toonify.faces.types import RGB, Face, Points, f32, is_plausible

# FFHQ's crop, in its sides: image-left eye, image-right eye, nose tip, mouth corners.
FFHQ_POINTS = f32([[0.375, 0.475], [0.625, 0.475], [0.5, 0.61], [0.41, 0.725], [0.59, 0.725]])
# Top of the hair and chin of a drawn head in that crop; drawings' heads fill more of it than
# people's, whose chin is at 0.9 and hair from 0.12 on.
HEAD_TOP, CHIN = 0.06, 0.91
LOOK = 256  # px, the longest side at which silhouettes are looked at
OPAQUE = 128  # alpha from which a pixel is drawn
NECK = 0.8  # of the head's width, that a neck has at most
HEAD_SHARE = 0.3  # of the figure's width, that a head has at least
SHOULDERS = 1.25  # of the neck's width, that what follows a neck has at least
LONG_HEAD = 1.3  # height of a head over its width, where no neck shows its end
PLAIN = 20  # levels that a background of one color may vary
SMOOTH_BORDER = 3.0  # median step along a border, in levels, up to which it can be drawn out


@dataclass(frozen=True)
class CropBox:
    """A square on a picture: center and side in px, `angle` in degrees clockwise."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    def face(self) -> Face:
        """A face whose FFHQ crop is this crop."""
        c, s = np.cos(np.radians(self.angle)), np.sin(np.radians(self.angle))
        points = (FFHQ_POINTS - 0.5) @ f32([[c, s], [-s, c]]) * self.side + f32([self.x, self.y])
        half = self.side / 3
        box = f32([self.x - half, self.y - half, self.x + half, self.y + half])
        return Face(box, 1.0, f32(points))


def crop_of_face(face: Face) -> CropBox:
    """The crop of a face's FFHQ crop.

    Raises:
        InputError: its points can't be a face.
    """
    quad = ffhq_quad(face).astype(np.float64)
    right = quad[3] - quad[0]
    center = quad.mean(0)
    angle = float(np.degrees(np.arctan2(right[1], right[0])))
    return CropBox(float(center[0]), float(center[1]), float(np.hypot(*right)), angle)


def crop_of_points(eyes: Sequence[Sequence[float]], mouth: Sequence[float]) -> CropBox:
    """The crop of a head whose eyes' and mouth's middles are given, (x, y) in px each.

    The eyes may come in either order.

    Raises:
        InputError: no face has its eyes and mouth there.
    """
    left, right, middle = f32(eyes[0]), f32(eyes[1]), f32(mouth)
    for a, b in ((left, right), (right, left)):
        half = (b - a) * 0.36
        points = np.stack([a, b, (a + b) / 4 + middle / 2, middle - half, middle + half])
        if is_plausible(points):
            return crop_of_face(Face(f32([0, 0, 1, 1]), 1.0, points))
    raise InputError("eyes and mouth are not where a face has them")


def crop_of_center(height: int, width: int) -> CropBox:
    """The largest square in the middle of the picture."""
    return CropBox((width - 1) / 2, (height - 1) / 2, float(min(height, width)))


def crop_of_head(rgb: RGB, alpha: NDArray[np.uint8] | None) -> CropBox | None:
    """The crop in which a drawn head's top and chin are where FFHQ's are.

    Args:
        rgb: (H, W, 3); where `alpha` is None the background must be plain.
        alpha: (H, W), the silhouette where the drawing has transparency.

    Returns:
        None when nothing stands out from its background.
    """
    mask = _silhouette(rgb, alpha)
    if mask is None:
        return None
    height, width = rgb.shape[:2]
    scale = np.array([width / mask.shape[1], height / mask.shape[0]])
    left, top, right, bottom = head_box(mask)
    (left, right), (top, bottom) = (
        np.multiply((left, right), scale[0]),
        np.multiply((top, bottom), scale[1]),
    )
    # a head wider than high (big hair) shall not be cut at the sides
    side = max(bottom - top, 0.85 * (right - left)) / (CHIN - HEAD_TOP)
    y = bottom + (0.5 - CHIN) * side if bottom - top >= right - left else (top + bottom) / 2
    return CropBox(float((left + right) / 2 - 0.5), float(y - 0.5), float(side))


def head_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom (exclusive) of the head in a figure's silhouette (H, W).

    The head ends at the neck, the first narrow place under it; where no neck shows and the figure
    runs out of the picture, at the height that a head of its width has.
    """
    rows = np.flatnonzero(mask.any(1))
    top, end = int(rows[0]), int(rows[-1]) + 1
    widths = mask[top:end].sum(1).astype(np.float32)
    kernel = max(len(widths) // 24, 1)
    widths = np.convolve(np.pad(widths, kernel, mode="edge"), np.ones(2 * kernel + 1), "valid") / (
        2 * kernel + 1
    )
    chin = _neck(widths)
    if chin is None:
        chin = len(widths)
        if mask[-1].mean() > 0.3:  # a body, cut off by the picture
            upper = widths[: max(len(widths) // 2, 1)].max()
            chin = min(chin, round(float(upper) * LONG_HEAD))
    head = mask[top : top + chin]
    spans = [np.flatnonzero(row) for row in head if row.any()]
    # medians over the fuller rows: a hat's tip or a lock of hair shall not shift the middle
    wide = [s for s in spans if len(s) > 0.5 * max(len(s) for s in spans)]
    middle = float(np.median([(s[0] + s[-1] + 1) / 2 for s in wide]))
    half = max(float(np.percentile([len(s) for s in spans], 95)) / 2, 1.0)
    return round(middle - half), top, round(middle + half), top + chin


def _neck(widths: NDArray[np.floating]) -> int | None:
    """Index of the narrow place between a head and its shoulders."""
    widest = np.maximum.accumulate(widths)
    for row in range(len(widths) // 6, len(widths) - 1):
        narrow = widths[row] <= widths[max(row - 3, 0) : row + 4].min()
        is_narrow = narrow and widths[row] < NECK * widest[row]
        is_head_above = widest[row] > HEAD_SHARE * widths.max()  # and no bobble
        if is_narrow and is_head_above and widths[row:].max() > SHOULDERS * widths[row]:
            return row
    return None


def _silhouette(rgb: RGB, alpha: NDArray[np.uint8] | None) -> NDArray[np.bool_] | None:
    """What is drawn, at most LOOK px high and wide; None when there is no saying."""
    if alpha is not None and (alpha < OPAQUE).mean() > 0.02:
        height, width = alpha.shape
        k = min(LOOK / max(height, width), 1)
        size = (max(round(width * k), 1), max(round(height * k), 1))
        mask = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) >= OPAQUE
        mask = _largest(mask)
    else:
        square = np.asarray(cv2.resize(rgb, (LOOK, LOOK), interpolation=cv2.INTER_AREA), np.uint8)
        figure = _before_one_color(square)
        if figure is None:
            matte = drawing_matte(square)  # knows graded backgrounds, but only heads in the middle
            if matte is None:
                return None
            figure = matte > 0.5
        mask = figure
    return mask if 0.01 < mask.mean() < 0.95 else None


def _before_one_color(rgb: RGB) -> NDArray[np.bool_] | None:
    """The largest thing in front of a background of one color, that of the top and the sides."""
    upper = len(rgb) * 3 // 4
    edge = np.concatenate([rgb[0], rgb[:upper, 0], rgb[:upper, -1]]).astype(np.int16)
    color = np.median(edge, axis=0)
    if (np.abs(edge - color).max(1) > PLAIN).mean() > 0.3:
        return None
    plain = (np.abs(rgb.astype(np.int16) - color).max(2) <= PLAIN).astype(np.uint8)
    # what hangs together with the border; a white shirt on white doesn't
    framed = np.pad(plain, ((1, 0), (1, 1)), constant_values=1)
    _, labels = cv2.connectedComponents(framed, connectivity=4)
    return _largest((labels != labels[0, 0])[1:, 1:-1])


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Its largest component: the figure, not a halo or a hand beside it."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def cut(rgb: RGB, crop: CropBox, size: int, *, backdrop: NDArray[np.uint8] | None = None) -> RGB:
    """The crop as (size, size, 3).

    Beyond the picture's borders comes `backdrop`, a color, where the drawing was laid on it; else
    each border is drawn out where its colors are smooth, or reflected and blurred as FFHQ's are.

    Raises:
        InputError: the crop lies outside the picture.
    """
    height, width = rgb.shape[:2]
    quad = ffhq_quad(crop.face())
    margin = 0.15 * crop.side + 4  # alignment looks a tenth around the crop
    low = np.floor(quad.min(0) - margin)
    high = np.ceil(quad.max(0) + margin)
    if min(high[0] - margin, width) - max(low[0] + margin, 0) < 2 or (
        min(high[1] - margin, height) - max(low[1] + margin, 0) < 2
    ):
        raise InputError("the face lies outside the picture")
    beyond = np.array([-low[0], -low[1], high[0] - width, high[1] - height])
    canvas, left, top = _extended(rgb, beyond, margin, backdrop)
    moved = CropBox(crop.x + left, crop.y + top, crop.side, crop.angle)
    return align(canvas, moved.face(), size).image


def _extended(
    rgb: RGB, beyond: NDArray[np.float64], margin: float, backdrop: NDArray[np.uint8] | None
) -> tuple[RGB, int, int]:
    """`rgb` with its borders moved out by `beyond` (left, top, right, bottom), of which `margin`
    is only looked at by the sampling; and by how much left and top were.

    Where the crop itself reaches beyond a border that can't be drawn out, that is left to the
    alignment, which reflects and blurs.
    """
    pads = [max(int(b), 0) for b in beyond]
    left, top, right, bottom = pads
    borders = {"left": rgb[:, 0], "top": rgb[0], "right": rgb[:, -1], "bottom": rgb[-1]}
    if backdrop is None:
        left, top, right, bottom = (
            pad if _is_smooth(line) or over <= margin + 2 else 0
            for line, pad, over in zip(borders.values(), pads, beyond, strict=True)
        )
        canvas = cv2.copyMakeBorder(rgb, top, bottom, left, right, cv2.BORDER_REPLICATE)
        return np.asarray(canvas, np.uint8), left, top
    color = [int(c) for c in backdrop]
    # a body that the bottom cuts off goes on; a round head that only touches it doesn't
    body = (np.abs(borders["bottom"].astype(int) - backdrop).max(1) > 8).mean() > 0.35
    canvas = cv2.copyMakeBorder(rgb, 0, bottom if body else 0, 0, 0, cv2.BORDER_REPLICATE)
    rest = 0 if body else bottom
    canvas = cv2.copyMakeBorder(canvas, top, rest, left, right, cv2.BORDER_CONSTANT, value=color)
    return np.asarray(canvas, np.uint8), left, top


def _is_smooth(line: NDArray[np.uint8]) -> bool:
    steps = np.abs(np.diff(line.astype(np.int16), axis=0)).max(1)
    return len(steps) == 0 or float(np.median(steps)) <= SMOOTH_BORDER


def median_crop(crops: Sequence[CropBox]) -> tuple[CropBox, Points]:
    """The median of crops and their median deviations: of the center and of the side, both in
    sides, and of the angle in degrees."""
    table = np.array([[f.x, f.y, f.side, f.angle] for f in crops])
    middle = np.median(table, axis=0)
    center = np.median(np.hypot(*(table[:, :2] - middle[:2]).T)) / middle[2]
    side = np.median(np.abs(np.log(table[:, 2] / middle[2])))
    angle = np.median(np.abs(table[:, 3] - middle[3]))
    return CropBox(*(float(v) for v in middle)), f32([center, side, angle])
