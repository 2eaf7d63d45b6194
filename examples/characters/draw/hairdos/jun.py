"""Hairdo and ornaments of jun: short, swept spikes."""

from __future__ import annotations

import numpy as np

from ..canvas import Canvas
from ..hair import Layer, hairline, lock
from ..pose import View
from ..style import Style
from .common import skull


def back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    layer = Layer(style, base=style.hair_shade)
    for side in (-1, 1):
        for x, y, tip_x, tip_y, width in (
            (0.22, 0.50, 0.275, 0.70, 0.12),
            (0.17, 0.55, 0.215, 0.755, 0.12),
            (0.08, 0.55, 0.13, 0.79, 0.13),
        ):
            layer.add(
                lock(
                    view,
                    [
                        [side * x, y, -0.15],
                        [side * (x + tip_x) * 0.52, 0.62, -0.18],
                        [side * tip_x, tip_y, -0.20],
                    ],
                    width,
                    root=0.8,
                    blunt=2.0,
                )
            )
    layer.add(shell.points(np.linspace(-180, 180, 60), np.zeros(60), 0.95))
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
    crown = [(-124, 26), (122, 22), (-94, 22), (93, 20), (-142, 56), (138, 58), (-98, 46),
             (96, 42), (-64, 50), (64, 48), (-72, 66), (76, 64), (-160, 78), (40, 82)]  # fmt: skip
    for az, el in crown:
        layer.add(
            shell.spike(az, el, 0.155, 0.072 + 0.03 * float(np.cos(np.radians(el))),
                        lean=(np.sign(az) * 6 + 4 * sway + 5, 9))
        )  # fmt: skip
    swept = [(-50, 60, -66, 4, 20, 6), (52, 58, 66, 6, 18, -4), (-30, 66, -50, 12, 22, 8),
             (30, 70, 48, 14, 21, -8), (-6, 70, -30, 16, 23, 9), (10, 72, 26, 24, 20, -6),
             (18, 72, 2, 13, 22, 10)]  # fmt: skip
    for az0, el0, az1, el1, width, bend in swept:
        layer.add(shell.clump((az0, el0), (az1, el1), width, bend=bend, lift=(1.03, 1.13),
                              sway=3 * sway, blunt=1.9))  # fmt: skip
    layer.band(shell, 46, 10, 8, r=1.07)
    return layer
