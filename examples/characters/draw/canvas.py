"""Curves and anti-aliased drawing: supersampled RGBA canvas, splines, tapered ink lines."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Mask = MatLike
Color = tuple[int, int, int]

_SHIFT = 4  # sub-pixel bits of OpenCV's polygon drawing


def rgb(text: str) -> Color:
    """``"#rrggbb"`` as an (r, g, b) tuple."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def mix(a: Color, b: Color, t: float) -> Color:
    """Color between a (t=0) and b (t=1)."""
    return (
        round(a[0] + (b[0] - a[0]) * t),
        round(a[1] + (b[1] - a[1]) * t),
        round(a[2] + (b[2] - a[2]) * t),
    )


def spline(points: ArrayLike, count: int = 40, *, closed: bool = False) -> Array:
    """Catmull-Rom curve through (N, D) points, sampled at ``count`` places."""
    p = np.asarray(points, np.float64)
    n = len(p)
    if closed:
        t = np.linspace(0.0, n, count, endpoint=False)
        i = np.floor(t).astype(int)
        idx = [(i + k) % n for k in (-1, 0, 1, 2)]
        q = [p[j] for j in idx]
    else:
        ext = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
        t = np.linspace(0.0, n - 1, count)
        i = np.minimum(np.floor(t).astype(int), n - 2)
        q = [ext[i + k] for k in (0, 1, 2, 3)]
    f = (t - i)[:, None]
    f2, f3 = f * f, f * f * f
    return 0.5 * (
        2 * q[1]
        + (q[2] - q[0]) * f
        + (2 * q[0] - 5 * q[1] + 4 * q[2] - q[3]) * f2
        + (3 * q[1] - q[0] - 3 * q[2] + q[3]) * f3
    )


def interp(x: ArrayLike, xs: Sequence[float], ys: Sequence[float]) -> Array:
    """Smooth monotone (Fritsch-Carlson) interpolation of ys over ascending xs."""
    x, xa, ya = np.asarray(x, float), np.asarray(xs, float), np.asarray(ys, float)
    h = np.diff(xa)
    d = np.diff(ya) / h
    m = np.concatenate([d[:1], np.where(d[:-1] * d[1:] > 0, (d[:-1] + d[1:]) / 2, 0.0), d[-1:]])
    lim = 3 * np.minimum(np.abs(np.append(d, d[-1])), np.abs(np.append(d[0], d)))
    m = np.clip(m, -lim, lim)
    x = np.clip(x, xa[0], xa[-1])
    i = np.clip(np.searchsorted(xa, x, side="right") - 1, 0, len(xa) - 2)
    t = (x - xa[i]) / h[i]
    t2, t3 = t * t, t * t * t
    return (
        (2 * t3 - 3 * t2 + 1) * ya[i]
        + (t3 - 2 * t2 + t) * h[i] * m[i]
        + (3 * t2 - 2 * t3) * ya[i + 1]
        + (t3 - t2) * h[i] * m[i + 1]
    )


