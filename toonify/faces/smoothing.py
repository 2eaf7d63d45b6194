"""Landmarks and latents made steady in time, without lag: each value is fitted on its neighbors
before and after. (The One-Euro filter, Casiez et al., CHI 2012, knows only those before, and lags
behind fast motion.)"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toonify.faces.types import Face, Points, f32

FULL = 0.11  # seconds, the fit's width (standard deviation) at strength 1
CUTOFF = 2.5  # widths from which on frames count no more
NEXT = 2  # frames before and after that take part in any case
ALIKE = 2.0  # distance of two latents that are alike, in usual ones between neighboring frames


def width_of(strength: float) -> float:
    """Standard deviation in seconds for `strength` 0..1."""
    return FULL * strength


def neighbors(at: int, times: Mapping[int, float], *, width: float, reach: int) -> list[int]:
    """Frames that take part in the value at frame `at`, itself among them if it is in `times`.

    Args:
        times: seconds at which frames are shown; `at` must be in it, others may be missing.
        width: seconds.
        reach: frames before and after that may take part.
    """
    far = CUTOFF * width
    return sorted(
        frame
        for frame in times
        if abs(frame - at) <= NEXT
        or (abs(frame - at) <= reach and abs(times[frame] - times[at]) <= far)
    )


def weights(at: float, times: np.ndarray, width: float) -> np.ndarray:
    """Gaussian weights of `times` around `at`, all in seconds; the nearest has 1."""
    away = np.abs(np.asarray(times, np.float64) - at)
    if width <= 0:
        return (away <= away.min()).astype(np.float64)
    return np.asarray(np.exp(-0.5 * (away**2 - away.min() ** 2) / width**2))


def smoothed_face(
    faces: Mapping[int, Face], at: int, times: Mapping[int, float], *, width: float, reach: int
) -> Face | None:
    """The face at frame `at`: a line through time fitted on the points of the frames around it.

    Args:
        faces: what was measured, by frame; frames may be missing.
        times: seconds at which the frames are shown.
        width: of the Gaussian weights, seconds; 0 takes what was measured.
        reach: frames before and after that may take part.

    Returns:
        None when it was seen neither at `at` nor both before and after it.
    """
    measured = at in faces
    if width <= 0 and measured:
        return faces[at]
    known = {frame: times[frame] for frame in faces} | {at: times[at]}
    near = [f for f in neighbors(at, known, width=width, reach=reach) if f in faces]
    if not near or (not measured and not near[0] < at < near[-1]):
        return None
    with68 = all(faces[frame].points68 is not None for frame in near)
    rows = []
    for frame in near:
        face = faces[frame]
        points68 = face.points68 if with68 and face.points68 is not None else np.zeros((0, 2))
        rows.append(np.concatenate([face.box, face.points5.ravel(), points68.ravel()]))
    table, shown = np.stack(rows).astype(np.float64), np.array([times[frame] for frame in near])
    step = float(np.median(np.diff(shown))) if len(near) > 1 else 0.0
    weight = weights(times[at], shown, max(width, 0.7 * step))
    values = _line(table, shown - times[at], weight)
    closest = faces[min(near, key=lambda frame: abs(frame - at))]
    return replace(
        closest,
        box=f32(values[:4]),
        points5=f32(values[4:14].reshape(5, 2)),
        points68=f32(values[14:].reshape(68, 2)) if with68 else None,
    )


def smoothed_latent(
    latents: Mapping[int, Points], at: int, times: Mapping[int, float], *, width: float, reach: int
) -> Points:
    """A latent code averaged over the frames around, as far as theirs are alike: noise between
    frames goes, what shows for a few of them, as a blink does, stays.

    Args:
        latents: by frame; that of `at` must be there.
        times, width, reach: as in `smoothed_face`.
    """
    near = neighbors(at, {frame: times[frame] for frame in latents}, width=width, reach=reach)
    if width <= 0 or len(near) == 1:
        return latents[at]
    own = latents[at]
    weight = weights(times[at], np.array([times[frame] for frame in near]), width)
    away = np.array([float(np.linalg.norm(latents[frame] - own)) for frame in near])
    steps = [float(np.linalg.norm(latents[b] - latents[a])) for a, b in itertools.pairwise(near)]
    usual = ALIKE * float(np.median(steps))
    if usual > 0:
        weight = weight / (1 + (away / usual) ** 4)
    weight = weight / weight.sum()
    return f32(sum(w * latents[frame] for w, frame in zip(weight, near, strict=True)))


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
