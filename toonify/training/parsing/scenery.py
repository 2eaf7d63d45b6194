"""Backgrounds with edges and textures: leaves, walls, shelves, lights, things out of focus."""

from __future__ import annotations

import math

import cv2
import numpy as np

from toonify.faces.types import RGB, Points, f32
from toonify.training.parsing.fabric import fabric


def scenery(side: int, source: RGB, rng: np.random.Generator) -> Points:
    """A picture (side, side, 3) in 0..255 without people.

    Args:
        source: a picture that stuff is cut from.
    """
    kind = rng.random()
    if kind < 0.3:
        out = _leaves(side, rng)
    elif kind < 0.7:
        out = _things(side, source, rng)
    elif kind < 0.85:
        out = fabric(side, source, rng)
    else:
        out = _lights(side, rng)
    if rng.random() < 0.35:
        out = _lines(out, rng)
    return f32(np.clip(out, 0, 255))


def _leaves(side: int, rng: np.random.Generator) -> Points:
    """Noise of every size, cut into patches of a few colors: foliage, gravel, grass, plaster."""
    field = np.zeros((side, side), np.float32)
    coarse = rng.uniform(0.6, 1.6)  # how much larger patches outweigh small ones
    turn = rng.uniform(0.35, 1.0)  # patches longer than wide
    for octave in (4, 8, 16, 32, 64, 128):
        across = max(2, int(octave * turn))
        shape = (octave, across) if rng.random() < 0.5 else (across, octave)
        noise = f32(rng.standard_normal(shape, dtype=np.float32) / octave**coarse)
        field += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    field = (field - field.min()) / (np.ptp(field) + 1e-6)
    count = int(rng.integers(2, 6))
    base = f32(rng.uniform(20, 200) + rng.normal(0, 35, 3))
    if rng.random() < 0.5:
        base = f32(f32([0.5, 1.0, 0.35]) * rng.uniform(60, 190))
    colors = f32(
        np.clip(base + rng.normal(0, 30, (count, 1)) + rng.normal(0, 12, (count, 3)), 0, 255)
    )
    place = field * (count - 1)
    low = np.floor(place).astype(int).clip(0, count - 1)
    share = place - low
    share = np.clip((share - 0.5) * rng.uniform(1, 8) + 0.5, 0, 1)[..., None]
    return f32(colors[low] * (1 - share) + colors[np.minimum(low + 1, count - 1)] * share)


def _things(side: int, source: RGB, rng: np.random.Generator) -> Points:
    """Boxes and discs of stuff before each other."""
    out = fabric(side, source, rng)
    stuff = [fabric(side, source, rng) for _ in range(3)]
    for _ in range(int(rng.integers(3, 14))):
        mask = np.zeros((side, side), np.uint8)
        center = rng.uniform(0, side, 2)
        half = np.exp(rng.uniform(math.log(0.02), math.log(0.4), 2)) * side
        tilt = rng.normal(0, 4) if rng.random() < 0.7 else rng.uniform(-60, 60)
        if rng.random() < 0.75:
            box = ((float(center[0]), float(center[1])), (2 * half[0], 2 * half[1]), tilt)
            corners = (cv2.boxPoints(box) * 16).astype(np.int32)
            cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, 4)
        else:
            axes = (int(half[0]), int(half[1]))
            middle = (int(center[0]), int(center[1]))
            cv2.ellipse(mask, middle, axes, tilt, 0, 360, 255, -1, cv2.LINE_AA)
        cover = f32(mask / np.float32(255))[..., None]
        color = stuff[int(rng.integers(3))] * rng.uniform(0.4, 1.4)
        if rng.random() < 0.5:
            color = color * 0 + f32(rng.uniform(0, 255) + rng.normal(0, 30, 3))
        out = f32(out * (1 - cover) + color * cover)
    return out


def _lights(side: int, rng: np.random.Generator) -> Points:
    """Discs of light on something dark or gray."""
    out = np.zeros((side, side, 3), np.float32) + f32(rng.uniform(5, 120) + rng.normal(0, 10, 3))
    radius = rng.uniform(0.01, 0.08) * side
    for _ in range(int(rng.integers(5, 50))):
        mask = np.zeros((side, side), np.uint8)
        center = (int(rng.uniform(0, side)), int(rng.uniform(0, side)))
        cv2.circle(mask, center, max(2, int(radius * rng.uniform(0.5, 1.6))), 255, -1, cv2.LINE_AA)
        cover = f32(mask / np.float32(255))[..., None] * np.float32(rng.uniform(0.1, 0.8))
        out = out * (1 - cover) + f32(np.clip(170 + rng.normal(0, 70, 3), 0, 255)) * cover
    return f32(out)


def _lines(picture: Points, rng: np.random.Generator) -> Points:
    """Branches, wires, bars, window frames."""
    out = np.ascontiguousarray(picture)
    side = out.shape[0]
    color = f32(np.clip(rng.uniform(0, 255) + rng.normal(0, 20, 3), 0, 255))
    for _ in range(int(rng.integers(2, 16))):
        points = rng.uniform(-0.1, 1.1, (1, 2)) * side
        steps = rng.normal(0, 0.12, (6, 2)) * side if rng.random() < 0.5 else None
        if steps is None:  # straight, mostly upright or level
            angle = rng.choice([0, math.pi / 2]) + rng.normal(0, 0.1)
            reach = np.array([[math.cos(angle), math.sin(angle)]]) * side * 1.5
            points = np.concatenate([points - reach, points + reach])
        else:
            points = np.concatenate([points, points + np.cumsum(steps, 0)])
        shade = (color * rng.uniform(0.6, 1.3)).tolist()
        width = int(rng.uniform(1, 0.05 * side))
        cv2.polylines(out, [(points * 16).astype(np.int32)], False, shade, width, cv2.LINE_AA, 4)
    return out
