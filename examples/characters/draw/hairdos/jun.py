"""Hairdo of jun: short at the sides, a quiff of a few big swept tufts."""

from __future__ import annotations

import numpy as np

from ..canvas import Canvas
from ..hair import Layer, hairline, lock
from ..pose import View
from ..style import Style
from .common import bumps, skull

# center lines from root to tip (head coordinates) and the width at the belly
_TUFTS = (
    (((0.10, 0.20, -0.10), (0.22, 0.13, -0.05), (0.315, 0.20, -0.04), (0.338, 0.32, -0.05)), 0.13),
    (((-0.10, 0.20, -0.10), (-0.22, 0.13, -0.05), (-0.315, 0.20, -0.04), (-0.338, 0.33, -0.05)),
     0.13),
    (((0.16, 0.17, 0.04), (0.02, 0.07, 0.05), (-0.18, 0.06, 0.04), (-0.34, 0.17, 0.02)), 0.17),
    (((0.10, 0.16, 0.16), (0.21, 0.13, 0.17), (0.285, 0.21, 0.15), (0.318, 0.34, 0.12)), 0.13),
    (((0.17, 0.17, 0.15), (0.04, 0.055, 0.18), (-0.15, 0.075, 0.19), (-0.315, 0.21, 0.14)), 0.16),
    (((0.16, 0.18, 0.20), (0.05, 0.09, 0.25), (-0.13, 0.120, 0.24), (-0.285, 0.310, 0.15)), 0.16),
    (((0.19, 0.18, 0.19), (0.10, 0.12, 0.26), (-0.04, 0.155, 0.26), (-0.140, 0.275, 0.225)), 0.15),
)  # fmt: skip


def back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    layer = Layer(style, base=style.hair_shade)
    layer.add(shell.points(np.linspace(-180, 180, 60), np.full(60, -4.0), 0.96))
    places = np.array([[s * a, e] for s in (-1, 1) for a, e in ((112, -16), (145, -30))], float)
    layer.add(*bumps(shell, places, 0.085, 4, 0.86))
    layer.render(canvas, view)


def front(view: View, style: Style) -> Layer:
    shell = skull(view)
    layer = Layer(style)
    layer.add(
        *shell.cap(
            hairline([0, 40, 56, 68, 78, 88, 112, 135, 180], [46, 42, 30, 8, -6, 6, 2, -28, -40])
        )
    )
    ramp = np.linspace(0, 1, 4) ** 2
    for line, width in _TUFTS:
        swung = np.array(line)
        swung[:, 0] += 0.020 * view.pose.sway * ramp
        layer.add(lock(view, swung, width, blunt=2.2, root=0.55))
    layer.gleam(shell, 56, 12, (-66, 24), r=1.10)
    return layer
