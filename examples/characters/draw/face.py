"""Eyes, brows and nose, drawn on the head's surface."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import Array, Canvas, Color, Mask, ellipse, mix, spline
from .head import Head
from .pose import EYE_X, EYE_Y, View
from .style import Style

_S = np.linspace(-1, 1, 33)  # along an eye, inner corner to outer corner
_UP = spline([[-1, 0.0], [-0.82, 0.52], [-0.35, 0.95], [0.2, 1.0], [0.68, 0.74], [1.0, 0.06]], 97)
_LOW = spline([[-1, 0.0], [-0.7, 0.5], [-0.1, 0.95], [0.45, 1.0], [0.82, 0.62], [1.0, -0.06]], 97)
_WHITE = (250, 249, 252)


def _lids(style: Style, opening: float, smile: float) -> tuple[Array, Array]:
    """Heights (y downwards, eye centre 0) of the upper and the lower lid along _S."""
    up = -style.eye_up * np.interp(_S, _UP[:, 0], _UP[:, 1])
    low = style.eye_low * np.interp(_S, _LOW[:, 0], _LOW[:, 1])
    happy = max(smile, 0.0)
    low = low - 0.011 * happy * (1 - _S**2)
    closed = (0.030 - 0.052 * happy) * (1 - _S**2) + 0.006 + 0.010 * happy
    o = opening * (1 - 0.07 * happy)
    low = closed + (low - closed) * (1 - (1 - min(o, 1.0)) ** 2.2)
    up = closed + (up - closed) * o
    tilt = -style.eye_tilt * _S + 0.006 * (1 - _S) / 2
    return np.minimum(up, low) + tilt, low + tilt


def draw_eye(canvas: Canvas, view: View, head: Head, side: int) -> None:
    """One eye: side -1 is the image's left."""
    style, pose = head.style, head.pose
    opening = pose.eye_left if side < 0 else pose.eye_right
    up, low = _lids(style, opening, pose.smile)
    half = style.eye_w / 2
    x = side * (EYE_X + half * _S)

    def put(px: Array, py: Array, lift: float = 0.0) -> Array:
        return view.head(head.surface(np.column_stack([px, EYE_Y + py]), lift))

    shape = np.concatenate([put(x, up), put(x[::-1], low[::-1])])
    clip = canvas.mask([shape])
    canvas.fill(shape, _WHITE)
    gx, gy = 0.034 * pose.gaze_x, 0.020 * pose.gaze_y
    cx, cy = side * EYE_X + gx - side * 0.002, gy - 0.006
    rx, ry = style.iris_rx, style.iris_ry

    def disc(dx: float, dy: float, fx: float, fy: float, color: Color) -> None:
        e = ellipse(cx + dx * rx, cy + dy * ry, fx * rx, fy * ry)
        canvas.fill_inside(put(e[:, 0], e[:, 1]), clip, color)

    dark, middle, light = style.iris
    lid = np.concatenate([put(x, up - 0.02), put(x[::-1], up[::-1] + 0.017 * min(opening, 1.0))])
    canvas.fill_inside(lid, clip, mix(_WHITE, style.lash, 0.24))
    disc(0, 0, 1.0, 1.0, mix(dark, style.lash, 0.55))
    disc(0, 0.02, 0.9, 0.92, dark)
    disc(0, 0.2, 0.84, 0.72, middle)
    disc(0, 0.5, 0.62, 0.38, light)
    disc(0, 0.0, 0.42, 0.46, mix(dark, (8, 6, 14), 0.75))
    e = ellipse(cx, cy, rx, ry)
    rim = cv2.bitwise_and(canvas.mask([put(e[:, 0], e[:, 1])]), clip)
    canvas.fill_inside(lid, rim, mix(dark, style.lash, 0.7))
    disc(-0.36, -0.40, 0.27, 0.25, (255, 255, 255))
    disc(0.40, 0.46, 0.13, 0.12, (255, 255, 255))
    # lower line, upper lash as one tapered shape with a wing, crease
    part = slice(12, 32)
    canvas.stroke(put(x[part], low[part]), style.lower_lash, style.ink, taper=(0.7, 0.3))
    weight = np.interp(_S, [-1, -0.6, 0.2, 0.8, 1], [0.22, 0.62, 1.0, 1.0, 0.75])
    wing = np.array([1.10, 1.06])
    wing_y = up[-1] + np.array([-0.012, 0.002]) * (0.5 + style.lash_w / 0.03)
    top = up - style.lash_w * weight * (0.72 + 0.28 * min(opening, 1.0))
    wing_x = side * (EYE_X + half * wing)
    lash = np.concatenate(
        [
            put(x, up + 0.002),
            put(wing_x[1:], wing_y[1:]),
            put(wing_x[:1], wing_y[:1]),
            put(x[::-1], top[::-1]),
        ]
    )
    canvas.fill(lash, style.lash)
    for k in range(style.lashes):
        s = 0.52 + 0.24 * k
        root = np.interp([s, s + 0.06], _S, up)
        base = side * (EYE_X + half * s)
        tip = base + side * (0.020 + 0.006 * k)
        flick = -style.lash_w - 0.016 + 0.006 * k
        curve = spline(
            [
                [base, root[0]],
                [base + side * 0.012, root[0] + flick * 0.55],
                [tip, root[1] + flick],
            ],
            12,
        )
        canvas.stroke(put(curve[:, 0], curve[:, 1]), 0.007, style.lash, taper=(0.0, 0.95))
    fold = up - style.lash_w - 0.013 * style.crease * min(opening, 1.0) - 0.004
    part = slice(5, 29)
    canvas.stroke(put(x[part], fold[part]), 0.0030, style.ink, taper=(0.35, 0.35))


