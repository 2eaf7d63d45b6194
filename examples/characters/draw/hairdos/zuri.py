"""Hairdo and ornaments of zuri: a round cloud of curls, a headband and hoops."""

from __future__ import annotations

import numpy as np

from ..canvas import Array, Canvas, Mask, rgb
from ..hair import Layer, Shell, hairline
from ..head import Head
from ..pose import View
from ..style import Style
from .common import bumps, crescent, fibonacci, skull

_SHINE = ((-62, 46), (62, 46), (-38, 66), (38, 66), (0, 78), (-92, 22), (92, 22), (-98, 52),
          (98, 52), (0, 58))  # fmt: skip


def _cloud(view: View) -> Shell:
    return Shell(view, (0.0, 0.372, -0.05), (0.380, 0.305, 0.35))


def back(canvas: Canvas, view: View, style: Style) -> None:
    cloud = _cloud(view)
    layer = Layer(style)
    layer.add(cloud.points(np.linspace(-180, 180, 60), np.zeros(60), 0.9))
    layer.add(*bumps(cloud, fibonacci(44, -46), 0.104, 3, 0.92))
    layer.shade = 0.10
    layer.render(canvas, view)


def front(view: View, style: Style) -> Layer:
    cloud, shell = _cloud(view), skull(view)
    layer = Layer(style)
    line = hairline([0, 40, 60, 74, 86, 100, 180], [39, 37, 29, 12, -10, -25, -40])
    az = np.linspace(-58, 58, 8)
    layer.add(*bumps(shell, np.column_stack([az, line(np.abs(az)) + 8]), 0.052, 5, 1.02))
    layer.add(*shell.cap(lambda a: line(a) + 4), ink=False)
    places = fibonacci(60, 12)
    places = places[places[:, 1] > line(np.abs(places[:, 0])) + 20]
    layer.add(*bumps(cloud, places, 0.100, 7, 0.91), ink=False)
    layer.shade = 0.10

    def shine_and_band(canvas: Canvas, mask: Mask) -> None:
        scale = float(np.hypot(*view.matrix[:, 0]))
        for a, e in _SHINE:
            center = cloud.points(np.array([a]), np.array([e]), 1.0)[0]
            seen = float(np.clip(3 * cloud.depth(np.array(a), np.array(e)), 0, 1))
            arc = center + crescent(0.052, 0.022 * seen, -150, -30) * scale
            canvas.fill_inside(arc, mask, style.hair_light)
        # the headband narrows as it goes round the head's edge
        az = np.linspace(-92, 92, 240)
        middle = _band_edge(az) + 11.5
        depth = shell.depth(az, middle)
        az, middle, depth = az[depth > 0.02], middle[depth > 0.02], depth[depth > 0.02]
        half = 11.5 * np.clip((depth - 0.02) / 0.40, 0, 1) ** 0.5

        def stripe(low: float, high: float) -> Array:
            return np.concatenate(
                [
                    shell.points(az, middle + low * half, 1.085),
                    shell.points(az, middle + high * half, 1.085)[::-1],
                ]
            )

        canvas.outline([stripe(-1, 1)], 0.0085, rgb("#6e2414"))
        for low, high, tint in (
            (-1.0, 1.0, "#f79433"), (-1.0, -0.48, "#dc5f2a"), (0.13, 0.52, "#ffd884"),
        ):  # fmt: skip
            canvas.fill(stripe(low, high), rgb(tint))

    layer.details = shine_and_band
    return layer


def _band_edge(az: Array) -> Array:
    """Lower edge of the headband over the azimuth."""
    return hairline([0, 45, 75, 95], [44, 38, 12, -10])(np.abs(az))


def earrings(canvas: Canvas, view: View, head: Head) -> None:
    """Hoop earrings."""
    for side in (-1, 1):
        t = np.linspace(0, 2 * np.pi, 48)
        hoop = np.column_stack(
            [side * (0.318 + 0.028 * np.cos(t)) + 0 * t, 0.684 + 0.066 * np.sin(t),
             -0.02 + 0.045 * np.cos(t)]
        )  # fmt: skip
        flat = view.head(hoop)
        canvas.stroke(flat, 0.0270, rgb("#7a4a12"))
        canvas.stroke(flat, 0.0150, rgb("#ffc94a"))
