"""A drawing as a list of flat shapes: rings of points filled with one color each.

The program's drawings are made of these alone, so one drawing renders at any size, in tiles, with
anti-aliasing, and is written as clean SVG paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import contourpy
import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from toonify.portrait.fields import Field, f32

Ring = NDArray[np.float32]  # (N, 2) x, y; closed by itself

BLEED = 0.75  # px beyond the outermost px centers
_SHIFT = 4  # fractional bits of OpenCV's polygon coordinates
MARGIN = 8  # px that tiles overlap


@dataclass(eq=False)
class Shape:
    """Rings filled by the even-odd rule.

    Args:
        rings: outlines and holes, px of the drawing.
        color: (3,) RGB in 0..1.
        opacity: 0..1.
        blur: sigma in px of the drawing.
        clip: rings that the shape is seen through.
        layer: "background" or "person"; what `transparent` leaves out and what it keeps.
    """

    rings: list[Ring]
    color: NDArray[np.float32]
    opacity: float = 1.0
    blur: float = 0.0
    clip: list[Ring] | None = None
    layer: str = "person"


@dataclass(eq=False)
class Drawing:
    """Shapes in painting order over a plain ground, `width` × `height` px.

    `silhouette` are the rings of everybody in it, for transparent and kept backgrounds.
    """

    width: int
    height: int
    ground: NDArray[np.float32]
    shapes: list[Shape] = field(default_factory=list)
    silhouette: list[Ring] = field(default_factory=list)

    def add(
        self,
        rings: Sequence[ArrayLike],
        color: ArrayLike,
        *,
        opacity: float = 1.0,
        blur: float = 0.0,
        clip: list[Ring] | None = None,
        layer: str = "person",
    ) -> None:
        """Paint rings (each (N, 2)) over what is there; nothing happens without any."""
        kept = [f32(ring) for ring in rings if len(f32(ring)) >= 3]
        if kept and opacity > 0.01:
            self.shapes.append(Shape(kept, f32(color), float(opacity), float(blur), clip, layer))


def cut(
    level_set: Field, *, area: float = 0.0, scale: float = 1.0, offset: tuple[float, float] = (0, 0)
) -> list[Ring]:
    """Rings around where `level_set` (H, W) is positive, to a fraction of a px.

    Args:
        area: outlines and holes below this many px² are left out.
        scale, offset: to the drawing's px: `point * scale + offset`.
    """
    positive = (level_set > 0).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(positive)
    if not width:
        return []
    # Only where something is; the border of zeros around it is part of the outline.
    x0, y0 = max(x - 1, 0), max(y - 1, 0)
    part = level_set[y0 : y + height + 1, x0 : x + width + 1]
    if min(part.shape) < 2:
        return []
    corner = f32([x0, y0])
    generator = contourpy.contour_generator(
        z=part, name="serial", fill_type=contourpy.FillType.OuterOffset
    )
    rings: list[Ring] = []
    last = f32([level_set.shape[1] - 1, level_set.shape[0] - 1])
    filled = generator.filled(0.0, np.inf)
    clouds, all_cuts = cast("tuple[list[np.ndarray], list[np.ndarray]]", filled[:2])
    for cloud, cuts in zip(clouds, all_cuts, strict=True):
        for start, end in pairwise(cuts):
            ring = f32(cloud[start:end]) + corner
            if len(ring) < 4:
                continue
            if area and abs(ring_area(ring)) < area:
                if start == 0:
                    break  # the outline is too small, and so are its holes
                continue
            slim = cv2.approxPolyDP(ring.reshape(-1, 1, 2), 0.12, True).reshape(-1, 2)
            if len(slim) >= 3:
                # what reaches the outermost px centers covers those px wholly
                slim = np.where(slim <= 0, -BLEED, np.where(slim >= last, last + BLEED, slim))
                rings.append(f32(slim * scale + f32(offset)))
    return rings


def ring_area(ring: Ring) -> float:
    """Signed area of a ring in px²."""
    return float(cv2.contourArea(f32(ring), True))


def spline(points: ArrayLike, count: int = 40, *, closed: bool = False) -> Ring:
    """Catmull-Rom curve through `points` (N, 2), as (count, 2)."""
    p = f32(points)
    q = (
        np.vstack([p[-1:], p, p[:2]])
        if closed
        else np.vstack([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    )
    t = np.linspace(0, len(q) - 3 - 1e-4, count)
    i = t.astype(int)
    t = (t - i)[:, None]
    a, b, c, d = q[i], q[i + 1], q[i + 2], q[i + 3]
    return f32(
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t * t
            + (3 * b - a - 3 * c + d) * t**3
        )
    )


def stroke(points: ArrayLike, widths: ArrayLike, *, count: int = 0) -> Ring:
    """A pen stroke as one ring: `widths` px along the line `points` (N, 2), round where it ends.

    Args:
        count: first lay a spline of that many points through `points`.
    """
    line = spline(points, count) if count else f32(points)
    at = np.linspace(0, 1, len(line))
    half = np.interp(at, np.linspace(0, 1, len(f32(widths))), f32(widths)) / 2
    tangent = np.gradient(line, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-6
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
    left, right = line + normal * half[:, None], line - normal * half[:, None]
    turn = np.linspace(0, np.pi, 7)[1:-1, None]

    def cap(center: Ring, start: Ring, along: Ring, radius: float) -> Ring:
        return f32(center + start * np.cos(turn) * radius + along * np.sin(turn) * radius)

    head = cap(line[-1], normal[-1], tangent[-1], float(half[-1]))
    tail = cap(line[0], -normal[0], -tangent[0], float(half[0]))
    return f32(np.vstack([left, head, right[::-1], tail]))


def ellipse(
    center: ArrayLike, radius: float, other: float | None = None, angle: float = 0.0
) -> Ring:
    """A disc of `radius`, or an ellipse with `other` as its second radius turned by `angle` rad."""
    t = np.linspace(0, 2 * np.pi, 49)[:-1]
    x, y = radius * np.cos(t), (radius if other is None else other) * np.sin(t)
    c, s = np.cos(angle), np.sin(angle)
    return f32(np.stack([c * x - s * y, s * x + c * y], 1) + f32(center))


def raster_mask(
    rings: Sequence[Ring], size: tuple[int, int], scale: float = 1.0, origin: ArrayLike = (0, 0)
) -> NDArray[np.uint8]:
    """Rings as an anti-aliased mask, uint8 (height, width) for `size` (width, height)."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(mask, _fixed(rings, scale, origin), 255, cv2.LINE_AA, _SHIFT)
    return mask


