"""Strands of hair as single strokes of a pen, along its flow."""

from __future__ import annotations

import cv2
import numpy as np

from toonify.portrait.fields import Field, Streamlines, f32
from toonify.portrait.shapes import Ring, stroke

CELL = 7.0  # px of a unit face between seeds
STEP = 3.0  # px of a unit face between the points of a strand
REACH = 26  # points on either side of a seed
SHORTEST = 9  # points of a strand
BEND = 0.6  # radians between two points, from which a line is broken off
APART = 5.5  # px of a unit face between strands


def strand_lines(
    strength: Field, inside: Field, flow: Streamlines, unit: float, *, most: int
) -> list[tuple[Field, float]]:
    """Where strands are drawn: the clearest lines first, none beside another.

    Args:
        strength: (H, W), how much a px belongs to a strand; 0 and below ends it.
        inside: (H, W), signed distance to the hair's border.
        unit: see `FaceGeometry`.
        most: how many, at most.

    Returns:
        each strand's points (N, 2) px and its mean strength.
    """
    height, width = strength.shape
    cell = max(int(CELL * unit), 3)
    rows, columns = height // cell, width // cell
    if not rows or not columns:
        return []
    field = np.where(inside > 1.5, strength, -1)[: rows * cell, : columns * cell]
    split = field.reshape(rows, cell, columns, cell).transpose(0, 2, 1, 3)
    blocks = split.reshape(rows * columns, cell * cell)
    best = blocks.argmax(1)
    peak = blocks[np.arange(len(best)), best]
    kept = np.flatnonzero(peak > 0.5)
    kept = kept[np.argsort(-peak[kept], kind="stable")][: 6 * most]
    if not len(kept):
        return []
    seeds = f32(
        np.stack(
            [
                kept % columns * cell + best[kept] % cell,
                kept // columns * cell + best[kept] // cell,
            ],
            1,
        )
    )
    step = max(STEP * unit, 1.0)
    lines = flow.trace(seeds, step=step, count=REACH, spread=5 * unit)
    xs, ys = np.ascontiguousarray(lines[..., 0]), np.ascontiguousarray(lines[..., 1])

    def along(values: Field) -> Field:
        return f32(cv2.remap(values, xs, ys, cv2.INTER_LINEAR, borderValue=-1.0))

    values, room = along(f32(strength)), along(f32(inside))
    turn = np.diff(lines, axis=1)
    angle = np.arctan2(turn[..., 1], turn[..., 0])
    sharp = np.abs((np.diff(angle, axis=1) + np.pi) % (2 * np.pi) - np.pi) > BEND
    fits = (values > -0.15) & (room > 0)
    fits[:, 1:-1] &= ~sharp
    taken = np.zeros((height, width), np.uint8)
    apart = max(2, round(2 * APART * unit))
    strands: list[tuple[Field, float]] = []
    for line, fit, value in zip(lines, fits, values, strict=True):
        low = REACH - int(np.argmin(np.append(fit[REACH::-1], False)))
        high = REACH + int(np.argmin(np.append(fit[REACH:], False)))
        points = line[low + 1 : high]
        if len(points) < SHORTEST:
            continue
        px = np.clip(np.rint(points).astype(int), 0, [width - 1, height - 1])
        free = taken[px[:, 1], px[:, 0]] == 0
        # a strand may begin or end beside another, not run along with it
        run = np.flatnonzero(free)
        if len(run) < SHORTEST or len(run) < 0.6 * len(points):
            continue
        points, px = points[run[0] : run[-1] + 1], px[run[0] : run[-1] + 1]
        cv2.polylines(taken, [px.astype(np.int32)], False, 255, apart)
        strands.append((points, float(value[low + 1 : high].mean())))
        if len(strands) == most:
            break
    return strands


def strand_strokes(strands: list[tuple[Field, float]], width: float) -> list[Ring]:
    """Strokes that swell and taper, up to `width` px; clearer strands are drawn heavier."""
    kernel = f32([1, 2, 3, 2, 1]) / 9
    rings = []
    for points, strength in strands:
        padded = np.pad(points, ((2, 2), (0, 0)), mode="reflect", reflect_type="odd")
        calm = np.stack([np.convolve(padded[:, i], kernel, "valid") for i in (0, 1)], 1)
        heavy = width * (0.55 + 0.45 * min(strength / 1.6, 1.0)) * min(1.0, len(points) / 20 + 0.3)
        rings.append(stroke(f32(calm), f32([0.12, 0.6, 0.95, 1.0, 0.85, 0.5, 0.1]) * heavy))
    return rings
