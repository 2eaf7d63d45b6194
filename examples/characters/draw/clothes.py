"""What the six wear; the body does not turn with the head."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import Array, Canvas, Color, Mask, mix, rgb, spline
from .pose import View
from .style import Style


def _torso(view: View, style: Style, neck_x: float, neck_y: float, droop: float = 0.0) -> Array:
    """Shoulders from the neckline's corners down past the frame."""
    s = style.shoulders
    half = [
        [neck_x, neck_y], [neck_x + 0.08 * s, 0.955 + droop], [neck_x + 0.22 * s, 0.995 + droop],
        [0.46 * s, 1.06 + droop], [0.56 * s, 1.22], [0.60 * s, 1.7],
    ]  # fmt: skip
    right = spline(half, 40)
    return np.concatenate([right * (1, 1) + (0.5, 0), (right * (-1, 1) + (0.5, 0))[::-1]])


def _garment(canvas: Canvas, view: View, shape: Array, color: Color, ink: Color) -> Mask:
    points = view.body(shape)
    canvas.outline([points], 0.0085, ink)
    canvas.fill(points, color)
    mask = canvas.mask([points])
    light = view.pose.light
    lit = canvas.mask([points + view.vector(0.10 * light, -0.02)])
    canvas.paint(cv2.bitwise_and(mask, cv2.bitwise_not(lit)), mix(color, ink, 0.28))
    return mask


def _dip(x: float, y: float, depth: float, count: int = 30) -> Array:
    """A neckline from left to right corner, sagging by depth."""
    t = np.linspace(-1, 1, count)
    return np.column_stack([0.5 + x * t, y + depth * (1 - t**2)])


def _with_neckline(torso: Array, line: Array) -> Array:
    return np.concatenate([torso, line])


def mina(canvas: Canvas, view: View, style: Style) -> None:
    color, ink = rgb("#f5f0fb"), rgb("#4b3a6e")
    torso = _torso(view, style, 0.135, 0.945)
    _garment(canvas, view, _with_neckline(torso, _dip(0.135, 0.945, 0.07)), color, ink)
    for side in (-1, 1):
        collar = np.array(
            [[0.128, 0.932], [0.165, 0.965], [0.125, 1.075], [0.0, 1.03], [0.055, 1.0]]
        )
        points = view.body(collar * (side, 1) + (0.5, 0))
        canvas.outline([points], 0.0080, ink)
        canvas.fill(points, rgb("#7b5cc4"))
    bow = view.body(np.array([[0.5, 1.03], [0.44, 1.0], [0.43, 1.07], [0.5, 1.04], [0.57, 1.07],
                              [0.56, 1.0]]))  # fmt: skip
    canvas.outline([bow], 0.0080, ink)
    canvas.fill(bow, rgb("#ff7fa8"))


def jun(canvas: Canvas, view: View, style: Style) -> None:
    color, ink = rgb("#e9573f"), rgb("#4d1a20")
    torso = _torso(view, style, 0.15, 0.925)
    _garment(canvas, view, _with_neckline(torso, _dip(0.15, 0.925, 0.11)), color, ink)
    inner = _with_neckline(_dip(0.115, 0.955, 0.115)[::-1], _dip(0.125, 0.94, 0.06))
    _garment(canvas, view, inner, rgb("#f6f2ea"), ink)
    for side in (-1, 1):
        flap = spline([[0.118, 0.915], [0.175, 0.90], [0.235, 0.95], [0.20, 1.03], [0.09, 1.085],
                       [0.02, 1.10], [0.075, 1.03], [0.112, 0.97]], 50, closed=True)  # fmt: skip
        points = view.body(flap * (side, 1) + (0.5, 0))
        canvas.outline([points], 0.0080, ink)
        canvas.fill(points, mix(color, (255, 255, 255), 0.10))
        cord = view.body(
            np.array([[0.06, 1.07], [0.065, 1.12], [0.06, 1.2]]) * (side, 1) + (0.5, 0)
        )
        canvas.stroke(cord, 0.014, ink)
        canvas.stroke(cord, 0.008, rgb("#f6f2ea"))


def zuri(canvas: Canvas, view: View, style: Style) -> None:
    color, ink = rgb("#1fa39a"), rgb("#0d3b41")
    torso = _torso(view, style, 0.20, 0.975, 0.01)
    _garment(canvas, view, _with_neckline(torso, _dip(0.20, 0.975, 0.10)), color, ink)
    trim = np.concatenate([_dip(0.20, 0.975, 0.10), _dip(0.215, 0.985, 0.12)[::-1]])
    points = view.body(trim)
    canvas.fill(points, rgb("#ffd27a"))
    canvas.stroke(view.body(_dip(0.20, 0.975, 0.10)), 0.0070, ink)
    canvas.stroke(view.body(_dip(0.215, 0.985, 0.12)), 0.0070, ink)


def bram(canvas: Canvas, view: View, style: Style) -> None:
    color, ink = rgb("#2f5d50"), rgb("#14302b")
    torso = _torso(view, style, 0.15, 0.93)
    _garment(canvas, view, _with_neckline(torso, _dip(0.15, 0.93, 0.06)), color, ink)
    roll = np.concatenate([_dip(0.155, 0.915, 0.06), _dip(0.185, 0.965, 0.085)[::-1]])
    _garment(canvas, view, roll, mix(color, (255, 255, 255), 0.14), ink)


def nana(canvas: Canvas, view: View, style: Style) -> None:
    ink = rgb("#4a2b4f")
    torso = _torso(view, style, 0.14, 0.945)
    _garment(canvas, view, _with_neckline(torso, _dip(0.14, 0.945, 0.05)), rgb("#fff4e2"), ink)
    for side in (-1, 1):
        shawl = spline(
            [
                [0.135, 0.925],
                [0.22, 0.955],
                [0.36, 1.0],
                [0.50, 1.08],
                [0.62, 1.4],
                [0.40, 1.6],
                [0.10, 1.5],
                [0.0, 1.16],
                [0.06, 1.06],
            ],
            70,
            closed=True,
        )
        _garment(canvas, view, shawl * (side, 1) + (0.5, 0), rgb("#8e5aa8"), ink)
        hem = spline([[0.135, 0.94], [0.085, 1.05], [0.03, 1.16]], 24)
        canvas.stroke(view.body(hem * (side, 1) + (0.5, 0)), 0.012, rgb("#d9a6e8"))
    brooch = view.body(np.array([[0.5, 1.10]]))[0]
    r = 0.022 * np.hypot(*view.matrix[:, 0])
    t = np.linspace(0, 2 * np.pi, 30)
    disc = brooch + r * np.column_stack([np.cos(t), np.sin(t)])
    canvas.outline([disc], 0.0070, ink)
    canvas.fill(disc, rgb("#ffd34d"))


def kit(canvas: Canvas, view: View, style: Style) -> None:
    color, ink = rgb("#ffd23f"), rgb("#5a3a12")
    torso = _torso(view, style, 0.125, 0.945)
    mask = _garment(canvas, view, _with_neckline(torso, _dip(0.125, 0.945, 0.055)), color, ink)
    for y in (1.03, 1.12, 1.21, 1.30):
        stripe = np.concatenate([_dip(0.62, y, 0.03), _dip(0.62, y + 0.042, 0.03)[::-1]])
        part = cv2.bitwise_and(canvas.mask([view.body(stripe)]), mask)
        canvas.paint(part, rgb("#3f8fd9"))
    rib = np.concatenate([_dip(0.128, 0.942, 0.055), _dip(0.155, 0.95, 0.085)[::-1]])
    _garment(canvas, view, rib, rgb("#3f8fd9"), ink)
