"""Curves as inline SVG: no script, no network, colors by the page's style sheet."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

import numpy as np

WIDTH, HEIGHT = 560, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 30
_POINTS = 400  # at most, a curve: more than the picture has room for
_SMOOTH_FROM = 24  # points from which on a running mean is drawn over the raw curve


def curves(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, axis: str) -> str:
    """Lines over a common axis → an `<svg>` element, with a legend where there are several.

    Values that aren't finite break a line. Long and noisy curves are drawn as their running mean,
    the values themselves faintly behind it; rare outliers may leave the frame. The vertical axis
    is logarithmic where everything is positive and spans more than a factor of 50.

    Args:
        series: name → (positions, values), equally long.
        axis: label of the horizontal one.
    """
    drawn = {name: _thinned(*points) for name, points in series.items()}
    raw = {name: np.array([values for _, values in points]) for name, points in drawn.items()}
    every = np.concatenate([values[np.isfinite(values)] for values in raw.values()])
    if not len(every):
        return ""
    positions = [x for points in drawn.values() for x, _ in points]
    x0, x1 = min(positions), max(positions)
    if x1 == x0:
        x0, x1 = x0 - 0.5, x1 + 0.5
    low, high = (
        float(np.quantile(every, q)) for q in ((0.01, 0.99) if len(every) > 50 else (0, 1))
    )
    log = low > 0 and high / low > 50
    if not log:
        margin = 0.06 * (high - low) or abs(high) * 0.1 or 0.5
        low, high = (0.0 if low >= 0 and low - margin < 0 else low - margin), high + margin

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x0) / (x1 - x0)
        if log:
            up = math.log(max(y, low * 1e-3) / low) / math.log(high / low)
        else:
            up = (y - low) / (high - low)
        up = min(3.0, max(-3.0, up))  # clipped by the frame anyway
        return (
            _LEFT + across * (WIDTH - _LEFT - _RIGHT),
            HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM),
        )

    parts = []
    for value in _log_ticks(low, high) if log else _ticks(low, high, 5):
        _, y = place(x0, value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for value in _ticks(x0, x1, 7):
        x, _ = place(value, high)
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - _BOTTOM + 15}" text-anchor="middle">{value:.4g}</text>'
        )
    frame = f'x="{_LEFT}" y="{_TOP}" width="{WIDTH - _LEFT - _RIGHT}"'
    parts.append(f'<rect class="frame" {frame} height="{HEIGHT - _TOP - _BOTTOM}"/>')
    parts.append(
        f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 3}" text-anchor="end">{html.escape(axis)}</text>'
    )
    box = (_LEFT, _TOP, WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM)
    parts.append(  # a picture in the picture, which cuts off what leaves the frame
        f'<svg x="{box[0]}" y="{box[1]}" width="{box[2]}" height="{box[3]}"'
        f' viewBox="{" ".join(map(str, box))}">'
    )
    for index, (name, points) in enumerate(drawn.items()):
        path = _path([place(x, y) if math.isfinite(y) else None for x, y in points])
        smooth = _smoothed(raw[name]) if len(points) >= _SMOOTH_FROM else None
        kind = "raw" if smooth is not None else "line"
        parts.append(f'<path class="{kind} c{index % 6}" d="{path}"/>')
        if smooth is not None:
            pairs = zip(points, smooth, strict=True)
            path = _path([place(x, s) if math.isfinite(s) else None for (x, _), s in pairs])
            parts.append(f'<path class="line c{index % 6}" d="{path}"/>')
        if len(points) == 1 and math.isfinite(points[0][1]):
            x, y = place(*points[0])
            parts.append(f'<circle class="c{index % 6}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
    parts.append("</svg>")
    if len(drawn) > 1:
        for index, name in enumerate(drawn):
            left = _LEFT + 10 + 110 * index
            y = _TOP + 14
            parts.append(
                f'<line class="line c{index % 6}" x1="{left}" x2="{left + 16}" y1="{y}" y2="{y}"/>'
                f'<text x="{left + 21}" y="{y + 4}">{html.escape(name)}</text>'
            )
    label = html.escape(", ".join(drawn))
    return (
        f'<svg class="curves" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"{''.join(parts)}</svg>"
    )


def _thinned(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
    """At most `_POINTS` points: means of neighbors."""
    size = -(-len(xs) // _POINTS)
    if size <= 1:
        return list(zip(xs, ys, strict=True))
    points = []
    for first in range(0, len(xs), size):
        part = [y for y in ys[first : first + size] if math.isfinite(y)]
        mean = sum(part) / len(part) if part else math.nan
        points.append((sum(xs[first : first + size]) / len(xs[first : first + size]), mean))
    return points


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Mean over a twentieth of the curve around each value, without those that aren't finite."""
    half = max(1, len(values) // 40)
    window = np.ones(2 * half + 1)
    finite = np.isfinite(values)
    total = np.convolve(np.where(finite, values, 0.0), window, "same")
    count = np.convolve(finite.astype(float), window, "same")
    return np.where(count > 0, total / np.maximum(count, 1), math.nan)


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    commands, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        commands.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        pen = "L"
    return "".join(commands)


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers from `low` to `high`."""
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * f for f in (1, 2, 2.5, 5, 10) if unit * f >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    values = [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]
    return [0.0 if abs(v) < step * 1e-6 else v for v in values]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    return [10.0**i for i in range(first, last + 1)]
