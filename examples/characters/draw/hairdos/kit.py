"""Hairdo of kit: a mop of big round curls."""

from __future__ import annotations

import numpy as np

from ..canvas import Canvas
from ..hair import Layer, hairline
from ..pose import View
from ..style import Style
from .common import ball, bumps, skull

_CURLS = (
    (-150, 55, 0.100), (150, 55, 0.100), (-112, 48, 0.102), (112, 48, 0.102), (-112, 14, 0.096),
    (112, 14, 0.096), (-60, 72, 0.104), (60, 72, 0.104), (0, 84, 0.104), (-84, 32, 0.102),
    (84, 32, 0.102), (-50, 52, 0.105), (52, 52, 0.105),
    (2, 62, 0.115), (-66, 26, 0.085), (66, 26, 0.085), (-24, 45, 0.098), (27, 45, 0.096),
    (-46, 34, 0.084), (47, 34, 0.084), (1, 40, 0.088),
)  # fmt: skip


def back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    layer = Layer(style, base=style.hair_shade)
    layer.add(shell.points(np.linspace(-180, 180, 60), np.full(60, -6.0), 0.96))
    places = np.array(
        [[s * a, e] for s in (-1, 1) for a, e in ((94, 2), (112, -12), (140, -26))], float
    )
    layer.add(*bumps(shell, places, 0.085, 4, 0.94))
    layer.render(canvas, view)


def front(view: View, style: Style) -> Layer:
    shell = skull(view)
    layer = Layer(style)
    line = hairline([0, 40, 58, 70, 80, 90, 112, 180], [42, 38, 30, 25, 21, 17, 2, -36])
    layer.add(*shell.cap(line))
    for az, el, size in _CURLS:
        layer.add(ball(shell, az + 2.5 * view.pose.sway, el, size, 1.0))
    return layer
