"""Eyes, brows, nose and cheeks, drawn on the head's surface."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import Array, Canvas, Color, Mask, ellipse, interp, mix, spline
from .head import Head
from .pose import EYE_X, EYE_Y, View
from .style import Style

_S = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 45))  # along an eye, inner to outer corner
_WHITE = (252, 250, 252)


def _arc(peak: float, roundness: float) -> Array:
    """A lid's height over _S, 0 at the corners and 1 at ``peak``."""
    s = np.clip(_S - peak * (1 - _S**2), -1, 1)
    return np.clip(1 - np.abs(s) ** 2.2, 0, 1) ** (0.92 - 0.42 * roundness)


def _lids(style: Style, opening: float, smile: float, brow: float) -> tuple[Array, Array]:
    """Heights (y downwards, eye center 0) of the upper and the lower lid along _S."""
    up = -style.eye_up * _arc(style.eye_peak, style.eye_round)
    low = style.eye_low * _arc(0.12, min(style.eye_round + 0.15, 1.0))
    happy, frown = max(smile, 0.0), max(-brow, 0.0)
    belly = 1 - _S**2
    low = low - 0.32 * style.eye_low * happy * belly
    closed = (0.034 - 0.066 * happy) * belly + 0.012 + 0.012 * happy
    # an eye narrowed a little still looks awake; beyond normal it widens by half
    o = 1 - (1 - min(opening, 1.0)) ** 1.5 + 0.5 * max(opening - 1.0, 0.0)
    up = up + 0.026 * frown * (1 - _S) / 2 * belly**0.5
    low = closed + (low - closed) * (1 - (1 - min(o, 1.0)) ** 2.0)
    up = closed + (up - closed) * o
    tilt = -style.eye_tilt * _S
    return np.minimum(up, low) + tilt, low + tilt


