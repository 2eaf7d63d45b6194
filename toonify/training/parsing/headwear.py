"""Hats, caps, scarves, turbans, helmets and bands drawn onto faces, with exact masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from toonify.faces.mesh import head_pose
from toonify.faces.parsing import LABELS
from toonify.faces.types import RGB, Points, f32
from toonify.training.parsing.fabric import fabric, put, rounded

KINDS = ("beanie", "cap", "brim", "turban", "helmet", "band", "scarf", "hood")
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
_HEAD = tuple(LABELS.index(name) for name in ("skin", "hair", "ear", "brow", "eye", "headwear"))
_HAIR = LABELS.index("hair")


@dataclass(frozen=True, eq=False)
class _HeadAxes:
    """Pixels in the head's own axes, in widths of the face: x right, y up from the brows."""

    x: Points
    y: Points
    width: float
    turn: float  # + = the face looks to the right


def draw_headwear(
    rgb: RGB, points3d: Points, labels: np.ndarray, source: RGB, rng: np.random.Generator
) -> tuple[RGB, np.ndarray]:
    """Something on the head of a face (S, S, 3) with labels (S, S) → picture and mask (S, S) bool.

    Args:
        points3d: (468, 3) the mesh, px.
        source: picture that stuff is cut from.
    """
    side = rgb.shape[0]
    frame = _head_frame(points3d, side)
    head = np.isin(labels, _HEAD)
    kind = str(rng.choice(KINDS, p=[0.2, 0.17, 0.13, 0.11, 0.09, 0.1, 0.14, 0.06]))
    rim = rng.uniform(0.03, 0.32) - rng.uniform(-0.15, 0.9) * frame.x**2  # the lower border
    rim = rim + rng.normal(0, 0.06) * frame.x
    x = frame.x + 0.12 * frame.turn
    wide, tall = rng.uniform(0.56, 0.68), rng.uniform(0.62, 0.95)
    dome = (x / wide) ** 2 + (np.clip(frame.y, 0, None) / tall) ** 2 < 1
    above = frame.y > rim
    skull = (x / 0.52) ** 2 + (np.clip(frame.y, 0, None) / tall) ** 2 < 1
    crown = _hull((head & dome & above) | (skull & above & (frame.y < 0.55)))
    out = f32(rgb)
    parts: list[Points] = []
    if kind in ("scarf", "hood"):
        parts.append(_cloak(points3d, labels, frame, kind == "hood", rng))
    elif kind == "band":
        high = rng.uniform(0.06, 0.3)
        start = rim + rng.uniform(0, 0.25)
        band = (frame.y > start) & (frame.y < start + high) & _grown(head, 2)
        parts.append(_soft(band & (np.abs(x) < 0.75)))
    else:
        grow = {"turban": rng.uniform(8, 26), "helmet": rng.uniform(8, 20)}.get(
            kind, rng.uniform(1, 9)
        )
        shape = _grown(crown, grow) & (frame.y > rim - 0.01)
        if kind == "turban" and rng.random() < 0.6:  # wound to a point over the brow
            shape &= frame.y > rim + 0.12 - 0.35 * np.abs(x)
        if kind == "beanie" and rng.random() < 0.2:
            top = frame.y[shape].max() if shape.any() else 1.0
            shape |= (x**2 + (frame.y - top - 0.06) ** 2) < rng.uniform(0.1, 0.2) ** 2
        if kind == "helmet" and rng.random() < 0.6:  # straps before the ears
            strap = np.abs(np.abs(x) - (0.5 - 0.12 * np.clip(-frame.y, 0, 1.2))) < 0.022
            shape |= strap & (frame.y < rim) & (frame.y > -0.95)
        parts.append(_soft(shape))
        if kind in ("cap", "brim"):
            aside = 0.75 * frame.turn if kind == "cap" else 0.0
            half = rng.uniform(0.42, 0.6) if kind == "cap" else rng.uniform(0.8, 1.4)
            deep = rng.uniform(0.06, 0.3) if kind == "cap" else rng.uniform(0.08, 0.34)
            level = rim + (0.0 if kind == "cap" else rng.uniform(-0.02, 0.1))
            visor = ((x - aside) / half) ** 2 + ((frame.y - level) / deep) ** 2 < 1
            if kind == "cap" and rng.random() < 0.85:
                visor &= frame.y < level + 0.03
            if not (kind == "cap" and rng.random() < 0.15):  # or worn back to front
                parts.append(_soft(visor))
    stuff = fabric(side, source, rng, folds=0.9 if kind in ("turban", "scarf") else 0.35)
    mask = np.zeros((side, side), np.float32)
    for number, part in enumerate(parts):
        shade = rounded(part, rng, reach=rng.uniform(0.08, 0.45) * frame.width)
        colors = stuff
        if number and rng.random() < 0.4:
            colors = fabric(side, source, rng, folds=0.2)
        if number:
            shade = shade * rng.uniform(0.5, 1.0)
        colors = colors * shade[..., None]
        if kind == "helmet" and rng.random() < 0.8:
            spot = np.exp(-(((x - rng.normal(0, 0.25)) / 0.12) ** 2) - ((frame.y - 0.7) / 0.1) ** 2)
            colors = colors + 120 * spot[..., None]
        out = put(out, part, f32(np.clip(colors, 0, 255)), rng, shadow=rng.uniform(0.1, 0.6))
        mask = np.maximum(mask, part)
    if kind == "beanie" and rng.random() < 0.7:  # its fold
        line = np.abs(frame.y - rim - rng.uniform(0.12, 0.25)) < 0.012
        out = out * (1 - 0.35 * (line & (mask > 0.5)))[..., None]
    return np.clip(np.rint(out), 0, 255).astype(np.uint8), mask > 0.5


