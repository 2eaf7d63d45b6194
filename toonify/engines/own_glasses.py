"""Glasses and sunglasses on a drawn character, as its person wears some.

A generator that has drawn few glasses paints rings under the eyes. Drawn as curves, where the
drawing's own face mesh says, they are glasses.
"""

from __future__ import annotations

import cv2
import numpy as np

from toonify.faces.mesh import FaceMesh
from toonify.faces.spectacles import draw_frames
from toonify.faces.types import RGB, Points, f32

THICK, DROP = 0.045, 0.05  # of the frame, of the lenses below the eyes; in distances of the eyes
RIM = (38, 32, 36)
DARK = ((28, 25, 32), (92, 78, 82))  # of dark lenses, above and below
SEEN = 0.94  # opacity of dark lenses


def with_glasses(toon: RGB, mesh: FaceMesh, *, worn: float, dark: float) -> RGB:
    """A drawing (S, S, 3) uint8 of an aligned face with glasses on.

    Args:
        worn: how surely there are any, 0..1, their opacity.
        dark: that they are sunglasses, likewise.
    """
    side = toon.shape[0]
    frames = draw_frames(mesh.measure(toon).points3d, side, thick=THICK, drop=DROP)
    out = f32(toon)
    if dark > 0:
        share = frames.lenses[..., None] * np.float32(SEEN * worn * dark)
        out += (_shaded(frames.lenses) - out) * share
    out += (f32(RIM) - out) * (frames.frame[..., None] * np.float32(worn))
    return np.asarray(np.clip(np.rint(out), 0, 255), np.uint8)


def _shaded(lenses: Points) -> Points:
    """(S, S, 3): dark lenses, lighter below, with a gleam across."""
    rows = np.flatnonzero(lenses.max(1) > 0.5)
    top, bottom = (int(rows[0]), int(rows[-1])) if len(rows) else (0, 1)
    y, x = np.mgrid[: lenses.shape[0], : lenses.shape[1]].astype(np.float32)
    down = np.clip((y - top) / max(bottom - top, 1), 0, 1)[..., None]
    color = f32(DARK[0]) + (f32(DARK[1]) - f32(DARK[0])) * down**1.5
    height = max(bottom - top, 1)
    across = np.mod(x + 0.7 * y, 2.6 * height) / height
    gleam = np.clip(1 - np.abs(across - 0.6) / 0.18, 0, 1)[..., None]
    return f32(
        color + 40 * cv2.GaussianBlur(f32(gleam), (0, 0), max(height * 0.02, 0.5))[..., None]
    )