def draw_eye(canvas: Canvas, view: View, head: Head, side: int, face: Mask) -> None:
    """One eye, inside the face's mask: side -1 is the image's left."""
    style, pose = head.style, head.pose
    opening = pose.eye_left if side < 0 else pose.eye_right
    seen = min(opening, 1.0)
    up, low = _lids(style, opening, pose.smile, pose.brow)
    high, _ = _lids(style, max(opening, 1.0), pose.smile, pose.brow)
    half = style.eye_w / 2
    x = side * (EYE_X + half * _S)

    def put(px: Array, py: Array, lift: float = 0.0) -> Array:
        return view.head(head.surface(np.column_stack([px, EYE_Y + py]), lift))

    # the lid's skin, a tone deeper, so that a half-closed eye reads
    fold = high - style.lash_w - style.crease * (0.55 + 0.45 * seen)
    lid = np.concatenate([put(x, fold), put(x[::-1], up[::-1])])
    canvas.fill_inside(lid, face, mix(style.skin, style.skin_shade, 0.42))
    shape = np.concatenate([put(x, up), put(x[::-1], low[::-1])])
    clip = cv2.bitwise_and(canvas.mask([shape]), face)
    canvas.paint(clip, _WHITE)
    gx, gy = 0.036 * pose.gaze_x, 0.026 * pose.gaze_y
    cx, cy = side * EYE_X + gx - side * 0.004, gy - 0.002
    rx, ry = style.iris_rx, style.iris_ry

    def disc(dx: float, dy: float, fx: float, fy: float, color: Color) -> None:
        e = ellipse(cx + dx * rx, cy + dy * ry, fx * rx, fy * ry, 48)
        canvas.fill_inside(put(e[:, 0], e[:, 1]), clip, color)

    dark, middle, light = style.iris
    shade = np.concatenate([put(x, up - 0.02), put(x[::-1], up[::-1] + 0.020 * seen)])
    canvas.fill_inside(shade, clip, mix(_WHITE, mix(style.lash, (120, 110, 190), 0.5), 0.34))
    disc(0, 0, 1.0, 1.0, mix(dark, style.lash, 0.7))
    for t in np.linspace(0, 1, 9):
        tone = mix(dark, middle, min(2 * t, 1)) if t < 0.5 else mix(middle, light, 2 * t - 1)
        disc(0, 0.02 + 0.42 * t, 0.86 - 0.30 * t**1.5, 0.86 - 0.50 * t, tone)
    disc(0, -0.04, 0.44, 0.48, mix(dark, (8, 6, 14), 0.85))
    disc(-0.36, -0.36, 0.31, 0.31, (255, 255, 255))
    disc(0.42, 0.44, 0.16, 0.16, (255, 255, 255))
    # lower line, strongest outside, and the upper lash as one shape with a wing
    canvas.ribbon(
        put(x, low), style.lower_lash * (0.35 + 0.65 * interp(_S, [-1, 0.5, 1], [0, 1, 0.6])),
        mix(style.ink, style.lash, 0.4),
    )  # fmt: skip
    weight = interp(_S, [-1, -0.7, 0.1, 0.75, 1], [0.35, 0.62, 1.0, 1.05, 0.85])
    top = up - style.lash_w * weight * (0.75 + 0.25 * seen)
    wing_x = side * (EYE_X + half * np.array([1.0 + style.wing, 1.05]))
    wing_y = np.array([up[-1] - 0.55 * style.wing * half - 0.004, up[-1] + 0.006])
    lash = np.concatenate(
        [put(x, up + 0.003), put(wing_x[::-1], wing_y[::-1]), put(x[::-1], top[::-1])]
    )
    canvas.fill(lash, style.lash)
    for k in range(style.lashes):
        s = 0.62 - 0.30 * k
        root = np.array([s - 0.13, s + 0.13])
        tip_x = side * (EYE_X + half * (s + 0.22 - 0.04 * k))
        tip_y = np.interp(s, _S, up) - style.lash_w - 0.026
        root_y = np.interp(root, _S, up) - 0.2 * style.lash_w
        flick_x = np.insert(side * (EYE_X + half * root), 1, tip_x)
        canvas.fill(put(flick_x, np.insert(root_y, 1, tip_y)), style.lash)
    part = slice(7, 40)
    canvas.stroke(put(x[part], fold[part]), 0.0052, mix(style.skin_shade, style.ink, 0.45),
                  taper=(0.5, 0.5), clip=face)  # fmt: skip


def draw_brow(canvas: Canvas, view: View, head: Head, side: int) -> None:
    """One eyebrow: raised or drawn together by pose.brow."""
    style, pose = head.style, head.pose
    s = np.linspace(-1, 1, 32)
    up, frown, sad = max(pose.brow, 0.0), max(-pose.brow, 0.0), max(-pose.smile, 0.0)
    inner = (1 - s) / 2
    lift = -0.030 * up - 0.008 * max(pose.smile, 0) + 0.010 * frown
    tilt = 0.034 * frown * inner**1.3 - 0.018 * sad * (1 - frown) * inner - 0.006 * up * (1 - s**2)
    x = side * (EYE_X + 0.006 + 0.092 * s - 0.014 * frown * inner)
    y = style.brow_y + lift + tilt - style.brow_arch * interp(s, [-1, 0.15, 1], [0.30, 1, -0.2])
    weight = interp(s, [-1, -0.75, 0.0, 1.0], [0.55, 1.0, 0.92, 0.14]) * style.brow_w / 2
    points = np.concatenate(
        [np.column_stack([x, y - weight]), np.column_stack([x, y + weight])[::-1]]
    )
    canvas.fill(view.head(head.surface(points, 0.004)), style.brow)


