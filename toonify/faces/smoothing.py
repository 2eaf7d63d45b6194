"""Landmarks and codes made steady in time, without lag: each value is fitted on its neighbours
before and after. (The One-Euro filter, Casiez et al., CHI 2012, knows only those before, and lags
behind fast motion.)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toonify.faces.types import Face, Points, f32

FULL = 0.11  # seconds, the fit's width (standard deviation) at strength 1


def width_of(strength: float, fps: float) -> float:
    """Standard deviation in frames for `strength` 0..1."""
    return FULL * strength * fps


def reach_of(width: float, most: int) -> int:
    """Frames before and after that take part."""
    return min(int(np.ceil(2.5 * width)), most)


def weights(at: int, frames: Points, width: float) -> Points:
    """Gaussian weights of `frames` (indices) around `at`."""
    if width <= 0:
        return f32(frames == at)
    return f32(np.exp(-0.5 * ((frames - at) / width) ** 2))


def smoothed_face(faces: Mapping[int, Face], at: int, *, width: float, reach: int) -> Face | None:
    """The face at frame `at`: a line through time fitted on the points of the frames around it.

    Args:
        faces: what was measured, by frame; frames may be missing.
        width: of the Gaussian weights, frames; 0 takes what was measured.
        reach: frames before and after that may take part.

    Returns:
        None when it was seen neither at `at` nor both before and after it.
    """
    near = sorted(frame for frame in faces if abs(frame - at) <= max(reach, 2))
    if not near or (at not in faces and not near[0] < at < near[-1]):
        return None
    with68 = all(faces[frame].points68 is not None for frame in near)
    rows = []
    for frame in near:
        face = faces[frame]
        points68 = face.points68 if with68 and face.points68 is not None else np.zeros((0, 2))
        rows.append(np.concatenate([face.box, face.points5.ravel(), points68.ravel()]))
    table, times = np.stack(rows).astype(np.float64), f32(near)
    measured = at in faces
    if width <= 0 and measured:
        return faces[at]
    weight = weights(at, times, max(width, 0.7)).astype(np.float64)
    values = _line(table, times.astype(np.float64) - at, weight)
    closest = faces[min(near, key=lambda frame: abs(frame - at))]
    return replace(
        closest,
        box=f32(values[:4]),
        points5=f32(values[4:14].reshape(5, 2)),
        points68=f32(values[14:].reshape(68, 2)) if with68 else None,
    )


def _line(table: np.ndarray, times: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The value at time 0 of the weighted line through rows of `table`."""
    total = weight.sum()
    middle = (weight * times).sum() / total
    mean = (weight[:, None] * table).sum(0) / total
    spread = (weight * (times - middle) ** 2).sum()
    if spread < 1e-9:
        return mean
    slope = (weight[:, None] * (times - middle)[:, None] * table).sum(0) / spread
    return mean - slope * middle
