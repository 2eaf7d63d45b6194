"""Hairdo and ornaments of kit: a mop of curls."""

from __future__ import annotations

import numpy as np

from ..canvas import Canvas, Mask
from ..hair import Clump, Layer, Shell, hairline
from ..pose import View
from ..style import Style
from .common import bumps, fibonacci, skull


def back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    layer = Layer(style, base=style.hair_shade)
    layer.add(shell.points(np.linspace(-180, 180, 60), np.full(60, -6.0), 0.96))
    places = np.array([[s * a, e] for s in (-1, 1) for a, e in
                       ((100, -12), (125, -22), (150, -30), (112, 4))], float)  # fmt: skip
    layer.add(*bumps(shell, places, 0.062, 4, 1.0))
    layer.render(canvas, view)


def _tuft(shell: Shell, az: float, el: float, size: float, tilt: float) -> Clump:
    """A plump curl: round above, its tip pointing down and to the side by ``tilt`` degrees."""
    t = np.linspace(0, np.pi, 18)
    seen = np.clip(1 + (shell.depth(np.array(az), np.array(el)) + 0.2) / 0.3, 0, 1)
    centre = shell.points(np.array([az]), np.array([el]), 1.07)[0]
    basis = shell.view.matrix[:, :2] @ shell.view.rotation[:2, :2]
    a = np.radians(tilt)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    ray = 1 + 0.16 * np.clip((t / np.pi - 0.55) / 0.45, 0, 1) ** 2
    hook = 0.55 * np.clip((t / np.pi - 0.5) / 0.5, 0, 1) ** 2
    halves = [
        np.column_stack([s * np.sin(t) * ray + hook, -np.cos(t) * ray]) @ turn.T for s in (-1, 1)
    ]
    left, right = (centre + size * seen * (h @ basis.T) for h in halves)
    return Clump(left, right) if seen > 0 else Clump(left[:0], left[:0])


def front(view: View, style: Style) -> Layer:
    shell = skull(view)
    layer = Layer(style)
    line = hairline([0, 40, 58, 70, 80, 90, 112, 180], [42, 38, 26, 8, -4, 4, -2, -36])
    layer.add(*shell.cap(line))
    places = fibonacci(46, 10)
    layer.add(*bumps(shell, places[places[:, 1] > line(np.abs(places[:, 0])) + 10], 0.058, 9, 1.06))
    sway = 2.5 * view.pose.sway
    tufts = [(0, 80, 0), (-60, 66, 10), (62, 66, -10), (-104, 50, 20), (104, 50, -20), (0, 64, 14),
             (-92, 28, 14), (92, 28, -14), (-44, 50, 26), (46, 52, -26), (-76, 40, 22),
             (76, 40, -22), (-80, 14, 8), (80, 14, -8), (-15, 48, 24), (19, 48, -22), (-66, 25, 26),
             (66, 25, -22), (-47, 33, 30), (48, 33, -30), (-27, 38, 30), (28, 38, -26),
             (2, 36, 34)]  # fmt: skip
    spirals = []
    turn = np.linspace(0, 4.4, 22)
    basis = view.matrix[:, :2] @ view.rotation[:2, :2]
    for k, (a, e, tilt) in enumerate(tufts):
        size = 0.062 + 0.009 * np.cos(2.4 * k)
        tuft = _tuft(shell, a + sway, e, size, tilt - 6 * view.pose.sway)
        layer.add(tuft)
        seen = np.clip(3 * shell.depth(np.array(a + sway), np.array(e)) - 0.2, 0, 1)
        if seen > 0:
            way = 1 if tilt < 0 else -1
            ray = size * (0.60 - 0.09 * turn)
            curl = np.column_stack([way * ray * np.cos(turn - 2.2), ray * np.sin(turn - 2.2)])
            spirals.append((0.5 * (tuft.left[6] + tuft.right[6]) + curl @ basis.T, float(seen)))

    def spiral_lines(canvas: Canvas, mask: Mask) -> None:
        for curve, seen in spirals:
            canvas.stroke(curve, 0.0038 * seen, style.hair_ink, taper=(0.5, 0.3), clip=mask)

    layer.details = spiral_lines
    layer.band(shell, 54, 9, 9, r=1.10)
    return layer
