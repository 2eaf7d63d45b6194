"""Outlines of varying width along the borders of regions, and the line of the jaw."""

from __future__ import annotations

import cv2
import numpy as np

from toonify.portrait.fields import Field, blur, f32, smoothstep
from toonify.portrait.scene import Head
from toonify.portrait.shapes import cut, spline, stroke
from toonify.portrait.subject import JAW


def direction_weight(distance: Field) -> Field:
    """Outlines are heavier below and to the right, as if light came from above left."""
    g = blur(distance, 2.0)
    gx = cv2.Sobel(g, cv2.CV_32F, 1, 0, ksize=3) / 8
    gy = cv2.Sobel(g, cv2.CV_32F, 0, 1, ksize=3) / 8
    return f32(0.8 + 0.5 * np.clip(-(gx * 0.5 + gy * 0.75), -0.6, 1))


def outline(distance: Field, width: Field | float) -> Field:
    """Level set of a line of `width` px along a region's border."""
    return f32(np.asarray(width) / 2 - np.abs(distance))


def window_fade(head: Head) -> Field:
    """1, falling to 0 towards those sides of the window that are not sides of the picture: what
    goes on outside it has no border there."""
    width, height = head.size
    reach = 14 * head.unit
    fade_x, fade_y = np.ones(width, np.float32), np.ones(height, np.float32)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    left, top = head.offset
    right = left + (width - 1) * head.scale
    bottom = top + (height - 1) * head.scale
    slack = 1.5 + head.scale
    if left > slack:
        fade_x *= smoothstep(x, 2, reach)
    if right < head.drawing.width - 1 - slack:
        fade_x *= smoothstep(x[::-1], 2, reach)
    if top > slack:
        fade_y *= smoothstep(y, 2, reach)
    if bottom < head.drawing.height - 1 - slack:
        fade_y *= smoothstep(y[::-1], 2, reach)
    return f32(fade_y[:, None] * fade_x[None, :])


def border_share(head: Head, skin: Field) -> Field:
    """1, falling to 0 where skin goes on under no more than another name: at a collarbone, where
    the parser's neck ends."""
    u = head.unit
    size = (max(head.size[0] // 3, 8), max(head.size[1] // 3, 8))

    def small(field: Field) -> Field:
        return f32(cv2.resize(field, size, interpolation=cv2.INTER_AREA))

    inside = small(f32(np.clip(skin / 2, 0, 1)))
    others = np.clip(head.parts.person * 2 - 1, 0, 1) * np.clip(1 - head.parts.hair * 2, 0, 1)
    outside = small(f32(others * np.clip(-skin / 2, 0, 1)))
    lab, sigma = small(head.lab), 2.0 * u
    share_in, share_out = blur(inside, sigma), blur(outside, sigma)
    step = np.zeros(size[::-1], np.float32)
    for i in range(3):
        one = blur(lab[..., i] * inside, sigma) / (share_in + 1e-3)
        step += (one - blur(lab[..., i] * outside, sigma) / (share_out + 1e-3)) ** 2
    alike = 1 - smoothstep(np.sqrt(step), 7, 15)
    fade = 1 - alike * smoothstep(share_out, 0.05, 0.2)
    return f32(cv2.resize(f32(fade), head.size, interpolation=cv2.INTER_LINEAR))


def paint_head_lines(head: Head, skin: Field, hair: Field) -> None:
    """Skin's outline, the jaw before the neck, and the hair's outline."""
    if not head.style.line:
        return
    u, palette = head.unit, head.palette
    width = head.style.line * u**0.6 * window_fade(head)
    off_hair = np.clip(-hair / 2 + 0.5, 0, 1) * border_share(head, skin)
    head.add(
        cut(outline(skin, width * 0.85 * direction_weight(skin) * off_hair), area=10 * u),
        palette.ink,
    )
    jaw = spline(head.face.points[list(JAW)], 90)
    t = np.linspace(0, 1, len(jaw))
    press = np.interp(t, [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1], [0, 0.6, 1.1, 1.35, 1.1, 0.6, 0])
    at = np.clip(np.rint(jaw).astype(int), 0, [head.size[0] - 1, head.size[1] - 1])
    below = blur(head.parts.neck, 5 * u)[at[:, 1], at[:, 0]]
    widths = press * head.style.line * u**0.6 * 0.8 * smoothstep(below, 0.1, 0.35)
    widths = widths * smoothstep(-hair[at[:, 1], at[:, 0]], -1, 2)
    run = np.flatnonzero(widths > 0.2)
    if len(run) > 6:
        head.add([stroke(jaw[run[0] : run[-1] + 1], widths[run[0] : run[-1] + 1])], palette.ink)
    if palette.hair_ink is not None:
        head.add(cut(outline(hair, width * direction_weight(hair)), area=10 * u), palette.hair_ink)
