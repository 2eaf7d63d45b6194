"""The mouth, from a closed line to an open laugh."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import Array, Canvas, ellipse, mix, spline
from .head import Head
from .pose import MOUTH_Y, View

_M = np.linspace(-1, 1, 41)
_TEETH = (250, 248, 244)


class Mouth:
    """Lip curves of one pose in face coordinates."""

    def __init__(self, head: Head) -> None:
        style, pose = head.style, head.pose
        smile, opening = pose.smile, pose.mouth_open
        happy, sad = max(smile, 0.0), max(-smile, 0.0)
        wide, pursed = max(pose.mouth_width, 0.0), max(-pose.mouth_width, 0.0)
        self.half = style.mouth_w * (1 + 0.24 * happy - 0.08 * sad + 0.18 * wide)
        self.half *= (1 - 0.46 * pursed) * (1 - 0.10 * opening * (1 - wide))
        corner = -0.056 * happy**0.75 + 0.042 * sad
        grin = np.clip((happy - 0.30) / 0.70, 0, 1) ** 1.4 * (1 - pursed)
        drop = 0.120 * opening + 0.046 * grin * (1 - 0.6 * opening)
        self.gap = drop + 0.014 * opening
        bow = 0.0009 * (np.exp(-((_M / 0.16) ** 2)) - np.exp(-(((np.abs(_M) - 0.34) / 0.2) ** 2)))
        base = MOUTH_Y + corner * np.abs(_M) ** 1.9 - 0.10 * corner
        base = base + 0.006 * (1 - np.abs(_M) ** 1.9)  # at rest a hint of a smile
        arch = np.clip(1 - np.abs(_M) ** 2.4, 0, 1) ** 0.75
        self.x = self.half * _M
        self.upper = base - (0.014 + 0.030 * pursed) * opening * arch + bow * (1 - 0.5 * opening)
        self.lower = base + drop * arch ** (1 - 0.3 * pursed) + bow * np.clip(1 - drop / 0.02, 0, 1)
        self.lower = np.maximum(self.lower, self.upper)

    @property
    def corners(self) -> Array:
        """(2, 2) face coordinates of the left and right corner."""
        return np.array([[self.x[0], self.upper[0]], [self.x[-1], self.upper[-1]]])


def draw_mouth(canvas: Canvas, view: View, head: Head) -> None:
    """Lips, inside, teeth, tongue and lines."""
    style, pose = head.style, head.pose
    m = Mouth(head)

    def put(x: Array, y: Array) -> Array:
        return view.head(head.surface(np.column_stack([x, y])))

    full = style.lip_full * (1 - 0.25 * max(pose.smile, 0)) * (1 + 0.2 * max(-pose.mouth_width, 0))
    swell = np.clip(1 - np.abs(_M) ** 2.2, 0, 1) ** 0.8
    if full > 0:
        crown = full * 0.72 * (swell - 0.22 * np.exp(-((_M / 0.14) ** 2)))
        above = np.concatenate([put(m.x, m.upper - crown), put(m.x[::-1], m.upper[::-1] + 0.002)])
        belly = np.clip(1 - np.abs(_M * 1.06) ** 2.6, 0, 1) ** 0.8
        below = np.concatenate(
            [put(m.x, m.lower - 0.002), put(m.x[::-1], (m.lower + full * belly)[::-1])]
        )
        canvas.fill(below, style.lip)
        canvas.fill(above, style.lip_depth)
        shine = ellipse(0.012 * pose.light, 0.0, m.half * 0.28, full * 0.13, 20)
        spot = m.lower[20] + full * 0.40
        canvas.fill(put(shine[:, 0], shine[:, 1] + spot), mix(style.lip, (255, 255, 255), 0.4))
    inside = np.concatenate([put(m.x, m.upper), put(m.x[::-1], m.lower[::-1])])
    if m.gap > 0.002:
        clip = canvas.mask([inside])
        canvas.fill(inside, mix((96, 22, 34), style.ink, 0.35))
        gap = m.lower[20] - m.upper[20]
        rise = max(0.0, gap - 0.030)
        e = ellipse(0, m.lower[20] + 0.022 - 0.36 * rise, m.half * 0.66, 0.034 + 0.16 * rise)
        canvas.fill_inside(put(e[:, 0], e[:, 1]), clip, (224, 104, 108))
        row = min(0.040, 0.58 * gap + 0.010 * max(pose.smile, 0))
        row *= 1 - 0.45 * max(-pose.mouth_width, 0.0)
        taper = row * np.clip(1 - np.abs(_M) ** 4, 0, 1) ** 0.5
        teeth = np.concatenate([put(m.x, m.upper - 0.004), put(m.x[::-1], (m.upper + taper)[::-1])])
        white = cv2.bitwise_and(canvas.mask([teeth]), clip)
        canvas.paint(white, _TEETH)
        if style.gap_tooth:
            notch = [
                [-0.0085, m.upper[20] - 0.004],
                [0.0085, m.upper[20] - 0.004],
                [0.0070, m.upper[20] + row + 0.01],
                [-0.0070, m.upper[20] + row + 0.01],
            ]
            q = np.asarray(notch)
            dark = cv2.bitwise_and(canvas.mask([put(q[:, 0], q[:, 1])]), white)
            canvas.paint(dark, mix((96, 22, 34), style.ink, 0.35))
    line = mix(style.ink, style.lip_depth, 0.15)
    canvas.stroke(put(m.x, m.lower), 0.0072, line, taper=(0.3, 0.3))
    reach = np.concatenate([[m.x[0] * 1.06], m.x, [m.x[-1] * 1.06]])
    tail = 0.006 * pose.smile
    heights = np.concatenate([[m.upper[0] - tail], m.upper, [m.upper[-1] - tail]])
    canvas.stroke(put(reach, heights), 0.0120, line, taper=(0.22, 0.22))
    fold = m.lower[20] + full + 0.024
    half = m.half * 0.34
    under = spline([[-half, fold - 0.002], [0, fold + 0.003], [half, fold - 0.002]], 16)
    canvas.stroke(put(under[:, 0], under[:, 1]), 0.0080, style.skin_shade, taper=(0.4, 0.4))
