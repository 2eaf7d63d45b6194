"""Light, color and damage: what a photograph does to a face, labels unchanged."""

from __future__ import annotations

import math

import cv2
import numpy as np

from toonify.faces.parsing import LABELS
from toonify.faces.types import RGB, Points, f32

_SKIN = tuple(LABELS.index(name) for name in ("skin", "ear", "neck", "hand", "lips", "mouth"))
_HAIR = tuple(LABELS.index(name) for name in ("hair", "brow", "beard"))


def recolor_skin_and_hair(rgb: RGB, labels: np.ndarray, rng: np.random.Generator) -> RGB:
    """Now and then darker or redder skin, and hair of another color: (S, S, 3) uint8."""
    out = f32(rgb)
    if rng.random() < 0.25:
        mask = _soft(np.isin(labels, _SKIN))
        dark = rng.uniform(0.22, 0.85)
        tint = f32([1.0, rng.uniform(0.82, 1.0), rng.uniform(0.7, 1.0)])
        bent = 255 * (out / 255) ** rng.uniform(0.9, 1.35) * dark * tint
        out = f32(out * (1 - mask) + bent * mask)
        if rng.random() < 0.7:  # who has dark skin mostly has dark hair
            hair = _soft(np.isin(labels, _HAIR))
            out = out * (1 - hair) + out * rng.uniform(0.15, 0.7) * hair
    elif rng.random() < 0.35:
        hair = _soft(np.isin(labels, _HAIR))
        level = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
        mean = float((level * hair).sum() / max(hair.sum(), 1))
        target = rng.uniform(15, 225)
        kind = rng.random()
        if kind < 0.35:  # dyed
            tint = f32(rng.uniform(0.3, 1.7, 3))
        elif kind < 0.65:  # gray, white
            tint = f32(1 + rng.normal(0, 0.04, 3))
        else:
            tint = f32(np.clip(1 + rng.normal(0, 0.2, 3) + f32([0.12, 0, -0.12]), 0.4, 1.8))
        color = target * tint
        share = rng.uniform(0.6, 1.0)
        new = (
            color * (0.35 + 0.65 * level / max(mean, 1))
            if target < mean
            else color + (level - mean) * rng.uniform(0.5, 1.2)
        )
        out = out * (1 - hair * share) + new * hair * share
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def relight(rgb: Points, rng: np.random.Generator) -> Points:
    """Gradients, hard shadows, sheen and spots of light over a picture (S, S, 3) in 0..255."""
    side = rgb.shape[0]
    y, x = np.mgrid[:side, :side] / np.float32(side) - np.float32(0.5)
    out = rgb
    if rng.random() < 0.35:
        angle = rng.uniform(0, 2 * np.pi)
        ramp = x * math.cos(angle) + y * math.sin(angle)
        out = out * np.exp(ramp * rng.uniform(0, 1.8))[..., None]
    if rng.random() < 0.15:
        angle = rng.uniform(0, 2 * np.pi)
        ramp = x * math.cos(angle) + y * math.sin(angle) + rng.normal(0, 0.15)
        ramp = ramp + 0.03 * np.sin(y * rng.uniform(5, 30))
        edge = 1 / (1 + np.exp(np.clip(-ramp / rng.uniform(0.005, 0.1), -30, 30)))
        out = out * (1 - edge * rng.uniform(0.2, 0.7))[..., None]
    if rng.random() < 0.12:
        spot = np.exp(
            -(((x - rng.normal(0, 0.2)) / rng.uniform(0.03, 0.2)) ** 2)
            - ((y - rng.normal(-0.1, 0.25)) / rng.uniform(0.03, 0.2)) ** 2
        )
        out = out + (rng.uniform(20, 150) * spot)[..., None]
    return f32(out)


def damage(rgb: Points, rng: np.random.Generator) -> RGB:
    """Exposure, contrast, color cast, monochrome, blur, noise, JPEG: 0..255 → uint8."""
    out = f32(f32(rgb) / 255)
    out = out * math.exp(rng.normal(0, 0.22))
    if rng.random() < 0.15:  # dark or blown out
        out = out * math.exp(rng.uniform(-1.1, 0.6))
    out = out * f32(np.exp(rng.normal(0, 0.05 if rng.random() < 0.8 else 0.18, 3)))
    out = np.clip(out, 0, 1) ** math.exp(rng.normal(0, 0.18))
    gray = out.mean(2, keepdims=True)
    if rng.random() < 0.09:
        out = np.repeat(gray, 3, axis=2) * f32(np.exp(rng.normal(0, 0.05, 3)))
    else:
        out = gray + (out - gray) * math.exp(rng.normal(0, 0.25))
    out = f32(np.clip((out - 0.5) * math.exp(rng.normal(0, 0.15)) + 0.5, 0, 1))
    side = out.shape[0]
    if rng.random() < 0.25:
        small = int(side * rng.uniform(0.3, 0.9))
        less = cv2.resize(out, (small, small), interpolation=cv2.INTER_AREA)
        out = f32(cv2.resize(less, (side, side), interpolation=cv2.INTER_CUBIC))
    elif rng.random() < 0.35:
        out = f32(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 1.3)))
    elif rng.random() < 0.3:
        out = out + (out - cv2.GaussianBlur(out, (0, 0), 1.2)) * rng.uniform(0.2, 1.0)
    if rng.random() < 0.5:
        channels = 1 if rng.random() < 0.5 else 3
        grain = rng.standard_normal((side, side, channels), dtype=np.float32)
        out = out + grain * np.float32(rng.uniform(0, 0.045))
    final = np.clip(np.rint(out * 255), 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = int(rng.uniform(25, 95))
        _, data = cv2.imencode(".jpg", final, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return final


def _soft(mask: np.ndarray) -> Points:
    """(S, S) bool → (S, S, 1) with soft borders."""
    return f32(cv2.GaussianBlur(f32(mask), (0, 0), 1.0))[..., None]