def draw_nose(canvas: Canvas, view: View, head: Head) -> None:
    """A rounded tip in a warmer tone, the shade on its far side and one line under it."""
    style, pose = head.style, head.pose
    w, y, z = style.nose_w, style.nose_y, style.nose_z

    def put(points: list[list[float]]) -> Array:
        """(x, y, height above the face)"""
        p = np.asarray(points)
        q = head.surface(p[:, :2])
        q[:, 2] += p[:, 2]
        return view.head(q)

    side = float(np.clip(pose.yaw / 28 - 0.5 * pose.light, -1, 1))
    length = 0.03 + 1.6 * w  # of the bridge's shaded part
    bridge = put([[0, y - length, 0.45 * z], [0, y - 0.5 * length, 0.72 * z], [0, y, z]])
    foot = put([[side * w * 1.05, y + 0.012, 0.014], [side * w * 0.5, y - 0.45 * length, 0.3 * z]])
    canvas.fill(np.concatenate([spline(bridge, 16), foot]), mix(style.skin, style.skin_shade, 0.85))
    tip = put([[0, y, z]])[0]
    ball = tip + (put([[w, y, 0.3 * z], [0, y + 0.75 * w, 0.6 * z]]) - put([[0, y, 0.3 * z],
                                                                           [0, y, 0.6 * z]])) @ (
        np.array([[1, 0], [0, 1]])
    )  # fmt: skip
    t = np.linspace(0, 2 * np.pi, 32)[:, None]
    across, down = ball[0] - tip, ball[1] - tip
    round_tip = tip + 0.78 * (np.cos(t) * across + np.sin(t) * down)
    canvas.fill(round_tip, mix(style.skin, style.blush, style.nose_red))
    line = spline(
        put(
            [
                [-w * 0.92, y + 0.004, 0.020],
                [-w * 0.55, y + 0.020, 0.026],
                [0, y + 0.026, 0.040],
                [w * 0.55, y + 0.020, 0.026],
                [w * 0.92, y + 0.004, 0.020],
            ]
        ),
        32,
    )
    canvas.stroke(line, 0.0078, mix(style.ink, style.skin_shade, 0.15), taper=(0.45, 0.45))
    shine = tip + 0.26 * (np.cos(t) * across + np.sin(t) * down) - 0.24 * (across + 1.1 * down)
    canvas.fill(shine, mix(style.skin, (255, 255, 255), 0.62))


def draw_cheeks(canvas: Canvas, view: View, head: Head, face: Mask) -> None:
    """Blush, freckles and the lines of age."""
    style, pose = head.style, head.pose
    rise = -0.014 * max(pose.smile, 0)
    for side in (-1, 1):
        e = ellipse(side * 0.185, 0.622 + rise, 0.046, 0.026)
        spot = view.head(head.surface(e))
        canvas.glow(spot, style.blush, style.blush_power, 0.026, face)
        if style.freckles:
            for dx, dy, r in ((0.140, 0.606, 1.0), (0.178, 0.590, 1.05), (0.190, 0.628, 0.95)):
                d = ellipse(side * dx, dy + rise, 0.0105 * r, 0.0095 * r, 16)
                canvas.fill_inside(view.head(head.surface(d)), face,
                                   mix(style.skin_shade, style.ink, 0.22))  # fmt: skip
        if style.wrinkles > 0:
            fold = np.array([[0.085, 0.632], [0.118, 0.662], [0.130, 0.706]]) * (side, 1)
            curve = view.head(head.surface(spline(fold + np.array([0, rise]), 20)))
            canvas.stroke(curve, 0.0070 * style.wrinkles, mix(style.skin_shade, style.ink, 0.35),
                          taper=(0.4, 0.6), clip=face)  # fmt: skip
    if style.wrinkles >= 1:  # a bare forehead
        for y, half in ((0.245, 0.075), (0.278, 0.095)):
            y -= 0.010 * pose.brow
            p = [[-half, y + 0.006], [0, y - 0.004], [half, y + 0.006]]
            curve = view.head(head.surface(spline(p, 24)))
            canvas.stroke(curve, 0.0066 * style.wrinkles, mix(style.skin_shade, style.ink, 0.2),
                          taper=(0.4, 0.4), clip=face)  # fmt: skip
