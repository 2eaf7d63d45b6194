"""What is behind people and before them, and the light they stand in."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from toonify.faces.types import RGB, Points, f32
from toonify.training.styleganex.cutouts import CutoutSet
from toonify.training.styleganex.pixels import u8

Look = Callable[[RGB], RGB]


def random_look(rng: np.random.Generator) -> Look:
    """Exposure, contrast and color of a scene, as a function of pictures."""
    gain = np.exp(rng.uniform(-0.18, 0.18, 3) + rng.uniform(-0.35, 0.25))
    gamma = np.exp(rng.uniform(-0.35, 0.35))
    gray = rng.uniform(0, 0.5) if rng.random() < 0.3 else 0.0
    levels = np.linspace(0, 1, 256)[:, None] ** gamma * gain
    table = np.clip(np.rint(levels * 255), 0, 255).astype(np.uint8)[None]

    def look(rgb: RGB) -> RGB:
        seen = cv2.LUT(rgb, table)
        if gray:
            plain = cv2.cvtColor(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            seen = cv2.addWeighted(plain, gray, seen, 1 - gray, 0)
        return np.asarray(seen, np.uint8)

    return look


def other_background(cutouts: CutoutSet, rng: np.random.Generator, look: Look, side: int) -> RGB:
    """Another crop's background or picture, or things made of lines, patches and noise."""
    kind = rng.random()
    if kind < 0.55:
        number = int(rng.integers(1 << 30))
        picture = cutouts.background(number) if kind < 0.4 else scrambled(cutouts, rng)
        turned = np.rot90(picture, int(rng.integers(4)))
        picture = look(np.ascontiguousarray(turned[:, :: 1 if rng.random() < 0.5 else -1]))
        zoom = float(np.exp(rng.uniform(0, 1.2)))
        crop = max(16, round(picture.shape[0] / zoom))
        top, left = (int(rng.integers(picture.shape[0] - crop + 1)) for _ in "yx")
        part = picture[top : top + crop, left : left + crop]
        return u8(cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC))
    return _made_up(rng, side)


def scrambled(cutouts: CutoutSet, rng: np.random.Generator) -> RGB:
    """Pieces of pictures beside each other: detail of every kind, and no face."""
    picture = cutouts.texture(int(rng.integers(1 << 30)))
    half = picture.shape[0] // 4
    out = np.empty_like(picture)
    for row in range(4):
        for column in range(4):
            other = cutouts.texture(int(rng.integers(1 << 30)))
            y, x = (int(rng.integers(picture.shape[0] - half + 1)) for _ in "yx")
            patch = np.rot90(other[y : y + half, x : x + half], int(rng.integers(4)))
            out[row * half : (row + 1) * half, column * half : (column + 1) * half] = patch
    return out


def _made_up(rng: np.random.Generator, side: int) -> RGB:
    grid = rng.uniform(0, 255, (int(rng.integers(1, 5)), int(rng.integers(1, 5)), 3))
    picture = f32(cv2.resize(f32(grid), (side, side), interpolation=cv2.INTER_CUBIC))
    for octave in range(2, 8):
        channels = 3 if rng.random() < 0.3 else 1
        noise = rng.normal(0, rng.uniform(0, 14), (2**octave, 2**octave, channels))
        noise = np.broadcast_to(noise, (*noise.shape[:2], 3))
        picture += f32(cv2.resize(f32(noise), (side, side), interpolation=cv2.INTER_CUBIC))
    drawn = u8(picture)
    for _ in range(int(rng.integers(0, 9))):
        color = tuple(int(v) for v in rng.integers(0, 256, 3))
        a, b = (tuple(int(v) for v in rng.integers(-side // 4, side * 5 // 4, 2)) for _ in "ab")
        if rng.random() < 0.5:
            cv2.line(drawn, a, b, color, int(rng.integers(1, side // 12)), cv2.LINE_AA)
        else:
            cv2.rectangle(drawn, a, b, color, -1 if rng.random() < 0.6 else 3)
    return drawn


def occluder(
    cutouts: CutoutSet, rng: np.random.Generator, place: Points, side: int
) -> tuple[Points, Points]:
    """Something in front of a face: a bar, a ball or a shape with a pattern, and where it is."""
    crop = float(np.hypot(place[0, 0], place[1, 0]))
    at = place[:, :2] @ rng.uniform(0.1, 0.95, 2) + place[:, 2]
    mask = np.zeros((side, side), np.uint8)
    kind = rng.random()
    if kind < 0.4:  # a finger, a microphone, a strap
        angle = rng.uniform(0, 2 * np.pi)
        end = at + crop * rng.uniform(0.4, 1.5) * np.array([np.cos(angle), np.sin(angle)])
        width = max(2, round(crop * rng.uniform(0.03, 0.16)))
        cv2.line(mask, _point(at), _point(end), 255, width, cv2.LINE_AA)
    elif kind < 0.7:
        axes = (crop * rng.uniform(0.05, 0.22, 2)).astype(int) + 1
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(mask, _point(at), (int(axes[0]), int(axes[1])), turn, 0, 360, 255, -1)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
        radii = crop * rng.uniform(0.05, 0.28, 7)
        points = at + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 255, cv2.LINE_AA)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.6, crop * 0.004))
    texture = cutouts.texture(int(rng.integers(1 << 30)))
    half = texture.shape[0] // 2
    part = texture[int(rng.integers(half)) :, int(rng.integers(half)) :][:96, :96]
    picture = f32(cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC))
    return picture, f32(f32(soft)[..., None] / 255)


def _point(at: np.ndarray) -> tuple[int, int]:
    return int(at[0]), int(at[1])
