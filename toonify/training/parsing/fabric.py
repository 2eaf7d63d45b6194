"""Stuff to fill drawn shapes with: colors, weaves, folds, and shading as if they were round."""

from __future__ import annotations

import math

import cv2
import numpy as np

from toonify.faces.types import RGB, Points, f32


def fabric(side: int, source: RGB, rng: np.random.Generator, *, folds: float = 0.5) -> Points:
    """A square (side, side, 3) in 0..255 of plain, striped, knitted or photographed stuff.

    Args:
        source: a picture whose lower corners are clothes, to take patches from.
        folds: how likely there are folds.
    """
    y, x = np.mgrid[:side, :side].astype(np.float32)
    kind = rng.random()
    if kind < 0.3:
        size = int(rng.uniform(24, 70))
        px = int(rng.choice([0, source.shape[1] - size]) * rng.uniform(0.8, 1.0))
        py = source.shape[0] - size - int(rng.uniform(0, 12))
        part = source[py : py + size, px : px + size]
        out = f32(cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC))
    else:
        base = rng.uniform(5, 245) + rng.normal(0, 45, 3)
        if rng.random() < 0.4:
            base = np.repeat(rng.uniform(5, 60), 3) + rng.normal(0, 8, 3)
        out = np.zeros((side, side, 3), np.float32) + f32(base)
        if kind < 0.5:
            angle = rng.uniform(0, math.pi)
            wave = np.sin((x * math.cos(angle) + y * math.sin(angle)) * rng.uniform(0.12, 1.6))
            if rng.random() < 0.5:
                wave = np.sign(wave)
            out = out + wave[..., None] * f32(rng.normal(0, 35, 3))
        elif kind < 0.7:  # knitted
            pitch = rng.uniform(0.5, 1.6)
            wave = np.sin(x * pitch + np.sin(y * pitch * 1.1)) * np.cos(y * pitch * 0.5)
            out = out * (1 + rng.uniform(0.08, 0.35) * wave)[..., None]
        elif kind < 0.8:  # dots and flowers
            small = rng.random((int(side / 12), int(side / 12))) < 0.25
            spots = cv2.resize(f32(small), (side, side), interpolation=cv2.INTER_CUBIC) > 0.5
            out = np.where(spots[..., None], f32(rng.uniform(0, 255, 3)), out)
    for octave in (6, 40):
        noise = f32(rng.normal(0, rng.uniform(0.01, 0.07), (octave, octave)))
        out = out * (1 + cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC))[..., None]
    if rng.random() < folds:
        bend = cv2.resize(
            f32(rng.normal(0, 1, (4, 4))), (side, side), interpolation=cv2.INTER_CUBIC
        )
        angle = rng.uniform(0, math.pi)
        wave = np.sin(
            (x * math.cos(angle) + y * math.sin(angle)) * rng.uniform(0.05, 0.25) + 2.5 * bend
        )
        out = out * (1 + rng.uniform(0.05, 0.35) * wave)[..., None]
    return f32(np.clip(out, 0, 255))


def rounded(mask: Points, rng: np.random.Generator, *, reach: float) -> Points:
    """Shading (S, S) about 1 of a shape (S, S) that curves away at its borders.

    Args:
        reach: px from the border over which it curves.
    """
    distance = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    bulge = np.sqrt(np.clip(distance / reach, 0, 1))
    side = mask.shape[0]
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    angle = rng.uniform(0, 2 * math.pi)
    ramp = x * math.cos(angle) + y * math.sin(angle)
    low = rng.uniform(0.35, 0.85)
    return f32((low + (1 - low) * bulge) * (1 + rng.uniform(0, 0.8) * ramp))


def put(
    rgb: Points, mask: Points, colors: Points, rng: np.random.Generator, *, shadow: float
) -> Points:
    """Lay `colors` over the picture where `mask` (S, S) in 0..1 is, with a shadow around it."""
    side = rgb.shape[0]
    shift = np.array([[1, 0, rng.normal(0, 2)], [0, 1, rng.uniform(1, 7)]], np.float32)
    fall = cv2.GaussianBlur(cv2.warpAffine(mask, shift, (side, side)), (0, 0), rng.uniform(1, 5))
    below = f32(rgb * (1 - shadow * fall)[..., None])
    cover = mask[..., None]
    return f32(below * (1 - cover) + colors * cover)
