"""The head's surface, its outline from any side, ears, neck and shading of the skin."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import ArrayLike

from .canvas import Array, Canvas, Mask, interp, mix, shifted, spline
from .pose import EYE_X, EYE_Y, MOUTH_Y, Pose, View
from .style import Style

_Y = (0.12, 0.15, 0.21, 0.29, 0.38, 0.465, 0.575, 0.66, 0.74, 0.80, 0.845, 0.872, 0.885)
_HALF = (0.05, 0.145, 0.220, 0.270, 0.291, 0.288, 0.289, 0.270, 0.226, 0.175, 0.122, 0.074, 0.012)
_FRONT = (0.06, 0.15, 0.225, 0.270, 0.288, 0.268, 0.306, 0.310, 0.300, 0.284, 0.270, 0.250, 0.215)
_MIDDLE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.01, 0.03, 0.07, 0.12, 0.15, 0.18, 0.195)


class Head:
    """Surface of one character's head in one pose, and the landmarks on it."""

    def __init__(self, style: Style, pose: Pose) -> None:
        self.style = style
        self.pose = pose
        y = np.array(_Y)
        drop = 0.062 * pose.mouth_open
        low = np.clip((y - 0.66) / 0.225, 0, 1)
        self._y = y + low * (style.chin - 0.885 + drop)
        width = 1 + (style.cheek - 1) * np.exp(-(((y - 0.62) / 0.14) ** 2))
        width *= 1 + (style.jaw - 1) * np.exp(-(((y - 0.80) / 0.075) ** 2))
        width *= 1 + 0.12 * pose.mouth_open * np.exp(-(((y - 0.83) / 0.06) ** 2))
        puff = 1 + 0.02 * max(pose.smile, 0) * np.exp(-(((y - 0.66) / 0.08) ** 2))
        self._half = np.array(_HALF) * width * puff

    def half(self, y: ArrayLike) -> Array:
        """Half width of the face at heights y."""
        return interp(y, list(self._y), list(self._half))

    def surface(self, xy: ArrayLike, lift: float = 0.0) -> Array:
        """(N, 2) frontal points put on the face: (N, 3), raised by ``lift``."""
        p = np.asarray(xy, np.float64).reshape(-1, 2)
        z = interp(p[:, 1], list(self._y), _FRONT) - 1.55 * p[:, 0] ** 2 + lift
        return np.column_stack([p, z])

    def contour(self, view: View) -> Array:
        """Outline of the head seen from the view: (N, 2) canvas points, smooth."""
        ys = np.concatenate(
            [np.linspace(self._y[0], self._y[8], 30), np.linspace(self._y[8], self._y[-1], 26)[1:]]
        )
        half = self.half(ys)
        front = interp(ys, list(self._y), _FRONT)
        middle = interp(ys, list(self._y), _MIDDLE)
        theta = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        c, s = np.cos(theta), np.sin(theta)
        power = 2 / 2.35
        cx = np.sign(c) * np.abs(c) ** power
        sz = np.sign(s) * np.abs(s) ** power
        depth = np.where(sz[None] > 0, (front - middle)[:, None], 0.09)
        rings = np.stack(
            [
                half[:, None] * cx[None],
                np.repeat(ys[:, None], 48, 1),
                middle[:, None] + depth * sz[None],
            ],
            -1,
        )
        flat = view.head(rings.reshape(-1, 3)).reshape(len(ys), 48, 2)
        low = flat.reshape(-1, 2).min(0) - 8
        # The union of the hulls of neighboring rings is the silhouette; drawn at a fixed scale.
        scale = 700.0 / max(float(np.ptp(flat[..., 0])), float(np.ptp(flat[..., 1])))
        small = ((flat - low) * scale * 16).astype(np.int32)
        size = np.ceil((flat.reshape(-1, 2).max(0) - low + 8) * scale).astype(int)
        grid = np.zeros((int(size[1]), int(size[0])), np.uint8)
        for a, b in pairwise(small):
            hull = cv2.convexHull(np.concatenate([a, b]))
            cv2.fillConvexPoly(grid, hull, 255, cv2.LINE_8, 4)
        found, _ = cv2.findContours(grid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        line = max(found, key=len)[:, 0].astype(np.float64)
        step = np.linalg.norm(np.diff(line, axis=0, append=line[:1]), axis=1)
        along = np.concatenate([[0], np.cumsum(step)])
        at = np.linspace(0, along[-1], 480, endpoint=False)
        loop = np.concatenate([line, line[:1]])
        even = np.stack([np.interp(at, along, loop[:, k]) for k in (0, 1)], 1)
        kernel = np.exp(-0.5 * (np.arange(-12, 13) / 4.5) ** 2)
        kernel /= kernel.sum()
        wrapped = np.concatenate([even[-12:], even, even[:12]])
        soft = np.stack([np.convolve(wrapped[:, k], kernel, "valid") for k in (0, 1)], 1)
        return (soft + 0.5) / scale + low


def frame_center(style: Style) -> Array:
    """FFHQ's crop center in head coordinates."""
    face = Head(style, Pose())
    eyes = face.surface([[-EYE_X, EYE_Y], [EYE_X, EYE_Y]]).mean(0)
    mouth = face.surface([[0.0, MOUTH_Y]])[0]
    return eyes + 0.1 * (mouth - eyes)


def draw_ears(canvas: Canvas, view: View, style: Style) -> None:
    """Both ears, unless the hair covers them (size 0).

    The head is drawn over their roots, so that they slip behind it as it turns.
    """
    if style.ears == 0:
        return
    y = np.array([0.455, 0.425, 0.435, 0.485, 0.545, 0.595, 0.612, 0.585])
    out = np.array([0.255, 0.292, 0.335, 0.345, 0.328, 0.307, 0.275, 0.25])
    back = np.array([0.02, -0.03, -0.07, -0.08, -0.06, -0.035, -0.01, 0.02])
    out = 0.272 + (out - 0.26) * style.ears
    for side in (-1, 1):
        shape = spline(np.column_stack([side * out, y, back]), 60, closed=True)
        points = view.head(shape)
        canvas.outline([points], 0.0084, style.ink)
        canvas.fill(points, style.skin)
        middle = np.array([[0.312, 0.52, -0.03]])
        inner = shape * 1.0
        inner = (inner - middle * (side, 1, 1)) * (0.55, 0.58, 0.55) + middle * (side, 1, 1)
        canvas.fill(view.head(inner), style.skin_shade)


def draw_neck(canvas: Canvas, view: View, style: Style, contour: Array) -> None:
    """Neck between the turning head and the still body, in the chin's shadow."""
    n = style.neck
    jaw = 0.70
    left_top, right_top = view.head([[-n, jaw, -0.02], [n, jaw, -0.02]])
    left, right = view.body([[0.5 - n, 0.93], [0.5 + n, 0.93]])
    left2, right2 = view.body([[0.5 - n - 0.10, 1.02], [0.5 + n + 0.10, 1.02]])
    low = view.body([[0.5 + n + 0.1, 1.25], [0.5 - n - 0.1, 1.25]])
    sides = [
        spline([left_top, 0.5 * (left_top + left), left, left2], 30),
        spline([right_top, 0.5 * (right_top + right), right, right2], 30),
    ]
    points = np.concatenate([sides[0][::-1], sides[1], low])
    canvas.outline([points], 0.0080, style.ink)
    canvas.fill(points, style.skin)
    neck = canvas.mask([points])
    shadow = canvas.mask([contour + view.vector(0.018 * -view.pose.light, 0.052)])
    canvas.paint(cv2.bitwise_and(shadow, neck), mix(style.skin_shade, style.ink, 0.12))


def draw_skin(canvas: Canvas, view: View, style: Style, contour: Array) -> Mask:
    """The face's flat color and the shaded side; returns its mask."""
    canvas.outline([contour], 0.0088, style.ink)
    canvas.fill(contour, style.skin)
    mask = canvas.mask([contour])
    light = view.pose.light
    lit = canvas.mask([contour + view.vector(0.085 * light, -0.012 * abs(light) - 0.006)])
    canvas.paint(cv2.bitwise_and(mask, cv2.bitwise_not(lit)), style.skin_shade)
    return mask


def hair_shadow(canvas: Canvas, view: View, style: Style, face: Mask, hair: Mask) -> None:
    """The fringe's cast shadow on the forehead."""
    moved = shifted(hair, view.vector(-0.016 * view.pose.light, 0.024))
    canvas.paint(cv2.bitwise_and(moved, face), style.skin_shade)