def render(
    drawing: Drawing,
    *,
    size: tuple[int, int] | None = None,
    supersample: int = 2,
    layers: Sequence[str] = ("background", "person"),
    tile: int = 1024,
) -> NDArray[np.uint8]:
    """Rasterize: (height, width, 3) uint8 RGB.

    Tiles bound the memory; since shapes are geometry, no seam is possible.

    Args:
        size: (width, height) of the picture; the drawing's own by default.
        supersample: samples a px along each side, averaged.
        tile: side of the tiles, output px.
    """
    width, height = size or (drawing.width, drawing.height)
    scale = width / drawing.width
    out = np.empty((height, width, 3), np.uint8)
    boxes = [bounds(shape) for shape in drawing.shapes]
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            h, w = min(tile, height - y), min(tile, width - x)
            # Lines that are cut off by a tile's border look slightly different there.
            left, top = min(x, MARGIN), min(y, MARGIN)
            right, bottom = min(MARGIN, width - x - w), min(MARGIN, height - y - h)
            window = (x - left, y - top, w + left + right, h + top + bottom)
            part = _render_tile(drawing, boxes, window, scale, supersample, layers)
            out[y : y + h, x : x + w] = part[top : top + h, left : left + w]
    return out


def render_alpha(
    drawing: Drawing, *, size: tuple[int, int] | None = None, supersample: int = 2
) -> NDArray[np.uint8]:
    """Opacity of the people in the drawing, uint8 (height, width)."""
    width, height = size or (drawing.width, drawing.height)
    if not drawing.silhouette:
        return np.zeros((height, width), np.uint8)
    scale = width / drawing.width * supersample
    big = raster_mask(drawing.silhouette, (width * supersample, height * supersample), scale)
    return np.asarray(cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def bounds(shape: Shape) -> NDArray[np.float32]:
    """(4,) left, top, right, bottom of what a shape may color, blur included, px."""
    points = np.concatenate(shape.rings) if len(shape.rings) > 1 else shape.rings[0]
    lows, highs = points.min(0), points.max(0)
    return f32([*(lows - 3 * shape.blur - 1), *(highs + 3 * shape.blur + 1)])


def _fixed(rings: Sequence[Ring], scale: float, origin: ArrayLike) -> list[NDArray[np.int32]]:
    # px centers are at integers: a point p of the drawing lies at (p + 0.5) * scale - 0.5.
    return [
        np.rint(((ring + 0.5) * scale - 0.5 - f32(origin)) * (1 << _SHIFT)).astype(np.int32)
        for ring in rings
    ]


def _render_tile(
    drawing: Drawing,
    boxes: list[NDArray[np.float32]],
    window: tuple[int, int, int, int],
    scale: float,
    supersample: int,
    layers: Sequence[str],
) -> NDArray[np.uint8]:
    x, y, w, h = window
    zoom = scale * supersample
    origin = f32([x, y]) * supersample
    width, height = w * supersample, h * supersample
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = np.rint(np.clip(drawing.ground, 0, 1) * 255).astype(np.uint8)
    for shape, box in zip(drawing.shapes, boxes, strict=True):
        if shape.layer not in layers:
            continue
        low = np.floor((box[:2] + 0.5) * zoom - 0.5 - origin - 2).astype(int)
        high = np.ceil((box[2:] + 0.5) * zoom - 0.5 - origin + 2).astype(int)
        x0, y0 = max(low[0], 0), max(low[1], 0)
        x1, y1 = min(high[0], width), min(high[1], height)
        if x1 <= x0 or y1 <= y0:
            continue
        color = np.rint(np.clip(shape.color, 0, 1) * 255)
        if shape.opacity >= 0.999 and not shape.blur and shape.clip is None:
            view = canvas[y0:y1, x0:x1]
            part = np.ascontiguousarray(view)
            points = _fixed(shape.rings, zoom, origin + f32([x0, y0]))
            cv2.fillPoly(part, points, [float(v) for v in color], cv2.LINE_AA, _SHIFT)
            view[:] = part
            continue
        _blend(canvas, shape, color, zoom, origin, (x0, y0, x1, y1))
    if supersample == 1:
        return canvas
    return np.asarray(cv2.resize(canvas, (w, h), interpolation=cv2.INTER_AREA), np.uint8)


def _blend(
    canvas: NDArray[np.uint8],
    shape: Shape,
    color: NDArray[np.float32],
    zoom: float,
    origin: NDArray[np.float32],
    box: tuple[int, int, int, int],
) -> None:
    x0, y0, x1, y1 = box
    sigma = shape.blur * zoom
    # A wide blur hides detail: it is computed on a reduced copy.
    step = 1 if sigma < 4 else 2 if sigma < 10 else 4
    margin = int(np.ceil(3 * sigma)) if sigma else 0
    # The reduced grid is the whole picture's, so that tiles agree.
    left = (int(origin[0]) + x0 - margin) // step * step - int(origin[0])
    top = (int(origin[1]) + y0 - margin) // step * step - int(origin[1])
    size = (-(-(x1 + margin - left) // step), -(-(y1 + margin - top) // step))
    start = origin + f32([left, top])
    mask = raster_mask(shape.rings, size, zoom / step, start / step)
    if sigma:
        mask = _u8(cv2.GaussianBlur(mask, (0, 0), sigma / step))
    if step > 1:
        whole = (size[0] * step, size[1] * step)
        mask = _u8(cv2.resize(mask, whole, interpolation=cv2.INTER_LINEAR))
    mask = mask[y0 - top : y1 - top, x0 - left : x1 - left]
    if shape.clip is not None:
        inside = raster_mask(shape.clip, (x1 - x0, y1 - y0), zoom, origin + f32([x0, y0]))
        mask = _u8(cv2.multiply(mask, inside, scale=1 / 255))
    part = canvas[y0:y1, x0:x1]
    alpha = f32(mask) * np.float32(shape.opacity / 255)
    paint = np.empty_like(part)
    paint[:] = color
    part[:] = cv2.blendLinear(paint, np.ascontiguousarray(part), alpha, f32(1 - alpha))


def _u8(image: ArrayLike) -> NDArray[np.uint8]:
    return np.asarray(image, np.uint8)