def ellipse(cx: float, cy: float, rx: float, ry: float, count: int = 40) -> Array:
    """(count, 2) points of an axis-aligned ellipse."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([cx + rx * np.cos(t), cy + ry * np.sin(t)], 1)


class Canvas:
    """Square premultiplied RGBA canvas of ``pixels``; all points are in its pixels.

    ``unit`` is the length in pixels of the drawing's unit (the un-anchored image's width).
    """

    def __init__(self, pixels: int, unit: float) -> None:
        self.pixels = pixels
        self.unit = unit
        self.image: Mask = np.zeros((pixels, pixels, 4), np.uint8)

    def _fix(self, points: Array) -> NDArray[np.int32]:
        limit = 4.0 * self.pixels  # far outside, yet safe for fixed-point arithmetic
        return np.round(np.clip(points, -limit, limit) * (1 << _SHIFT)).astype(np.int32)

    def fill(self, points: Array, color: Color) -> None:
        """Fill one polygon (N, 2)."""
        cv2.fillPoly(self.image, [self._fix(points)], (*color, 255), cv2.LINE_8, _SHIFT)

    def mask(self, polygons: Sequence[Array]) -> Mask:
        """Union of polygons as a (pixels, pixels) mask of 0 and 255."""
        out = np.zeros((self.pixels, self.pixels), np.uint8)
        for points in polygons:
            cv2.fillPoly(out, [self._fix(points)], 255, cv2.LINE_8, _SHIFT)
        return out

    def paint(self, mask: Mask, color: Color, opacity: float = 1.0) -> None:
        """Lay a color through a mask, at an opacity between 0 and 1."""
        x, y, w, h = cv2.boundingRect(mask)
        if w == 0 or opacity <= 0.0:
            return
        part = self.image[y : y + h, x : x + w]
        layer = np.empty_like(part)
        layer[:] = (*color, 255)
        if opacity < 1.0:
            layer = cv2.addWeighted(layer, opacity, part, 1.0 - opacity, 0.0)
        cv2.copyTo(layer, np.ascontiguousarray(mask[y : y + h, x : x + w]), part)

    def _crop(self, points: Array, pad: int = 2) -> tuple[slice, slice] | None:
        """Rows and columns round a polygon, None where nothing of it is on the canvas."""
        if len(points) == 0:
            return None
        x0, y0 = np.maximum(np.floor(points.min(0)).astype(int) - pad, 0)
        x1, y1 = np.minimum(np.ceil(points.max(0)).astype(int) + pad, self.pixels)
        return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None

    def _part(self, points: Array, crop: tuple[slice, slice]) -> Mask:
        """Mask of one polygon over a crop of the canvas."""
        rows, columns = crop
        out = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        moved = self._fix(points) - (np.array([columns.start, rows.start]) << _SHIFT)
        cv2.fillPoly(out, [moved.astype(np.int32)], 255, cv2.LINE_8, _SHIFT)
        return out

    def fill_inside(self, points: Array, clip: Mask, color: Color, opacity: float = 1.0) -> None:
        """Fill the part of a polygon which lies inside a mask."""
        crop = self._crop(points)
        if crop is not None:
            image = self.image[crop]
            layer = np.empty_like(image)
            layer[:] = (*color, 255)
            if opacity < 1.0:
                layer = cv2.addWeighted(layer, opacity, image, 1.0 - opacity, 0.0)
            cv2.copyTo(layer, cv2.bitwise_and(self._part(points, crop), clip[crop]), image)

    def stamp(self, source: Mask, points: Array) -> None:
        """Copy another (pixels, pixels, 4) image through a polygon."""
        crop = self._crop(points)
        if crop is not None:
            cv2.copyTo(source[crop], self._part(points, crop), self.image[crop])

    def lay(self, other: Canvas, weight: Mask) -> None:
        """Lay another canvas over this one, its opacity multiplied by (pixels, pixels) 0..255."""
        x, y, w, h = cv2.boundingRect(other.image[..., 3])
        if w == 0:
            return
        part = np.s_[y : y + h, x : x + w]
        share = weight[part].astype(np.float32)[..., None] / 255
        above = other.image[part] * share
        below = self.image[part] * (1 - above[..., 3:] / 255)
        self.image[part] = np.round(above + below).astype(np.uint8)

    def stamp_mask(self, source: Mask, mask: Mask) -> None:
        """Copy another (pixels, pixels, 4) image through a mask."""
        cv2.copyTo(source, mask, self.image)

    def glow(self, points: Array, color: Color, opacity: float, blur: float, clip: Mask) -> None:
        """Soft-edged spot: a polygon blurred by ``blur`` units and clipped, over what is there."""
        pad = int(3 * blur * self.unit) + 2
        crop = self._crop(points, pad)
        if crop is None:
            return
        spot = self._part(points, crop)
        spot = cv2.stackBlur(spot, (pad // 2 * 2 + 1, pad // 2 * 2 + 1))
        weight = cv2.bitwise_and(spot, clip[crop]).astype(np.float32)[..., None]
        weight *= opacity / 255.0
        part = self.image[crop][..., :3]
        part[:] = np.round(part + (np.asarray(color, np.float32) - part) * weight).astype(np.uint8)

    def stroke(
        self,
        points: Array,
        width: float,
        color: Color,
        *,
        taper: tuple[float, float] = (0.0, 0.0),
        clip: Mask | None = None,
    ) -> None:
        """Ink line of ``width`` units, thinning to a hair over the shares ``taper`` of its ends."""
        n = len(points)
        t = np.linspace(0.0, 1.0, n)
        profile = np.ones(n)
        if taper[0] > 0:
            profile = np.minimum(
                profile, 0.12 + 0.88 * np.sin(np.clip(t / taper[0], 0, 1) * 1.5708)
            )
        if taper[1] > 0:
            ends = np.clip((1 - t) / taper[1], 0, 1)
            profile = np.minimum(profile, 0.12 + 0.88 * np.sin(ends * 1.5708))
        self.ribbon(points, profile * width, color, clip=clip)

    def ribbon(
        self, points: Array, widths: Array, color: Color, *, clip: Mask | None = None
    ) -> None:
        """Line with a width (units) at every point."""
        px = np.maximum(np.round(widths * self.unit), 1).astype(int)
        fixed = self._fix(points)
        target = self.image if clip is None else np.zeros((self.pixels, self.pixels), np.uint8)
        ink = (*color, 255) if clip is None else 255
        for i in range(len(points) - 1):
            a, b = fixed[i].tolist(), fixed[i + 1].tolist()
            cv2.line(target, a, b, ink, int(px[i] + px[i + 1] + 1) // 2, cv2.LINE_8, _SHIFT)
        if clip is not None:
            self.paint(cv2.bitwise_and(target, clip), color)

    def outline(self, polygons: Sequence[Array], width: float, color: Color) -> None:
        """Ink around the union of polygons, heavier below: draw it, then fill the same polygons."""
        thick = max(2, round(2 * width * self.unit))
        drop = np.array([0.0, 0.22 * width * self.unit])
        for points in polygons:
            fixed = self._fix(points + drop)
            cv2.polylines(self.image, [fixed], True, (*color, 255), thick, cv2.LINE_8, _SHIFT)


def shifted(mask: Mask, offset: Array) -> Mask:
    """A mask moved by (dx, dy) pixels."""
    matrix = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float32)
    size = (mask.shape[1], mask.shape[0])
    return cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST)
