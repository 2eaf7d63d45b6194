"""Hairdo and ornaments of bram: receding hair, a great beard and a moustache."""

from __future__ import annotations

import numpy as np

from ..canvas import Canvas, rgb, spline
from ..hair import Layer, Shell, hairline, lock
from ..head import Head
from ..pose import View
from ..style import Style
from .common import bumps, skull

_GREY = rgb("#cfc4b8")


def back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    layer = Layer(style, base=style.hair_shade)
    layer.add(Shell(view, (0, 0.46, -0.04), (0.30, 0.26, 0.30)).points(
        np.linspace(-180, 180, 60), np.linspace(-8, -8, 60), 1.0))  # fmt: skip
    layer.add(
        *bumps(shell, np.array([[-118.0, -18], [118, -18], [-140, -30], [140, -30]]), 0.06, 1)
    )
    layer.render(canvas, view)


def front(view: View, style: Style) -> Layer:
    shell = Shell(view, (0.0, 0.425, -0.03), (0.312, 0.334, 0.34))
    layer = Layer(style)
    layer.add(
        *shell.cap(
            hairline([0, 14, 32, 48, 62, 74, 84, 112, 180], [58, 60, 67, 56, 26, -10, 8, -14, -40])
        )
    )
    for az, el, w in ((-150, 40, 34), (150, 40, 34), (-110, 30, 30), (110, 30, 30), (-60, 46, 26),
                      (60, 46, 26)):  # fmt: skip
        s = 1 if az > 0 else -1
        layer.add(shell.clump((az - 6 * s, el + 20), (az + 14 * s, el - 14), w, lift=(1.0, 1.06)))
    for az0, az1, el1 in ((-60, 34, 63), (-64, 8, 61)):
        layer.add(shell.clump((az0, 70), (az1, el1), 24, lift=(1.0, 1.07), blunt=2.2))
    for side in (-1, 1):
        patch_az = np.array([58, 66, 76, 92, 104, 98, 84, 66.0]) * side
        patch_el = np.array([30, 4, -14, -10, 8, 26, 34, 40.0])
        layer.patches.append(
            (spline(shell.points(patch_az, patch_el, 1.03), 40, closed=True), _GREY)
        )
    return layer


def _beard(view: View, head: Head) -> Shell:
    bottom = head.style.chin + 0.045 * view.pose.mouth_open + 0.035
    return Shell(view, (0.0, 0.585, 0.02), (0.288, bottom - 0.585, 0.300))


def beard(canvas: Canvas, view: View, head: Head) -> None:
    """The beard under the mouth, drawn before it."""
    style, shell = head.style, _beard(view, head)
    layer = Layer(style)
    top = hairline([0, 20, 34, 50, 66, 80, 96, 110], [-8, -8, -9, -17, -10, 4, 20, 20])
    az = np.linspace(-104, 104, 49)
    start = top(np.abs(az))
    el = start + (-88 - start) * np.linspace(0, 1, 9)[:, None]
    layer.add(*shell.patches(np.broadcast_to(az, el.shape), el, 1.03))
    sway = 2.0 * view.pose.sway
    for a0, e0, a1, e1, w in (
        (-84, 0, -76, -40, 20), (84, 0, 76, -40, 20), (-68, -20, -58, -54, 22),
        (68, -20, 58, -54, 22), (-50, -26, -38, -66, 24), (50, -26, 38, -66, 24),
        (-30, -38, -14, -76, 22), (30, -38, 14, -76, 22), (-12, -44, -6, -84, 18),
        (12, -44, 8, -84, 18),
    ):  # fmt: skip
        layer.add(
            shell.clump(
                (a0, e0), (a1, e1), w, lift=(1.02, 1.05 + 0.0015 * -e1), sway=sway, blunt=2.0
            )
        )
    for az_g, el_g, tip_az, width in ((-13, -36, -8, 9), (9, -40, 6, 8), (-2, -46, 0, 7),
                                      (21, -34, 15, 7), (-27, -34, -19, 6)):  # fmt: skip
        streak = shell.clump(
            (az_g, el_g), (tip_az, -84), width, lift=(1.04, 1.14), sway=sway, root_width=0.05
        )
        layer.add(streak)
        layer.patches.append((streak.polygon, _GREY))
    for side in (-1, 1):
        patch_az = np.array([104, 84, 66, 70, 78, 90, 104.0]) * side
        patch_el = np.array([26, 26, 2, -16, -34, -22, -10.0])
        layer.patches.append(
            (spline(shell.points(patch_az, patch_el, 1.03), 40, closed=True), _GREY)
        )
    layer.shade = 0.07
    layer.render(canvas, view)


def moustache(canvas: Canvas, view: View, head: Head) -> None:
    """Two lobes over the upper lip."""
    style = head.style
    layer = Layer(style)
    rise = 0.012 * max(view.pose.smile, 0)
    up = 0.010 * view.pose.mouth_open
    for side in (-1, 1):
        for y0, w, reach, curl in ((0.688, 0.034, 0.122, 0.0), (0.674, 0.056, 0.138, 0.016)):
            y = y0 - up
            xy = [
                [side * 0.003, y - 0.004],
                [side * 0.045, y + 0.006],
                [side * 0.092, y + 0.026 - rise],
                [side * reach, y + 0.036 - curl - 2.4 * rise],
            ]
            line = head.surface(np.asarray(xy), 0.035)
            layer.add(lock(view, line, w, blunt=2.4, root=0.75))
    layer.shade = 0.04
    layer.render(canvas, view, width=0.0045)
