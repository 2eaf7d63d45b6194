"""Hairdo and ornaments of mina: long and straight, a full fringe and a bow."""

from __future__ import annotations

import cv2
import numpy as np

from ..canvas import Canvas, Mask, rgb, spline
from ..hair import Clump, Layer, hairline, hang, lock
from ..pose import View
from ..style import Style
from .common import bow, skull


def _side_lock(view: View, side: int, width: float) -> Clump:
    """The long lock in front of a shoulder."""
    swing = 0.022 * view.pose.sway
    line = [
        [side * 0.205, 0.22, 0.12],
        [side * 0.305, 0.44, 0.125],
        [side * 0.305 + swing * 0.5, 0.70, 0.10],
        [side * 0.290 + swing, 0.92, 0.06],
        [side * 0.270 + swing * 1.6, 1.16, 0.03],
    ]
    return lock(view, line, width, blunt=5.0, ride=0.108)


def back(canvas: Canvas, view: View, style: Style) -> None:
    sway = 0.035 * view.pose.sway
    deep = Layer(style, base=style.hair_shade)
    edge = np.array(
        [[0.305, 0.36, -0.05], [0.345, 0.52, -0.08], [0.370, 0.72, -0.08], [0.385, 0.95, -0.04],
         [0.375, 1.20, 0.0], [0.36, 1.5, 0.0]]
    )  # fmt: skip
    bend = np.column_stack([sway * np.clip((edge[:, 1] - 0.5) / 0.5, 0, 2), edge[:, 1:] * 0])
    right = hang(view, spline(edge + bend, 30))
    left = hang(view, spline(edge * (-1, 1, 1) + bend, 30))
    deep.add(np.concatenate([left, right[::-1]]))
    t = np.linspace(0, 2 * np.pi, 32)
    rings = [
        np.column_stack([r * np.cos(t), np.full(32, y), -0.04 + r * np.sin(t) * (np.sin(t) < 0)])
        for y, r in ((0.42, 0.315), (0.80, 0.29))
    ]
    deep.add(
        cv2.convexHull(view.head(np.concatenate(rings)).astype(np.float32))[:, 0].astype(float)
    )
    # wider than the locks in front, so that nothing shows between them and a turned face
    deep.add(*(_side_lock(view, side, 0.21).polygon for side in (-1, 1)))
    deep.render(canvas, view)


def front(view: View, style: Style) -> Layer:
    shell = skull(view)
    sway = view.pose.sway
    layer = Layer(style)
    layer.add(*shell.cap(hairline([0, 40, 62, 78, 100, 180], [44, 38, 26, -4, -40, -50])))
    for side in (-1, 1):
        layer.add(_side_lock(view, side, 0.118))
    fringe = [(-52, 12, 34, -3), (54, 11, 34, 3), (-26, 19, 34, -2), (30, 18, 34, 2),
              (2, 22, 32, 0)]  # fmt: skip
    for az, el, width, bend in fringe:
        layer.add(
            shell.clump(
                (az * 0.55, 74), (az, el), width, bend=bend, sway=2.5 * sway, blunt=4.2,
                root_width=0.4,
            )
        )  # fmt: skip
    layer.gleam(shell, 44, 13, (-70, 70), r=1.05)

    def ribbon(canvas: Canvas, mask: Mask) -> None:
        bow(canvas, shell, (33, 50), 0.105, rgb("#ff6f9f"), rgb("#6b1f4a"))

    layer.details = ribbon
    return layer
