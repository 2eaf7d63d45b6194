"""Hairdo and ornaments of zuri: a round cloud of curls, a headband and hoops."""

from __future__ import annotations

import numpy as np

from ..canvas import Array, Canvas, Mask, rgb
from ..hair import Layer, Shell, hairline
from ..head import Head
from ..pose import View
from ..style import Style
from .common import bumps, fibonacci, skull


def _cloud(view: View) -> Shell:
    return Shell(view, (0.0, 0.372, -0.05), (0.372, 0.300, 0.35))


def back(canvas: Canvas, view: View, style: Style) -> None:
    cloud = _cloud(view)
    layer = Layer(style)
    layer.add(cloud.points(np.linspace(-180, 180, 60), np.zeros(60), 0.9))
    layer.add(*bumps(cloud, fibonacci(90, -46), 0.070, 3, 0.99))
    layer.shade = 0.10
    layer.render(canvas, view)


def front(view: View, style: Style) -> Layer:
    cloud, shell = _cloud(view), skull(view)
    layer = Layer(style)
    line = hairline([0, 40, 60, 74, 86, 100, 180], [38, 34, 22, 4, -14, -25, -40])
    az = np.linspace(-68, 68, 13)
    layer.add(*bumps(shell, np.column_stack([az, line(np.abs(az)) + 6]), 0.036, 5, 1.04))
    layer.add(*shell.cap(lambda a: line(a) + 4), ink=False)
    places = fibonacci(110, 12)
    places = places[places[:, 1] > line(np.abs(places[:, 0])) + 18]
    layer.add(*bumps(cloud, places, 0.068, 7, 0.97), ink=False)
    layer.shade = 0.10

    def curls_and_band(canvas: Canvas, mask: Mask) -> None:
        rng = np.random.default_rng(11)
        places = fibonacci(95, -20)
        places = places[places[:, 1] > line(np.abs(places[:, 0])) + 17]
        scale = np.hypot(*view.matrix[:, 0])
        centres = cloud.points(places[:, 0], places[:, 1], 1.0)
        seen = np.clip(cloud.depth(places[:, 0], places[:, 1]) * 4, 0, 1)
        for centre, part in zip(centres, seen, strict=True):
            t = np.linspace(0, rng.uniform(2.6, 4.2), 14) + rng.uniform(0, 6.28)
            size = rng.uniform(0.016, 0.026) * scale
            light = rng.random() < 0.55
            curl = centre + size * np.column_stack([np.cos(t), np.sin(t)])
            if part > 0.1:
                color = style.hair_light if light else style.hair_ink
                canvas.stroke(curl, 0.0052 * part, color, taper=(0.5, 0.5), clip=mask)
        # headband
        az = np.linspace(-92, 92, 240)
        az = az[shell.depth(az, _band_edge(az) + 9) > -0.10]
        low = _band_edge(az)
        r = 1.075
        band = np.concatenate([shell.points(az, low, r), shell.points(az, low + 18, r)[::-1]])
        canvas.outline([band], 0.0052, rgb("#6e2414"))
        canvas.fill(band, rgb("#f2913a"))
        for lo, hi, tint in ((0.0, 4.0, "#d9622b"), (11.0, 13.5, "#ffd27a")):
            stripe = np.concatenate(
                [shell.points(az, low + lo, r), shell.points(az, low + hi, r)[::-1]]
            )
            canvas.fill(stripe, rgb(tint))

    layer.details = curls_and_band
    return layer


def _band_edge(az: Array) -> Array:
    """Lower edge of the headband over the azimuth."""
    return hairline([0, 45, 75, 95], [46, 40, 14, -8])(np.abs(az))


def earrings(canvas: Canvas, view: View, head: Head) -> None:
    """Hoop earrings."""
    for side in (-1, 1):
        t = np.linspace(0, 2 * np.pi, 40)
        hoop = np.column_stack(
            [side * (0.300 + 0.010 * np.cos(t)) + 0 * t, 0.672 + 0.058 * np.sin(t),
             -0.02 + 0.045 * np.cos(t)]
        )  # fmt: skip
        flat = view.head(hoop)
        canvas.stroke(flat, 0.0135, rgb("#7a4a12"))
        canvas.stroke(flat, 0.0075, rgb("#ffc94a"))
