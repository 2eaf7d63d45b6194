"""What several hairdos share: the skull's shell, round tufts, even places on a sphere, a bow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..canvas import Array, Canvas, Color, ellipse, mix, spline
from ..hair import Clump, Shell
from ..pose import View


def skull(view: View) -> Shell:
    """The shell most hairdos lie on."""
    return Shell(view, (0.0, 0.425, -0.03), (0.325, 0.345, 0.345))


def bumps(shell: Shell, places: Array, size: float, seed: int, r: float = 1.0) -> list[Array]:
    """Round tufts at (N, 2) places (azimuth, elevation)."""
    rng = np.random.default_rng(seed)
    centers = shell.points(places[:, 0], places[:, 1], r)
    seen = np.clip(1 + (shell.depth(places[:, 0], places[:, 1]) + 0.25) / 0.4, 0, 1)
    scale = np.hypot(*shell.view.matrix[:, 0])
    out = []
    for c, part in zip(centers, seen, strict=True):
        radius = size * scale * rng.uniform(0.9, 1.1) * part
        if radius > 0:
            out.append(ellipse(c[0], c[1], radius, radius, 32))
    return out


def fibonacci(count: int, low: float) -> Array:
    """Even places on a sphere above elevation ``low``: (N, 2) azimuth, elevation."""
    k = np.arange(count) + 0.5
    el = np.degrees(np.arcsin(1 - (1 - np.sin(np.radians(low))) * k / count))
    az = (k * 137.508 + 180) % 360 - 180
    return np.column_stack([az, el])


def ball(shell: Shell, az: float, el: float, size: float, r: float = 1.05) -> Clump:
    """A round curl of radius ``size`` units, lit from above; it shrinks behind the edge."""
    facing = float(shell.depth(np.array(az), np.array(el)))
    seen = float(np.clip(1 + (facing + 0.15) / 0.35, 0, 1))
    if seen == 0.0:
        return Clump(np.zeros((0, 2)), np.zeros((0, 2)))
    center = shell.points(np.array([az]), np.array([el]), r)[0]
    basis = size * seen * shell.view.matrix[:, :2] @ _roll(shell.view)
    t = np.linspace(0, np.pi, 24)
    left, right = (center + np.column_stack([s * np.sin(t), -np.cos(t)]) @ basis.T for s in (-1, 1))
    lit = float(np.clip(3 * facing, 0, 1))
    return Clump(left, right, center + crescent(0.66, 0.20 * lit) @ basis.T)


def crescent(radius: float, thickness: float, start: float = -160, end: float = -60) -> Array:
    """A tapered arc about the origin between two angles in degrees (-90 is up)."""
    a = np.radians(np.linspace(start, end, 24))
    w = 0.5 * thickness * np.sin(np.linspace(0, np.pi, 24)) ** 0.7
    ray = np.column_stack([np.cos(a), np.sin(a)])
    return np.concatenate([ray * (radius + w)[:, None], (ray * (radius - w)[:, None])[::-1]])


def _roll(view: View) -> Array:
    c = np.radians(view.pose.roll)
    return np.array([[np.cos(c), -np.sin(c)], [np.sin(c), np.cos(c)]])


def bow(
    canvas: Canvas, shell: Shell, place: Sequence[float], size: float, color: Color, ink: Color
) -> None:
    """A ribbon's bow standing on the shell at (azimuth, elevation), half ``size`` units wide."""
    view = shell.view
    center = shell.points(np.array([place[0]]), np.array([place[1]]), 1.10)[0]
    narrow = 0.62 + 0.38 * float(shell.depth(np.array(place[0]), np.array(place[1])))
    tilt = np.radians(0.55 * place[0])
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    basis = size * view.matrix[:, :2] @ _roll(view) @ turn @ np.diag([narrow, 1.0])

    def put(points: Sequence[Sequence[float]] | Array) -> Array:
        return center + np.asarray(points, float) @ basis.T

    lobe = np.array(
        [[0.05, -0.08], [0.55, -0.62], [0.98, -0.58], [1.06, 0.02], [0.94, 0.56], [0.5, 0.48],
         [0.05, 0.10]]
    )  # fmt: skip
    inside = np.array([[0.12, 0.0], [0.55, -0.20], [0.74, 0.02], [0.52, 0.22]])
    tail = np.array([[0.0, 0.05], [0.30, 0.25], [0.62, 1.02], [0.36, 0.98], [0.18, 1.12],
                     [-0.08, 0.3]])  # fmt: skip
    flips = [np.array([s, 1.0]) for s in (-1, 1)]
    tails = [put(tail * f) for f in flips]
    lobes = [put(spline(lobe * f, 44, closed=True)) for f in flips]
    knot = put(ellipse(0, 0, 0.24, 0.27, 30))
    for parts, tone in ((tails, mix(color, ink, 0.18)), (lobes, color)):
        canvas.outline(parts, 0.0080, ink)
        for points in parts:
            canvas.fill(points, tone)
    for f in flips:
        canvas.fill(put(spline(inside * f, 24, closed=True)), mix(color, ink, 0.28))
    canvas.outline([knot], 0.0070, ink)
    canvas.fill(knot, mix(color, (255, 255, 255), 0.25))
