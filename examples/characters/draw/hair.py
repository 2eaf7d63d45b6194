"""Hair as a shell round the skull with clumps on it, drawn in layers with shade and highlights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike

from .canvas import Array, Canvas, Color, Mask, interp, mix, shifted, spline
from .pose import View
from .style import Style


class Shell:
    """An ellipsoid in head coordinates, addressed in degrees.

    Azimuth 0 is the front, + towards the image's right, ±180 the back; elevation 90 is the top.
    Points facing away are moved to the visible edge, so that shapes wrap round it smoothly.
    """

    def __init__(self, view: View, center: Sequence[float], radii: Sequence[float]) -> None:
        self.view = view
        self.center = np.asarray(center, float)
        self.radii = np.asarray(radii, float)
        facing = view.toward / self.radii
        self._facing = facing / np.linalg.norm(facing)

    def points3(self, az: ArrayLike, el: ArrayLike, r: ArrayLike = 1.0) -> Array:
        """Head coordinates (N, 3), facing points only."""
        a, e = np.broadcast_arrays(np.radians(az), np.radians(el))
        u = np.stack([np.sin(a) * np.cos(e), -np.sin(e), np.cos(a) * np.cos(e)], -1)
        depth = u @ self._facing
        r = np.asarray(r, float) * np.ones(depth.shape)
        r = np.where(r > 1, 1 + (r - 1) * np.clip(1 + depth / 0.25, 0, 1), r)
        u = u - np.minimum(depth, 0.0)[..., None] * self._facing
        u /= np.maximum(np.linalg.norm(u, axis=-1, keepdims=True), 1e-6)
        return self.center + r[..., None] * self.radii * u

    def points(self, az: ArrayLike, el: ArrayLike, r: ArrayLike = 1.0) -> Array:
        """Canvas points (N, 2)."""
        return self.view.head(self.points3(az, el, r))

    def silhouette(self) -> Array:
        """The outline of the whole ellipsoid, canvas points (N, 2)."""
        az, el = np.meshgrid(np.linspace(-180, 180, 49), np.linspace(-90, 90, 25))
        flat = self.points(az.ravel(), el.ravel()).astype(np.float32)
        return cv2.convexHull(flat)[:, 0].astype(float)

    def cap(self, hairline: Callable[[Array], Array], r: float = 1.0) -> list[Array]:
        """Polygons covering the shell above ``hairline(azimuth)`` all round."""
        az = np.linspace(-180, 180, 61)
        low = hairline(np.abs(az))
        el = low + (90.0 - low) * np.linspace(0, 1, 15)[:, None]
        return self.patches(np.broadcast_to(az, el.shape), el, r)

    def patches(self, az: Array, el: Array, r: float) -> list[Array]:
        """The facing cells of an (R, C) grid of directions, as polygons."""
        flat = self.points(az.ravel(), el.ravel(), r).reshape(*az.shape, 2)
        seen = self.depth(az, el) > 0
        out = []
        for i in range(az.shape[0] - 1):
            for j in range(az.shape[1] - 1):
                if seen[i : i + 2, j : j + 2].any():
                    out.append(
                        np.stack([flat[i, j], flat[i, j + 1], flat[i + 1, j + 1], flat[i + 1, j]])
                    )
        return out

    def depth(self, az: Array, el: Array) -> Array:
        """How much a direction faces the viewer: positive is visible."""
        a, e = np.radians(az), np.radians(el)
        u = np.stack([np.sin(a) * np.cos(e), -np.sin(e), np.cos(a) * np.cos(e)], -1)
        return u @ self._facing

    def clump(
        self,
        root: tuple[float, float],
        tip: tuple[float, float],
        width: float,
        *,
        bend: float = 0.0,
        lift: tuple[float, float] = (1.02, 1.07),
        sway: float = 0.0,
        blunt: float = 2.6,
        root_width: float = 1.0,
    ) -> Clump:
        """A pointed clump from root to tip, both (azimuth, elevation); ``width`` in degrees."""
        t = np.linspace(0, 1, 22)
        az = root[0] + (tip[0] - root[0]) * t + bend * np.sin(np.pi * t) + sway * t**2
        el = root[1] + (tip[1] - root[1]) * t
        # It shrinks away as it passes behind the edge, or its tip would stick out as a thread.
        seen = float(np.clip((self.depth(az, el)[8:14].mean() + 0.2) / 0.3, 0, 1))
        if seen == 0.0:
            return Clump(np.zeros((0, 2)), np.zeros((0, 2)))
        r = lift[0] + (lift[1] - lift[0]) * t * seen
        w = 0.5 * width * seen * (1 - t**blunt) ** 0.8 * (0.78 + 0.22 * np.sin(np.pi * t))
        w = w * (root_width + (1 - root_width) * np.sin(0.5 * np.pi * np.minimum(3 * t, 1)))
        w_az = w / np.maximum(np.cos(np.radians(el)), 0.34)
        daz, del_ = np.gradient(az) * np.cos(np.radians(el)), np.gradient(el)
        norm = np.maximum(np.hypot(daz, del_), 1e-6)
        left = self.points(az - w_az * -del_ / norm, el - w * daz / norm, r)
        right = self.points(az + w_az * -del_ / norm, el + w * daz / norm, r)
        return Clump(left, right)


def _leaf(flat: Array, widths: Array) -> Clump:
    """A clump of given widths (pixels) along a line of canvas points."""
    tangent = np.gradient(flat, axis=0)
    normal = np.column_stack([-tangent[:, 1], tangent[:, 0]])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    return Clump(flat + normal * widths[:, None] / 2, flat - normal * widths[:, None] / 2)


class Clump:
    """A closed leaf of hair given by its two edges, root first."""

    def __init__(self, left: Array, right: Array, glint: Array | None = None) -> None:
        self.left, self.right = left, right
        self.glint = glint  # a highlight of its own
        self.polygon = np.concatenate([left, right[::-1]])


def lock(
    view: View,
    center: ArrayLike,
    width: float,
    *,
    blunt: float = 3.0,
    root: float = 0.3,
    ride: float = 0.0,
) -> Clump:
    """A clump along a 3-D center line (head coordinates); below the chin it hangs on the body."""
    line = spline(center, 34)
    # On the far side, ``ride`` moves a lock out to the face's edge, clear of the far eye.
    side = np.sign(line[0, 0])
    ramp = np.linspace(0, 1, len(line))[:, None]
    ramp = np.sin(0.5 * np.pi * np.minimum(ramp / 0.65, 1)) ** 2
    line = line + ramp * side * ride * max(0.0, side * view.rotation[0, 2]) * view.rotation[0]
    flat = hang(view, line)
    t = np.linspace(0, 1, len(flat))
    w = width * float(np.hypot(*view.matrix[:, 0])) * (1 - t**blunt) ** 0.8
    w = w * (root + (1 - root) * np.sin(0.5 * np.pi * np.minimum(t * 3.0, 1)))
    return _leaf(flat, w)


def hang(view: View, points: ArrayLike) -> Array:
    """Head points to the canvas, following the still body more and more below the chin."""
    p = np.asarray(points, float)
    t = np.clip((p[:, 1] - 0.70) / 0.45, 0, 1)[:, None]
    t = t * t * (3 - 2 * t)
    body = np.column_stack([0.5 + p[:, 0], p[:, 1]])
    return view.head(p) * (1 - t) + view.body(body) * t


def hairline(degrees: Sequence[float], elevation: Sequence[float]) -> Callable[[Array], Array]:
    """Smooth hairline elevation over |azimuth| (0..180)."""
    return lambda az: interp(az, degrees, elevation)


class Layer:
    """Shapes of hair of one color which overlap in order, inked round their union."""

    def __init__(self, style: Style, *, base: Color | None = None) -> None:
        self.style = style
        self.base = base or style.hair
        self.shapes: list[tuple[Array, Clump | None, bool]] = []
        self.glints: list[Array] = []
        self.patches: list[tuple[Array, Color]] = []
        self._mask: Mask | None = None
        self.shade = 0.085  # how far the light reaches round, in units
        self.details: Callable[[Canvas, Mask], None] | None = None  # drawn last, with the mask

    def mask(self, canvas: Canvas) -> Mask:
        """The layer's area; kept, so add everything first."""
        if self._mask is None:
            self._mask = canvas.mask([p for p, _, _ in self.shapes])
        return self._mask

    def add(self, *shapes: Clump | Array, ink: bool = True) -> None:
        """Add clumps (drawn with edges) or plain polygons; ``ink`` False: not outlined."""
        for s in shapes:
            if isinstance(s, Clump):
                if not len(s.left):
                    continue
                self.shapes.append((s.polygon, s, ink))
            else:
                self.shapes.append((s, None, ink))

    def gleam(
        self, shell: Shell, el: float, spread: float, az: tuple[float, float], *, r: float = 1.04
    ) -> None:
        """A highlight: one smooth crescent at an elevation, between two azimuths."""
        t = np.linspace(-1, 1, 60)
        along = 0.5 * (az[0] + az[1]) + 0.5 * (az[1] - az[0]) * t
        middle = el + 6 * np.cos(np.radians(along * 1.1))
        size = 0.5 * spread * np.clip(1 - np.abs(t) ** 2.4, 0, 1) ** 0.7
        self.glints.append(
            np.concatenate(
                [
                    shell.points(along, middle + size, r),
                    shell.points(along, middle - size, r)[::-1],
                ]
            )
        )

    def render(self, canvas: Canvas, view: View, *, width: float = 0.0090) -> None:
        """Draw the layer, inked at ``width`` units."""
        style, shade = self.style, self.shade
        canvas.outline([p for p, _, ink in self.shapes if ink], width, style.hair_ink)
        mask = self.mask(canvas)
        tone = Canvas(canvas.pixels, canvas.unit)
        tone.paint(mask, self.base)
        for points, color in self.patches:
            tone.fill_inside(points, mask, color)
        for points in self.glints:
            tone.fill_inside(points, mask, style.hair_light)
        lit = shifted(mask, view.vector(shade * view.pose.light, -0.22 * shade))
        tone.paint(cv2.bitwise_and(mask, cv2.bitwise_not(lit)), style.hair_shade, 0.9)
        canvas.stamp_mask(tone.image, mask)
        soft = mix(self.base, style.hair_shade, 0.8)
        drop = view.vector(-0.008 * view.pose.light, 0.012)
        for points, clump, _ in self.shapes:
            if clump is None:
                continue
            half = len(clump.left) // 3
            under = np.concatenate([clump.left[half:], clump.right[half:][::-1]]) + drop
            canvas.fill_inside(under, mask, soft)
            canvas.stamp(tone.image, points)
            start = len(clump.left) // 4
            for edge in (clump.left, clump.right):
                canvas.stroke(edge[start:], 0.0070, style.hair_ink, taper=(0.7, 0.25))
            if clump.glint is not None:
                canvas.fill_inside(clump.glint, mask, style.hair_light)
        if self.details is not None:
            self.details(canvas, mask)
