"""Hairdo and ornaments of nana: silver waves, a bun and round glasses."""

from __future__ import annotations

import numpy as np

from ..canvas import Canvas, rgb, spline
from ..hair import Layer, Shell, hairline
from ..head import Head
from ..pose import View
from ..style import Style
from .common import bumps, fibonacci, skull


def back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    bun = Shell(view, (0.0, 0.115, -0.16), (0.118, 0.094, 0.105))
    layer = Layer(style)
    layer.add(bun.points(np.linspace(-180, 180, 60), np.zeros(60), 0.9))
    layer.add(*bumps(bun, fibonacci(26, -90), 0.048, 2, 0.72))
    layer.shade = 0.05
    layer.render(canvas, view)
    for k in (-1, 0, 1):
        az = np.linspace(-70, 70, 24)
        arc = bun.points(az + 12 * k, 28 * k + 26 * np.cos(np.radians(az * 1.3)), 0.95)
        canvas.stroke(arc, 0.0042, style.hair_ink, taper=(0.4, 0.4))
    low = Layer(style, base=style.hair_shade)
    low.add(shell.points(np.linspace(-180, 180, 60), np.full(60, -4.0), 0.97))
    low.add(shell.points(np.linspace(-180, 180, 60), np.full(60, -28.0), 0.97))
    low.render(canvas, view)


def front(view: View, style: Style) -> Layer:
    shell = Shell(view, (0.0, 0.425, -0.03), (0.318, 0.325, 0.34))
    layer = Layer(style)
    layer.add(
        *shell.cap(hairline([0, 30, 52, 66, 78, 92, 120, 180], [50, 45, 32, 14, 2, -2, -22, -38]))
    )
    sway = 1.5 * view.pose.sway
    for side, part in ((-1, 4), (1, 4)):
        for az1, el1, el0, w, bend in (
            (114, 14, 80, 30, 0), (92, -2, 72, 28, 6), (68, 12, 64, 22, 12),
        ):  # fmt: skip
            layer.add(
                shell.clump(
                    (part, el0),
                    (az1 * side, el1),
                    w,
                    bend=bend * side,
                    lift=(1.0, 1.05),
                    sway=sway,
                    root_width=0.25,
                    blunt=3.4,
                )
            )
    layer.band(shell, 54, 8, 9, r=1.03)
    layer.shade = 0.06
    return layer


def extras(canvas: Canvas, view: View, head: Head) -> None:
    """Round glasses."""
    frame, shine = rgb("#8a4a5c"), rgb("#e9b7c0")
    t = np.linspace(0, 2 * np.pi, 56)
    for side in (-1, 1):
        facing = float(np.clip(4 * (side * view.toward[0] + 0.28), 0, 1))
        if facing > 0:
            arm = [
                [side * 0.226, 0.468, 0.27],
                [side * 0.280, 0.462, 0.10],
                [side * 0.292, 0.462, -0.03],
            ]
            canvas.stroke(spline(view.head(arm), 16), 0.0075 * facing, frame)
        x, y = side * 0.122 + 0.107 * np.cos(t), 0.482 + 0.100 * np.sin(t)
        ring = view.head(np.column_stack([x, y, 0.335 - 0.9 * x * x]))
        lens = canvas.mask([ring])
        canvas.paint(lens, (255, 255, 255), 0.10)
        glare = [[-0.075, 0.04], [-0.02, -0.095], [0.008, -0.098], [-0.052, 0.068]]
        q = np.asarray(glare) + np.array([side * 0.122, 0.482])
        flat = view.head(np.column_stack([q, 0.335 - 0.9 * q[:, 0] ** 2]))
        canvas.fill_inside(flat, lens, (255, 255, 255), 0.22)
        canvas.stroke(ring, 0.0098, frame)
        part = ring[30:40]
        canvas.stroke(part, 0.0032, shine, taper=(0.5, 0.5))
    x = np.linspace(-0.018, 0.018, 14)
    bridge = np.column_stack([x, 0.470 - 0.012 * np.cos(x / 0.018 * 1.57), 0.340 + 0 * x])
    canvas.stroke(view.head(bridge), 0.0098, frame)
