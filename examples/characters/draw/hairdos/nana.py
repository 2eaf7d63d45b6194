"""Hairdo and ornaments of nana: silver waves, a bun and round glasses."""

from __future__ import annotations

import numpy as np

from ..canvas import Canvas, Color, rgb, spline
from ..hair import Layer, Shell, hairline
from ..head import Head
from ..pose import View
from ..style import Style
from .common import skull


def back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    bun = Shell(view, (0.0, 0.125, -0.15), (0.140, 0.105, 0.115))
    layer = Layer(style)
    az = np.linspace(-180, 180, 60)
    layer.add(bun.silhouette())
    layer.shade = 0.06
    layer.gleam(bun, 48, 22, (-60, 40), r=0.98)
    layer.render(canvas, view)
    for el, reach in ((26, 66), (0, 60)):
        t = np.linspace(-reach, reach, 24)
        arc = bun.points(t, el + 16 * np.cos(np.radians(t * 1.3)), 0.98)
        canvas.stroke(arc, 0.0070, style.hair_ink, taper=(0.4, 0.4))
    low = Layer(style, base=style.hair_shade)
    low.add(shell.points(az, np.full(60, -4.0), 0.97))
    low.add(shell.points(az, np.full(60, -28.0), 0.97))
    low.render(canvas, view)


def front(view: View, style: Style) -> Layer:
    shell = Shell(view, (0.0, 0.425, -0.03), (0.325, 0.325, 0.34))
    layer = Layer(style)
    layer.add(
        *shell.cap(hairline([0, 30, 52, 66, 78, 92, 120, 180], [50, 45, 32, 20, 12, 6, -22, -38]))
    )
    sway = 1.5 * view.pose.sway
    for side in (-1, 1):
        layer.add(
            shell.clump(
                (3 * side, 72), (86 * side, 4), 48, bend=9 * side, lift=(1.0, 1.07),
                sway=sway, root_width=0.25, blunt=4.0,
            )
        )  # fmt: skip
    for side in (-1, 1):
        layer.gleam(shell, 56, 10, (8 * side, 62 * side), r=1.03)
    layer.shade = 0.06
    return layer


def extras(canvas: Canvas, view: View, head: Head) -> None:
    """Her round glasses."""
    glasses(canvas, view, frame=rgb("#b03060"), shine=rgb("#f2a0b8"))


def glasses(canvas: Canvas, view: View, *, frame: Color, shine: Color, sun: bool = False) -> None:
    """Round glasses, of dark lenses where `sun`."""
    t = np.linspace(0, 2 * np.pi, 64)
    for side in (-1, 1):
        facing = float(np.clip(4 * (side * view.toward[0] + 0.28), 0, 1))
        if facing > 0:
            arm = [
                [side * 0.232, 0.468, 0.27],
                [side * 0.290, 0.462, 0.10],
                [side * 0.305, 0.462, -0.03],
            ]
            canvas.stroke(spline(view.head(arm), 16), 0.0170 * facing, frame)
        x, y = side * 0.124 + 0.112 * np.cos(t), 0.478 + 0.106 * np.sin(t)
        ring = view.head(np.column_stack([x, y, 0.335 - 0.9 * x * x]))
        lens = canvas.mask([ring])
        canvas.paint(lens, (28, 26, 32) if sun else (255, 255, 255), 0.88 if sun else 0.06)
        canvas.stroke(ring, 0.0200, frame)
        canvas.stroke(ring[34:46], 0.0070, shine, taper=(0.5, 0.5))
    x = np.linspace(-0.020, 0.020, 14)
    bridge = np.column_stack([x, 0.466 - 0.012 * np.cos(x / 0.020 * 1.57), 0.340 + 0 * x])
    canvas.stroke(view.head(bridge), 0.0190, frame)
