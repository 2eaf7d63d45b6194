"""Hairdo of jun: short at the sides, a swept quiff of a few big tufts."""

from __future__ import annotations

import numpy as np

from ..canvas import Canvas
from ..hair import Layer, hairline
from ..pose import View
from ..style import Style
from .common import bumps, skull


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
            hairline([0, 40, 56, 68, 78, 88, 112, 135, 180], [46, 42, 28, 2, -9, 6, 2, -28, -40])
        )
    )
    crown = [(-112, 20), (112, 18), (-108, 50), (108, 46), (-90, 30), (88, 26), (-80, 60),
             (84, 54), (-30, 76), (60, 74)]  # fmt: skip
    for az, el in crown:
        layer.add(
            shell.spike(az, el, 0.22, 0.085 + 0.020 * float(np.sin(np.radians(el))),
                        lean=(4 * sway + 10, 12))
        )  # fmt: skip
    swept = [
        (56, 62, 68, 4, 28, -4),
        (-44, 62, -68, 4, 28, 6),
        (38, 72, 54, 20, 32, -8),
        (-14, 72, -50, 20, 34, 10),
        (24, 74, 34, 29, 30, -8),
        (10, 76, -26, 26, 36, 12),
    ]
    for az0, el0, az1, el1, width, bend in swept:
        layer.add(shell.clump((az0, el0), (az1, el1), width, bend=bend, lift=(1.03, 1.12),
                              sway=3 * sway, blunt=2.0, root_width=0.5))  # fmt: skip
    layer.gleam(shell, 50, 12, (-62, 52), r=1.07)
    return layer
