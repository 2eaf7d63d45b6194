"""What a network drew, with flatter areas and sharper edges, and detail laid into it."""

from __future__ import annotations

import cv2
import numpy as np

from toonify.faces.types import RGB, Points
from toonify.portrait.backgrounds import resized
from toonify.portrait.fields import blur, smoothstep, to_lab
from toonify.portrait.shock_filter import shock_filter

ENLARGED = 2.5  # by how much a drawing is enlarged, for its edges to become sharp
FLATTENED = 4  # passes of the bilateral filter: narrow ones, which cost a fifth of wide ones
LEVELS = 14.0  # of 255: differences up to about that are leveled
EYE = 0.24  # of the distance between the eyes: half of what an eye takes
TEETH = 7.0  # CIELAB units by which teeth are lighter than they were seen
BORDER = 0.2  # of a part's side, over which it mixes with what it is laid into

Box = tuple[int, int, int, int]  # left, top, right, bottom, px


def crisp(drawn: RGB, times: float = ENLARGED) -> RGB:
    """Flatten a drawing (H, W, 3), and enlarge it so many times, with sharp edges."""
    flat = drawn
    for _ in range(FLATTENED):
        flat = np.asarray(cv2.bilateralFilter(flat, 5, LEVELS, 3.0), np.uint8)
    large, steps = _enlarged(flat, times), round(1.6 * times)
    return shock_filter(large, sigma=0.8 * times, spread=1.2 * times, steps=steps)


def crisp_eyes(drawn: RGB) -> RGB:
    """As `crisp`, of eyes: less sharp, so that irises keep their detail."""
    return shock_filter(_enlarged(drawn, 2.0), sigma=1.2, steps=2)


def box_around(points: Points, reach: float, size: tuple[int, int]) -> Box | None:
    """The box that reaches so far beyond one point (2,) or all of several (N, 2), each way, within
    a picture (width, height); None where next to nothing of it lies in there."""
    points = points.reshape(-1, 2)
    x0, y0 = np.maximum(np.floor(points.min(0) - reach), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(points.max(0) + reach), size).astype(int)
    return (int(x0), int(y0), int(x1), int(y1)) if min(x1 - x0, y1 - y0) >= 8 else None


def scaled_box(box: Box, scale: float) -> Box:
    """The same part of an enlarged picture."""
    left, top, right, bottom = (round(at * scale) for at in box)
    return left, top, right, bottom


def lay_in(picture: RGB, part: RGB, box: Box) -> None:
    """Put a part (h, w, 3) of any size into a box of a picture, with soft edges, in place."""
    height, width = box[3] - box[1], box[2] - box[0]
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    near = np.minimum(np.minimum(y, 1 - y)[:, None], np.minimum(x, 1 - x)[None])
    _mix(picture, part, box, smoothstep(near, 0, BORDER))


def lay_eyes_in(picture: RGB, part: RGB, box: Box, eyes: Points) -> None:
    """Put the eyes (2, 2) px of a part of any size into a box of a picture, in place."""
    y, x = np.mgrid[box[1] : box[3], box[0] : box[2]].astype(np.float32)
    radius = EYE * float(np.hypot(*(eyes[1] - eyes[0])))
    away = np.minimum(*(np.hypot(x - at[0], y - at[1]) for at in eyes)) / radius
    _mix(picture, part, box, 1 - smoothstep(away, 0.8, 1.3))


def tone_teeth(picture: RGB, photo: RGB, box: Box, mouth: Points) -> None:
    """Give teeth, which networks draw white, the photograph's tone, a little lighter, in place.

    Args:
        photo: of any size, what lies in the box.
        box: around the mouth.
        mouth: (2, 2) its corners, px of the picture.
    """
    view = picture[box[1] : box[3], box[0] : box[2]]
    width = max(float(np.hypot(*(mouth[1] - mouth[0]))), 1.0)
    lab, seen = to_lab(np.ascontiguousarray(view)), to_lab(resized(photo, view.shape[1::-1]))
    y, x = np.mgrid[box[1] : box[3], box[0] : box[2]].astype(np.float32)
    center = mouth.mean(0)
    away = np.hypot(x - center[0], y - center[1]) / width
    gray = np.hypot(lab[..., 1], lab[..., 2])
    teeth = smoothstep(lab[..., 0], 72, 84) * (1 - smoothstep(gray, 10, 18))
    share = blur(teeth * (1 - smoothstep(away, 0.55, 0.75)), 0.01 * width)
    own = np.dstack([blur(seen[..., i], 0.05 * width) for i in range(3)])
    own[..., 0] = np.minimum(own[..., 0] + TEETH, lab[..., 0])
    lab += (own - lab) * share[..., None]
    view[:] = np.clip(np.rint(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255), 0, 255)


def _mix(picture: RGB, part: RGB, box: Box, share: Points) -> None:
    view = picture[box[1] : box[3], box[0] : box[2]]
    above = np.ascontiguousarray(resized(part, (view.shape[1], view.shape[0])))
    view[:] = cv2.blendLinear(above, np.ascontiguousarray(view), share, 1 - share)


def _enlarged(rgb: RGB, times: float) -> RGB:
    return resized(rgb, (round(rgb.shape[1] * times), round(rgb.shape[0] * times)))