def draw_brow(canvas: Canvas, view: View, head: Head, side: int) -> None:
    """One eyebrow: raised or drawn together by pose.brow."""
    style, pose = head.style, head.pose
    s = np.linspace(-1, 1, 28)
    lift = -0.028 * max(pose.brow, 0) - 0.008 * max(pose.smile, 0) + 0.012 * max(-pose.brow, 0)
    frown = 0.020 * max(-pose.brow, 0) * (1 - s) / 2 - 0.006 * max(pose.brow, 0) * (1 - s**2)
    x = side * (EYE_X + 0.004 + 0.088 * s - 0.010 * max(-pose.brow, 0) * (1 - s) / 2)
    y = style.brow_y + lift + frown - style.brow_arch * np.interp(s, [-1, 0.2, 1], [0.50, 1, 0.05])
    y = y + 0.016 * np.clip(s, 0, 1) ** 2
    weight = np.interp(s, [-1, -0.8, 0.0, 1.0], [0.6, 1.0, 0.9, 0.16])
    kernel = np.ones(7) / 7
    y = np.convolve(np.pad(y, 3, "edge"), kernel, "valid")
    points = view.head(head.surface(np.column_stack([x, y]), 0.004))
    canvas.ribbon(points, style.brow_w * weight, style.brow)


