"""Hairdo and ornaments of bram: receding hair, a great beard and a moustache."""

from __future__ import annotations

import numpy as np

from ..canvas import Canvas, mix, rgb, spline
from ..hair import Layer, Shell, hairline, lock
from ..head import Head
from ..pose import View
from ..style import Style
from .common import bumps, skull

_GRAY = rgb("#d3c8bb")


def back(canvas: Canvas, view: View, style: Style) -> None:
    shell = skull(view)
    layer = Layer(style, base=style.hair_shade)
    layer.add(Shell(view, (0, 0.46, -0.04), (0.30, 0.26, 0.30)).points(
        np.linspace(-180, 180, 60), np.linspace(-8, -8, 60), 1.0))  # fmt: skip
    places = np.array([[-122.0, -18], [122, -18], [-146, -30], [146, -30]])
    layer.add(*bumps(shell, places, 0.070, 1, 0.90))
    layer.render(canvas, view)


def front(view: View, style: Style) -> Layer:
    shell = Shell(view, (0.0, 0.425, -0.03), (0.320, 0.336, 0.34))
    layer = Layer(style)
    line = hairline([0, 14, 32, 48, 62, 74, 84, 112, 180], [58, 59, 65, 56, 28, -4, 2, -14, -40])
    layer.add(*shell.cap(line))
    for az0, az1, el1, width in ((60, -2, 62, 30), (-52, 34, 60, 34)):
        layer.add(shell.clump((az0, 70), (az1, el1), width, lift=(1.0, 1.05), blunt=3.0))
    for side in (-1, 1):
        az = np.array([62, 68, 76, 92, 104, 98, 84, 68.0]) * side
        el = np.array([26, 2, -14, -10, 6, 22, 28, 32.0])
        layer.patches.append((spline(shell.points(az, el, 1.03), 40, closed=True), _GRAY))
    layer.gleam(shell, 70, 8, (-70, 40))
    return layer


def _beard(view: View, head: Head) -> Shell:
    bottom = head.style.chin + 0.062 * view.pose.mouth_open + 0.045
    return Shell(view, (0.0, 0.585, 0.02), (0.300, bottom - 0.585, 0.305))


def short_beard(canvas: Canvas, view: View, head: Head) -> None:
    """A beard kept close to the skin, for whoever else has one."""
    bottom = head.style.chin + 0.062 * view.pose.mouth_open + 0.008
    shell = Shell(view, (0.0, 0.585, 0.02), (0.288, bottom - 0.585, 0.300))
    layer = Layer(head.style)
    top = hairline([0, 20, 34, 50, 66, 80, 96, 110], [-30, -28, -20, -18, -11, 4, 20, 20])
    az = np.linspace(-100, 100, 49)
    start = top(np.abs(az))
    el = start + (-88 - start) * np.linspace(0, 1, 9)[:, None]
    layer.add(*shell.patches(np.broadcast_to(az, el.shape), el, 1.02))
    layer.shade = 0.05
    layer.render(canvas, view, width=0.0060)


def beard(canvas: Canvas, view: View, head: Head) -> None:
    """His beard under the mouth, drawn before it."""
    style, shell = head.style, _beard(view, head)
    layer = Layer(style)
    top = hairline([0, 20, 34, 50, 66, 80, 96, 110], [-19, -19, -17, -18, -11, 4, 20, 20])
    az = np.linspace(-104, 104, 49)
    start = top(np.abs(az))
    el = start + (-88 - start) * np.linspace(0, 1, 9)[:, None]
    layer.add(*shell.patches(np.broadcast_to(az, el.shape), el, 1.03))
    sway = 2.0 * view.pose.sway
    for a0, e0, a1, e1, w in (
        (-74, -10, -62, -58, 34), (74, -10, 62, -58, 34), (-46, -34, -32, -76, 36),
        (46, -34, 32, -76, 36),
    ):  # fmt: skip
        lift = (1.02, 1.05 + 0.0012 * -e1)
        layer.add(
            shell.clump((a0, e0), (a1, e1), w, lift=lift, sway=sway, blunt=2.6, root_width=0.3)
        )
    tuft = shell.clump(
        (0, -44), (0, -87), 32, lift=(1.02, 1.15), sway=sway, blunt=2.6, root_width=0.0
    )
    layer.add(tuft)
    layer.patches.append((tuft.polygon, mix(style.hair, style.hair_light, 0.6)))
    layer.shade = 0.07
    layer.render(canvas, view)


def moustache(canvas: Canvas, view: View, head: Head) -> None:
    """Two lobes over the upper lip."""
    style = head.style
    layer = Layer(style, base=mix(style.hair, style.hair_light, 0.25))
    rise = 0.012 * max(view.pose.smile, 0)
    sag = 0.030 * max(-view.pose.smile, 0)
    y = 0.676 - 0.010 * view.pose.mouth_open
    for side in (-1, 1):
        xy = [
            [side * 0.001, y - 0.002],
            [side * 0.048, y + 0.004],
            [side * 0.100, y + 0.026 - rise],
            [side * 0.150, y + 0.026 - 2.4 * rise + sag],
        ]
        line = head.surface(np.asarray(xy), 0.035)
        layer.add(lock(view, line, 0.066, blunt=2.4, root=0.75))
    layer.shade = 0.04
    layer.render(canvas, view, width=0.0080)
