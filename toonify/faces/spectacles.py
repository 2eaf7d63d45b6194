"""Glasses drawn where a face's mesh has eyes, nose and ears."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.faces.mesh import head_pose
from toonify.faces.types import Points, f32

LIDS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)  # of the mesh, around the image's left and right eye
CHEEKS = (127, 356)  # where temples pass the edge of the face
EARS = (234, 454)
# In distances of the eyes: half a lens, below the eye's middle, before it
WIDTH, DROP, FORWARD = 0.425, 0.07, 0.2
SCALE = 2  # drawn this much larger, for smooth edges


@dataclass(frozen=True, eq=False)
class Frames:
    """Opacities (S, S) in 0..1 of a pair of glasses: rims and bridge, temples, lenses."""

    frame: Points
    temples: Points
    lenses: Points


def draw_frames(points3d: Points, side: int, *, thick: float, drop: float = DROP) -> Frames:
    """Glasses in a square picture.

    Args:
        points3d: (468, 3) of the face's mesh, px of the picture.
        side: of the picture, px.
        thick: of the frame, in distances of the eyes.
        drop: of the lenses' middle below the eyes', likewise.

    Examples:
        >>> measures = FaceMesh(weights).measure(crop)
        >>> frames = draw_frames(measures.points3d, len(crop), thick=0.04)
    """
    points = f32((points3d + 0.5) * SCALE)
    rotation = head_pose(points)[0]
    right, down, inward = (rotation[:, i] for i in range(3))
    eyes = [points[list(lids)].mean(0) for lids in LIDS]
    apart = float(np.linalg.norm(eyes[1] - eyes[0]))
    outline, width = lens_outline(), max(1.5, thick * apart)
    large = (SCALE * side, SCALE * side)
    frame, temples, lenses = (np.zeros(large, np.uint8) for _ in range(3))
    inner, outer = [], []
    for at, eye in zip((-1, 1), eyes, strict=True):
        middle = eye + apart * (drop * down - FORWARD * inward)
        across = at * right + 0.12 * inward  # a frame bends around the face
        shape = middle + WIDTH * apart * (outline[:, :1] * across + outline[:, 1:] * down)
        cv2.fillPoly(lenses, [_fixed(shape)], 255, cv2.LINE_AA, 4)
        _stroke(frame, shape, width, closed=True)
        top = outline[:, 1] < -0.3
        order = np.argsort(outline[top][:, 0])
        _stroke(frame, shape[top][order] + 0.15 * width * down, 1.35 * width)
        inner.append(shape[_nearest(outline, (-1, -0.3))])
        outer.append(shape[_nearest(outline, (1, -0.42))])
    crest = (inner[0] + inner[1]) / 2 - apart * (0.09 * down + 0.03 * inward)
    t = np.linspace(0, 1, 16)[:, None]
    bridge = (1 - t) ** 2 * inner[0] + 2 * t * (1 - t) * crest + t**2 * inner[1]
    _stroke(frame, bridge, width)
    for at, hinge, cheek, ear in zip((-1, 1), outer, CHEEKS, EARS, strict=True):
        edge = points[cheek] + 0.04 * apart * at * right
        if (edge - hinge)[:2] @ right[:2] * at > 0:  # on the side that is seen
            behind = points[ear] + apart * (0.02 * at * right - 0.1 * down)
            _stroke(temples, np.stack([hinge, edge, behind]), 0.9 * width)
    parts = (
        f32(cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA)) / np.float32(255)
        for x in (frame, temples, lenses)
    )
    return Frames(*parts)


def lens_outline() -> Points:
    """(72, 2): x from the nose outward in -1..1, y down; a rounded rectangle, narrower below."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    x, y = (np.sign(t) * np.abs(t) ** 0.52 for t in (np.cos(angle), np.sin(angle)))
    x = x * (1 - 0.1 * np.clip(y, 0, 1))
    y = y - 0.12 * np.clip(x, 0, 1) ** 2 * (y < 0)  # corners go up a little
    return f32(np.stack([x, 0.76 * y], 1))


def _nearest(outline: Points, point: tuple[float, float]) -> int:
    return int(np.linalg.norm(outline - f32(point), axis=1).argmin())


def _fixed(points: Points) -> NDArray[np.int32]:
    return np.asarray(np.round(points[:, :2] * 16), np.int32)


def _stroke(mask: NDArray[np.uint8], points: Points, width: float, *, closed: bool = False) -> None:
    layer = np.zeros_like(mask)
    cv2.polylines(layer, [_fixed(points)], closed, 255, max(1, round(width)), cv2.LINE_AA, 4)
    np.maximum(mask, layer, out=mask)