def _head_frame(points3d: Points, side: int) -> _HeadAxes:
    rotation = head_pose(points3d)[0]
    right = rotation[:2, 0] / max(float(np.linalg.norm(rotation[:2, 0])), 1e-6)
    up = np.array([right[1], -right[0]])
    points = points3d[:, :2]
    width = float(np.linalg.norm(points3d[454] - points3d[234]))
    origin = (points[105] + points[334]) / 2
    aside = float((points[[234, 454]].mean(0) - origin) @ right)
    origin = origin + 0.5 * aside * right
    y, x = np.mgrid[:side, :side].astype(np.float32)
    away = np.dstack([x, y]) - f32(origin)
    turn = -float(rotation[0, 2])
    return _HeadAxes(f32(away @ f32(right)) / width, f32(away @ f32(up)) / width, width, turn)


def _cloak(
    points3d: Points, labels: np.ndarray, frame: _HeadAxes, hood: bool, rng: np.random.Generator
) -> Points:
    """A scarf around the face, or a hood: all but an opening."""
    side = labels.shape[0]
    oval = points3d[list(OVAL), :2]
    center = oval.mean(0)
    size = rng.uniform(1.0, 1.14) if hood else rng.uniform(0.86, 0.99)
    opening = np.zeros((side, side), np.uint8)
    cv2.fillPoly(
        opening, [np.round((center + (oval - center) * size) * 16).astype(np.int32)], 1, 8, 4
    )
    top = frame.y < (rng.uniform(0.3, 0.6) if hood else rng.uniform(0.12, 0.32))
    inner = (opening > 0) & top
    x = frame.x + 0.1 * frame.turn
    loose = rng.uniform(0.0, 0.1) + (0.08 if hood else 0.0)
    down = np.clip(-frame.y - 0.3, 0, None)
    wide = 0.6 + loose + rng.uniform(0.02, 0.5) * down
    tall = rng.uniform(0.68, 0.85) + loose
    outer = np.where(
        frame.y > 0,
        (x / (0.6 + loose)) ** 2 + (frame.y / tall) ** 2 < 1,
        np.abs(x) < wide,
    )
    end = -1.2 - rng.uniform(0.0, 1.5)
    outer &= (frame.y > end) | bool(rng.random() < 0.5)
    if not hood:
        outer = outer | _grown(labels == _HAIR, 2)
    shape = outer & ~inner
    if not hood:  # fringe hair below the scarf's border is hidden too
        shape |= (labels == _HAIR) & (frame.y > 0.2)
    return _soft(shape)


def _hull(mask: np.ndarray) -> np.ndarray:
    points = np.argwhere(mask)[:, ::-1]
    out = np.zeros(mask.shape, np.uint8)
    if len(points) > 10:
        cv2.fillConvexPoly(out, cv2.convexHull(points.astype(np.int32)), 1)
    return out > 0


def _grown(mask: np.ndarray, px: float) -> np.ndarray:
    size = 2 * round(px) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def _soft(mask: np.ndarray) -> Points:
    blurred = cv2.GaussianBlur(f32(mask), (0, 0), 1.6)
    return f32(np.clip((blurred - 0.5) * 2.2 + 0.5, 0, 1))
