"""Outlines as smooth paths: rings of many points become a few cubic Bézier curves each.

Least-squares fitting after Schneider, "An Algorithm for Automatically Fitting Digitized Curves"
(Graphics Gems, 1990), of all segments of a drawing at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toonify.portrait.shapes import Ring

Points = NDArray[np.float64]
Indices = NDArray[np.intp]

TOLERANCE = 0.3  # px of the drawing between outline and path
STRAIGHT = 0.05  # px that a line may bulge
STEP = 2.0  # px between the points that are fitted, at most
REACH = 1.2  # px to either side that a tangent is measured over
CORNER = np.cos(np.deg2rad(40))  # sharper turns within that reach stay sharp
REFITS = 3  # rounds of fitting and moving each point to where the curve is nearest


@dataclass(frozen=True, eq=False)
class Path:
    """A closed path: a segment from each node to the next one, the last back to the first.

    Args:
        nodes: (N, 2) x, y.
        controls: (N, 2, 2), the two control points of the segment that begins at each node.
        straight: (N,) whether that segment is a line.
    """

    nodes: Points
    controls: Points
    straight: NDArray[np.bool_]


def fit_shapes(
    shapes: Sequence[Sequence[Ring]], *, tolerance: float = TOLERANCE
) -> list[list[Path]]:
    """For each shape, a path for each of its rings (N, 2) that encloses anything.

    Args:
        tolerance: px that a path may stray from its ring's points.
    """
    result: list[list[Path]] = [[] for _ in shapes]
    owners, outlines = [], []
    for owner, rings in enumerate(shapes):
        for ring in rings:
            if (outline := _measure(ring)) is not None:
                owners.append(owner)
                outlines.append(outline)
    if outlines:
        for owner, path in zip(owners, _fit_outlines(outlines, tolerance), strict=True):
            result[owner].append(path)
    return result


def _fit_outlines(outlines: Sequence[_Outline], tolerance: float) -> list[Path]:
    starts = np.cumsum([0, *(len(o.points) for o in outlines[:-1])])
    points = np.concatenate([o.points for o in outlines])
    along = np.concatenate([o.along for o in outlines])
    leaving = np.concatenate([o.leaving for o in outlines])
    arriving = np.concatenate([o.arriving for o in outlines])
    first = np.concatenate([o.nodes[:-1] + s for o, s in zip(outlines, starts, strict=True)])
    last = np.concatenate([o.nodes[1:] + s for o, s in zip(outlines, starts, strict=True)])
    found: list[tuple[Indices, Points, NDArray[np.bool_]]] = []
    while len(first):
        controls, error, worst, bulge = _fit(points, along, leaving, arriving, first, last)
        single = last - first <= 1
        done = (error <= tolerance) | single
        found.append((first[done], controls[done], (bulge <= STRAIGHT)[done] | single[done]))
        a, b, middle = first[~done], last[~done], worst[~done]
        first, last = np.concatenate([a, middle]), np.concatenate([middle, b])
    at = np.concatenate([part[0] for part in found])
    order = np.argsort(at)
    at = at[order]
    controls = np.concatenate([part[1] for part in found])[order]
    straight = np.concatenate([part[2] for part in found])[order]
    cuts = np.searchsorted(at, starts[1:])
    return [
        Path(nodes, c, s)
        for nodes, c, s in zip(
            np.split(points[at], cuts),
            np.split(controls, cuts),
            np.split(straight, cuts),
            strict=True,
        )
    ]


@dataclass(frozen=True, eq=False)
class _Outline:
    """A closed polyline, its first point repeated as the last, which are a node both."""

    points: Points
    along: Points  # (N,) px from the start
    leaving: Points  # (N, 2) unit tangents after each point
    arriving: Points  # and before it; another one only at corners
    nodes: Indices  # where segments have to begin, the last point too


def _measure(ring: Ring) -> _Outline | None:
    points = np.asarray(ring, np.float64)
    points = points[(points != np.roll(points, 1, 0)).any(1)]
    if len(points) < 3:
        return None
    points = _subdivided(np.concatenate([points, points[:1]]))
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    length = float(along[-1])
    reach = min(REACH, length / 12)

    def at(place: Points) -> Points:
        return np.stack([np.interp(place, along, points[:, k], period=length) for k in (0, 1)], 1)

    place = along[:-1]
    after = _unit(at(place + reach) - points[:-1])
    before = _unit(points[:-1] - at(place - reach))
    turn = (after * before).sum(1)
    corner = turn < CORNER
    # of neighbors that see the same corner, the one where it turns most
    for other in (1, -1):
        beside = np.abs(np.roll(place, other) - place)
        near = np.minimum(beside, length - beside) < reach
        sharper = np.roll(turn, other) < turn
        corner &= ~(near & sharper)
    middle = _unit(after + before)
    smooth = ~corner[:, None]
    leaving, arriving = np.where(smooth, middle, after), np.where(smooth, middle, before)
    nodes = np.flatnonzero(corner)
    if len(nodes) == 0:
        nodes = np.array([0])
    shift = int(nodes[0])
    points = np.roll(points[:-1], -shift, 0)
    leaving, arriving = np.roll(leaving, -shift, 0), np.roll(arriving, -shift, 0)
    along = np.append((np.roll(place, -shift) - place[shift]) % length, length)
    nodes = nodes - shift
    if len(nodes) == 1:  # a curve from a point to itself has no direction
        nodes = np.array([0, int(np.searchsorted(along, length / 2))])
    return _Outline(
        np.concatenate([points, points[:1]]),
        along,
        np.concatenate([leaving, leaving[:1]]),
        np.concatenate([arriving, arriving[:1]]),
        np.append(nodes, len(points)),
    )


def _subdivided(points: Points) -> Points:
    """With points added where two are more than `STEP` apart."""
    gaps = np.hypot(*np.diff(points, axis=0).T)
    parts = np.maximum(np.ceil(gaps / STEP), 1).astype(np.intp)
    first = np.repeat(np.arange(len(parts)), parts)
    share = (np.arange(len(first)) - np.repeat(np.cumsum(parts) - parts, parts)) / parts[first]
    inner = points[first] + (points[first + 1] - points[first]) * share[:, None]
    return np.concatenate([inner, points[-1:]])


def _unit(vectors: Points) -> Points:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9))


def _fit(
    points: Points,
    along: Points,
    leaving: Points,
    arriving: Points,
    first: Indices,
    last: Indices,
) -> tuple[Points, Points, Indices, Points]:
    """One curve for each run of points from `first` to `last`.

    Returns:
        controls (N, 2, 2), the largest distance of a point (N,), the inner point where it is, and
        how far the points bulge from a line (N,).
    """
    sizes = last - first + 1
    offsets = np.cumsum(sizes) - sizes
    run = np.repeat(np.arange(len(first)), sizes)
    index = np.arange(len(run)) - offsets[run] + first[run]
    p = points[index]
    start, end = points[first], points[last]
    length = np.maximum(along[last] - along[first], 1e-9)
    u = (along[index] - along[first][run]) / length[run]
    t1, t2 = leaving[first], -arriving[last]
    controls: Any = None
    for left in range(REFITS)[::-1]:
        controls = _solve(p, u, run, offsets, start, end, t1, t2, length)
        distance = _distance(p, u, run, start, end, controls)
        if left:
            u = _nearest(p, u, run, start, end, controls)
    inner = distance.copy()
    inner[offsets] = inner[offsets + sizes - 1] = -1
    error = np.maximum.reduceat(distance, offsets)
    # the first inner point that is as far off as the worst one
    peak = np.maximum.reduceat(inner, offsets)
    hits = np.flatnonzero(inner >= peak[run])
    worst = index[hits[np.searchsorted(run[hits], np.arange(len(first)))]]
    worst = np.clip(worst, first + 1, np.maximum(last - 1, first + 1))
    chord = _unit(end - start)
    rel = p - start[run]
    across = np.abs(rel[:, 0] * chord[run, 1] - rel[:, 1] * chord[run, 0])
    return controls, error, worst, np.maximum.reduceat(across, offsets)


def _bernstein(u: Points) -> tuple[Points, Points, Points, Points]:
    v = 1 - u
    return v**3, 3 * u * v**2, 3 * u**2 * v, u**3


def _solve(
    p: Points,
    u: Points,
    run: Indices,
    offsets: Indices,
    start: Points,
    end: Points,
    t1: Points,
    t2: Points,
    length: Points,
) -> Points:
    """Control points along the end tangents with the least squared distances."""
    b0, b1, b2, b3 = _bernstein(u)
    rest = p - start[run] * (b0 + b1)[:, None] - end[run] * (b2 + b3)[:, None]

    def total(values: Points) -> Points:
        return np.asarray(np.add.reduceat(values, offsets))

    c11, c22 = total(b1 * b1), total(b2 * b2)
    c12 = total(b1 * b2) * (t1 * t2).sum(1)
    x1 = total(b1 * (rest * t1[run]).sum(1))
    x2 = total(b2 * (rest * t2[run]).sum(1))
    det = c11 * c22 - c12**2
    safe = np.where(np.abs(det) < 1e-9, 1.0, det)
    a1, a2 = (x1 * c22 - x2 * c12) / safe, (x2 * c11 - x1 * c12) / safe
    # arms that run backwards or beyond the curve's length make loops
    good = (np.abs(det) >= 1e-9) & (np.minimum(a1, a2) > 0.02 * length)
    good &= np.maximum(a1, a2) < length
    a1, a2 = np.where(good, a1, length / 3), np.where(good, a2, length / 3)
    return np.stack([start + t1 * a1[:, None], end + t2 * a2[:, None]], 1)


def _curve(u: Points, run: Indices, start: Points, end: Points, controls: Points) -> Points:
    b0, b1, b2, b3 = (b[:, None] for b in _bernstein(u))
    return np.asarray(
        start[run] * b0 + controls[run, 0] * b1 + controls[run, 1] * b2 + end[run] * b3
    )


def _distance(
    p: Points, u: Points, run: Indices, start: Points, end: Points, controls: Points
) -> Points:
    return np.asarray(np.linalg.norm(_curve(u, run, start, end, controls) - p, axis=1))


def _nearest(
    p: Points, u: Points, run: Indices, start: Points, end: Points, controls: Points
) -> Points:
    """One Newton step of each point's parameter towards the nearest point of its curve."""
    v = (1 - u)[:, None]
    w = u[:, None]
    q0, q1, q2, q3 = start[run], controls[run, 0], controls[run, 1], end[run]
    away = _curve(u, run, start, end, controls) - p
    speed = 3 * ((q1 - q0) * v**2 + 2 * (q2 - q1) * v * w + (q3 - q2) * w**2)
    bend = 6 * ((q2 - 2 * q1 + q0) * v + (q3 - 2 * q2 + q1) * w)
    slope = (speed * speed).sum(1) + (away * bend).sum(1)
    step = (away * speed).sum(1) / np.where(np.abs(slope) < 1e-9, 1.0, slope)
    return np.clip(u - np.where(slope > 1e-9, step, 0.0), 0, 1)