def draw_nose(canvas: Canvas, view: View, head: Head) -> None:
    """A small shadow under the tip, a line on the bridge's far side as the head turns."""
    style, pose = head.style, head.pose
    w, y = style.nose_w, style.nose_y

    def put(points: list[list[float]]) -> Array:
        """(x, y, height above the face)"""
        p = np.asarray(points)
        q = head.surface(p[:, :2])
        q[:, 2] += p[:, 2]
        return view.head(q)

    z = style.nose_z
    length = 0.012 + 1.7 * w  # of the bridge's shaded part
    base = put([[-w, y + 0.008, 0.012], [0, y - 0.004, z], [w, y + 0.008, 0.012]])
    under = put(
        [[w * 0.55, y + 0.022, 0.016], [0, y + 0.027, 0.026], [-w * 0.55, y + 0.022, 0.016]]
    )
    canvas.fill(spline(np.concatenate([base, under]), 50, closed=True), style.skin_shade)
    side = np.clip(pose.yaw / 25 - pose.light * 0.6, -1, 1)
    bridge = put([[0, y - length, 0.4 * z], [0, y - 0.5 * length, 0.68 * z], [0, y - 0.006, z]])
    foot = put([[side * w * 0.95, y + 0.006, 0.014], [side * w * 0.40, y - 0.5 * length, 0.2 * z]])
    shape = np.concatenate([spline(bridge, 16), foot])
    canvas.fill(shape, style.skin_shade)
    tip = spline(
        put(
            [
                [-w * 0.62, y + 0.019, 0.018],
                [-w * 0.2, y + 0.023, 0.032],
                [w * 0.2, y + 0.023, 0.032],
                [w * 0.62, y + 0.019, 0.018],
            ]
        ),
        24,
    )
    canvas.stroke(tip, 0.0042, style.ink, taper=(0.45, 0.45))
    for k in (-1, 1):
        wing = spline(
            put([[k * w * 0.9, y - 0.012, 0.014], [k * w * 1.12, y + 0.004, 0.010],
                 [k * w * 0.95, y + 0.016, 0.012]]), 14)  # fmt: skip
        canvas.stroke(wing, 0.0026 + 0.0012 * max(0.0, -k * side), style.ink, taper=(0.6, 0.5))
    turn = abs(pose.yaw) / 30
    if turn > 0.15:
        line = spline(
            put([[0, y - length, 0.4 * z], [0, y - 0.5 * length, 0.68 * z], [0, y - 0.004, z]]), 24
        )
        canvas.stroke(line, 0.0040 * min(turn, 1.0), style.ink, taper=(0.9, 0.1))


def draw_cheeks(canvas: Canvas, view: View, head: Head, face: Mask) -> None:
    """Blush, freckles and the lines of age."""
    style, pose = head.style, head.pose
    rise = -0.012 * max(pose.smile, 0)
    for side in (-1, 1):
        e = ellipse(side * 0.165, 0.60 + rise, 0.046, 0.020)
        spot = view.head(head.surface(e))
        canvas.glow(spot, style.blush, style.blush_power, 0.028, face)
        if style.freckles:
            for dx, dy, r in (
                (0.105, 0.575, 1.0), (0.135, 0.598, 0.9), (0.152, 0.565, 1.0), (0.182, 0.588, 1.1),
                (0.115, 0.612, 0.8), (0.168, 0.617, 0.9), (0.205, 0.566, 0.8),
            ):  # fmt: skip
                d = ellipse(side * dx, dy + rise, 0.0052 * r, 0.0046 * r, 12)
                canvas.fill(view.head(head.surface(d)), mix(style.skin_shade, style.ink, 0.30))
        if style.wrinkles > 0:
            w = style.wrinkles
            lines = [
                ([[0.062, 0.632], [0.098, 0.668], [0.113, 0.715]], 0.0042),
                ([[0.052, 0.552], [0.085, 0.572], [0.130, 0.572]], 0.0036),
                ([[0.222, 0.452], [0.240, 0.444], [0.256, 0.432]], 0.0034),
                ([[0.224, 0.474], [0.242, 0.477], [0.258, 0.480]], 0.0034),
            ]
            for points, width in lines:
                moved = np.asarray(points) * (side, 1) + (0, rise)
                curve = view.head(head.surface(spline(moved, 20)))
                canvas.stroke(curve, width * w, mix(style.skin_shade, style.ink, 0.45),
                              taper=(0.4, 0.6), clip=face)  # fmt: skip
    if style.wrinkles > 0:
        lift = -0.010 * pose.brow
        for y, half in ((0.285, 0.085), (0.315, 0.105)):
            p = [[-half, y + 0.004 + lift], [0, y - 0.004 + lift], [half, y + 0.004 + lift]]
            curve = view.head(head.surface(spline(p, 24)))
            canvas.stroke(curve, 0.0036 * style.wrinkles, mix(style.skin_shade, style.ink, 0.4),
                          taper=(0.4, 0.4), clip=face)  # fmt: skip
