"""Hairdo and ornaments of mina: long and straight, a full fringe and two clips."""

from __future__ import annotations

import cv2
import numpy as np

from ..canvas import Canvas, Mask, rgb, spline
from ..hair import Layer, hairline, hang, lock
from ..pose import View
from ..style import Style
from .common import skull


def back(canvas: Canvas, view: View, style: Style) -> None:
    sway = 0.035 * view.pose.sway
    deep = Layer(style, base=style.hair_shade)
    edge = np.array(
        [[0.300, 0.36, -0.05], [0.335, 0.52, -0.08], [0.355, 0.72, -0.08], [0.365, 0.95, -0.04],
         [0.345, 1.20, 0.0], [0.33, 1.5, 0.0]]
    )  # fmt: skip
    bend = np.column_stack([sway * np.clip((edge[:, 1] - 0.5) / 0.5, 0, 2), edge[:, 1:] * 0])
    right = hang(view, spline(edge + bend, 30))
    left = hang(view, spline(edge * (-1, 1, 1) + bend, 30))
    deep.add(np.concatenate([left, right[::-1]]))
    t = np.linspace(0, 2 * np.pi, 32)
    rings = [
        np.column_stack([r * np.cos(t), np.full(32, y), -0.04 + r * np.sin(t) * (np.sin(t) < 0)])
        for y, r in ((0.42, 0.305), (0.80, 0.29))
    ]
    deep.add(
        cv2.convexHull(view.head(np.concatenate(rings)).astype(np.float32))[:, 0].astype(float)
    )
    deep.render(canvas, view)
    outer = Layer(style)
    for side in (-1, 1):
        for dx, w in ((0.0, 0.105), (-0.055, 0.085)):
            line = edge[:-1] + bend[:-1] * side + (dx - 0.04, 0, 0)
            outer.add(lock(view, line * (side, 1, 1), w, blunt=9.0, root=0.6))
    outer.render(canvas, view, width=0.0045)


def front(view: View, style: Style) -> Layer:
    shell = skull(view)
    sway = view.pose.sway
    layer = Layer(style)
    layer.add(*shell.cap(hairline([0, 40, 62, 78, 100, 180], [44, 38, 26, -4, -40, -50])))
    for side in (-1, 1):
        swing = 0.022 * sway
        layer.add(
            lock(
                view,
                [
                    [side * 0.215, 0.25, 0.10],
                    [side * 0.303, 0.46, 0.115],
                    [side * 0.300 + swing * 0.5, 0.70, 0.09],
                    [side * 0.285 + swing, 0.92, 0.06],
                    [side * 0.265 + swing * 1.6, 1.13, 0.03],
                ],
                0.088,
                blunt=4.0,
                ride=0.075,
            )
        )
        layer.add(
            lock(
                view,
                [
                    [side * 0.185, 0.23, 0.17],
                    [side * 0.268, 0.40, 0.165],
                    [side * 0.272 + swing * 0.4, 0.58, 0.15],
                    [side * 0.252 + swing, 0.765, 0.13],
                ],
                0.062,
                blunt=2.6,
                ride=0.11,
            )
        )
    fringe = [(-58, 3, 19, -3), (57, 2, 19, 3), (-42, 9, 20, -2), (43, 8, 20, 2), (-25, 7, 20, -2),
              (27, 9, 20, 2), (10, 6, 19, 2), (-8, 10, 17, 1)]  # fmt: skip
    for az, el, width, bend in fringe:
        layer.add(shell.clump((az * 0.62, 74), (az + 1.5, el), width, bend=bend, sway=2.5 * sway))
    layer.band(shell, 41, 11, 11, r=1.05)

    def clips(canvas: Canvas, mask: Mask) -> None:
        for az, el, color in (((44, 58, 60, 46), (33, 28, 33, 38), "#ffd34d"),
                              ((45, 60, 62, 47), (23, 17, 22, 28), "#ff7fa8")):  # fmt: skip
            clip = shell.points(np.array(az, float), np.array(el, float), 1.1)
            middle = clip.mean(0)
            facing = shell.depth(np.array(az[1]), np.array(el[1]))
            clip = middle + (clip - middle) * np.clip(4 * facing - 0.6, 0, 1)
            if facing <= 0.15:
                continue
            canvas.outline([clip], 0.004, style.hair_ink)
            canvas.fill(clip, rgb(color))

    layer.details = clips
    return layer
