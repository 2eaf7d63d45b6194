"""Continuous light and shade divided into few flat tones, each in the color that was there."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np

from toonify.portrait.fields import Field, Lab, blur, f32, to_rgb, weighted_mean, weighted_quantile
from toonify.portrait.memory import NO_MEMORY, Steady
from toonify.portrait.shapes import Ring, cut


def tone_cuts(
    field: Field, weight: Field, count: int, least: float, *, memory: Steady = NO_MEMORY
) -> list[float]:
    """Thresholds between at most `count` tones, ascending: one-dimensional k-means.

    Args:
        least: tones closer than this are one.
        memory: of a clip, where their number stays what it was.
    """
    before = memory.get("cuts")
    if before is not None:
        count, least = len(before) + 1, 0.0
    q = weighted_quantile(field, weight, np.linspace(0.02, 0.98, 60).tolist())
    centers = f32(np.quantile(q, (np.arange(count) + 0.5) / count))
    for _ in range(12):
        label = np.abs(q[:, None] - centers[None]).argmin(1)
        centers = f32(
            [q[label == k].mean() if (label == k).any() else centers[k] for k in range(count)]
        )
    centers = np.sort(centers)
    merged = [float(centers[0])]
    for c in centers[1:]:
        if c - merged[-1] >= least:
            merged.append(float(c))
        else:
            merged[-1] = (merged[-1] + float(c)) / 2
    cuts = [(a + b) / 2 for a, b in pairwise(merged)]
    return [float(v) for v in memory.average("cuts", cuts)]


def tone_colors(
    lab: Lab,
    field: Field,
    weight: Field,
    cuts: list[float],
    *,
    memory: Steady = NO_MEMORY,
) -> tuple[list[Field], list[float]]:
    """Mean CIELAB color and share of the weight of each of the len(cuts) + 1 tones."""
    edges = [-np.inf, *cuts, np.inf]
    whole = weighted_mean(lab, weight)
    colors, shares = [], []
    total = float(weight.sum()) + 1e-6
    for low, high in pairwise(edges):
        w = f32(weight * ((field >= low) & (field < high)))
        share = float(w.sum()) / total
        colors.append(weighted_mean(lab, w) if share > 0.002 else whole)
        shares.append(share)
    steady = memory.average("colors", np.stack(colors))
    return list(steady), [float(v) for v in memory.average("shares", shares)]


def stretch(color: Field, base: Field, contrast: float, chroma: float = 1.0) -> Field:
    """`color` with its lightness moved away from `base`'s by a factor, and its chroma scaled."""
    out = f32(color).copy()
    out[0] = np.clip(base[0] + (out[0] - base[0]) * contrast, 2, 98)
    out[1:] *= chroma
    return out


Add = Callable[..., None]


def paint_tones(
    add: Add,
    region: Field,
    field: Field,
    cuts: list[float],
    colors: list[Field],
    *,
    area: float,
    softness: float = 0.0,
    min_distance: float = 0.0,
) -> None:
    """The region (a signed distance) in the first color, then what is above each cut over it.

    Args:
        add: `Head.add` or `Drawing.add`.
        area: islands of a tone below this many px² are left out.
        softness: blur of the tones' borders, px.
        min_distance: of a tone's border from the region's, so that no sliver remains.
    """
    base = cut(region)
    add(base, to_rgb(colors[0]))
    inner = region + 3 * softness if softness else region - min_distance
    for threshold, color in zip(cuts, colors[1:], strict=True):
        rings = cut(np.minimum(inner, (field - threshold) * 2), area=area)
        add(rings, to_rgb(color), blur=softness, clip=base if softness else None)


def flat_colors(
    smooth: Lab,
    weight: Field,
    count: int,
    *,
    chroma: float = 1.6,
    memory: Steady = NO_MEMORY,
) -> tuple[Field, np.ndarray]:
    """The `count` main colors (K, 3), dark to light, and the nearest one of every pixel (H, W).

    k-means in CIELAB under a weight; `chroma` makes hue count more, so that small colorful things
    keep a color of their own.
    """
    scale = f32([1, chroma, chroma])
    step = max(1, int(np.sqrt(smooth.shape[0] * smooth.shape[1] / 6000)))
    seen = smooth[::step, ::step].reshape(-1, 3)[weight[::step, ::step].ravel() > 0.5] * scale
    if len(seen) < 4 * count:
        seen = smooth[::step, ::step].reshape(-1, 3) * scale
    count = max(1, min(count, len(np.unique(np.rint(seen), axis=0))))
    cv2.setRNGSeed(0)
    before = memory.get("colors")
    if before is None:
        rule = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 15, 0.5)
        _, _, centers = cv2.kmeans(
            f32(seen), count, np.empty(0, np.int32), rule, 1, cv2.KMEANS_PP_CENTERS
        )
        centers = centers[np.argsort(centers[:, 0])]
    else:  # in a clip, colors only drift from where they were
        centers = before.copy()
        label = ((seen[:, None] - centers[None]) ** 2).sum(2).argmin(1)
        for k in range(len(centers)):
            if int((label == k).sum()) > 4:
                centers[k] = seen[label == k].mean(0)
    centers = memory.average("colors", centers, share=0.25)
    flat = (smooth * scale).reshape(-1, 3)
    # |x - c|² without |x|²: one matrix product
    score = flat @ (centers.T * -2) + (centers**2).sum(1)
    return f32(centers / scale), score.argmin(1).reshape(smooth.shape[:2])


def paint_flat(
    add: Callable[[list[Ring], Field], None],
    labels: np.ndarray,
    colors: list[Field],
    region: Field | None,
    *,
    smooth: float,
    area: float,
) -> None:
    """Regions of equal label, each over those before it, so that no gap can be between them."""
    for k in range(1, len(colors)):
        level = (blur(f32(labels >= k), smooth) - 0.5) * 8
        if region is not None:
            level = np.minimum(level, region)
        add(cut(level, area=area), to_rgb(colors[k]))
