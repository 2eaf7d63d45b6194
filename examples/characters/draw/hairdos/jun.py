"""Hairdo of jun: short at the sides, a swept quiff of a few big tufts."""

from __future__ import annotations

import numpy as np

from ..canvas import Canvas
from ..hair import Layer, hairline
from ..pose import View
from ..style import Style
from .common import bumps, skull

_CROWN = (
    (-128, 40), (128, 38), (-100, 50), (100, 46), (-80, 66), (82, 64), (-24, 74), (60, 80),
    (24, 66),
)  # fmt: skip
# root azimuth and elevation, tip azimuth and elevation, width, bend
_FRINGE = (
    (52, 62, 66, 6, 34, -4), (-40, 62, -66, 6, 34, 6), (34, 74, 44, 24, 34, -6),
    (0, 76, -44, 20, 38, 10), (20, 76, -12, 27, 40, 12),
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
    sway = view.pose.sway
    layer = Layer(style)
    layer.add(
        *shell.cap(
            hairline([0, 40, 56, 68, 78, 88, 112, 135, 180], [46, 42, 28, 4, -6, 6, 2, -28, -40])
        )
    )
    for az, el in _CROWN:
        height = 0.042 + 0.026 * float(np.sin(np.radians(el)))
        layer.add(shell.spike(az, el, 0.24, height, lean=(4 * sway + 12, 10)))
    for az0, el0, az1, el1, width, bend in _FRINGE:
        layer.add(
            shell.clump(
                (az0, el0), (az1, el1), width, bend=bend, lift=(1.03, 1.12), sway=3 * sway,
                blunt=2.0, root_width=0.5,
            )
        )  # fmt: skip
    layer.gleam(shell, 54, 11, (-58, 30), r=1.07)
    return layer
