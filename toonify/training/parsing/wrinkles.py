"""Lines of age drawn on faces: sampled faces have few, and those under eyes look like glasses."""

from __future__ import annotations

import cv2
import numpy as np

from toonify.faces.parsing import LABELS
from toonify.faces.types import RGB, Points, f32

# MediaPipe's mesh: lower lids from the outer corner to the inner, and the folds beside the nose
LOWER_LIDS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133),
    (263, 249, 390, 373, 374, 380, 381, 382, 362),
)
NOSE_FOLDS = ((129, 206, 216, 57), (358, 426, 436, 287))
BROWS, FOREHEAD = (105, 334), 10
WARM = (0.75, 0.9, 0.95)  # least darkness of red, green, blue: shade on skin is brown


def draw_wrinkles(rgb: RGB, points3d: Points, labels: np.ndarray, rng: np.random.Generator) -> RGB:
    """Bags and folds under the eyes, crow's feet, lines on the forehead and beside the nose.

    Args:
        rgb: (S, S, 3) uint8. points3d: (468, 3) of its mesh. labels: (S, S); lines are on skin.
    """
    points = f32(points3d[:, :2])
    side = labels.shape[0]
    field = np.zeros((side, side), np.float32)
    middle = points[list(BROWS)].mean(0)
    up = points[FOREHEAD] - middle
    for lid in LOWER_LIDS:
        eye = points[list(lid)]
        along = eye[-1] - eye[0]
        width = float(np.hypot(*along))
        down = -up / max(float(np.hypot(*up)), 1e-6) * width
        bow = f32(np.sin(np.linspace(0, np.pi, len(eye))))[:, None]
        for _ in range(rng.integers(1, 4)):
            depth, round_ = rng.uniform(0.08, 0.5), rng.uniform(0, 0.25)
            line = eye[0] + (eye - eye[0]) * rng.uniform(0.7, 1.25) - along * rng.uniform(-0.1, 0.2)
            _stroke(field, line + down * (depth + round_ * bow), width, rng)
        if rng.random() < 0.5:  # deep-set eyes, shaded as round as a lens
            center = eye[[0, -1]].mean(0) + down * rng.uniform(-0.05, 0.2)
            turn = np.linspace(0, 2 * np.pi, 25)[:, None]
            ring = along * np.cos(turn) * rng.uniform(0.55, 0.8)
            ring = ring + down * np.sin(turn) * rng.uniform(0.35, 0.6)
            _stroke(field, center + ring, width, rng, soft=rng.uniform(0.8, 3.0))
        for angle in rng.uniform(-0.6, 0.6, rng.integers(0, 4)):  # crow's feet
            out = -along / max(width, 1e-6) + angle * down / max(width, 1e-6)
            reach = np.linspace(0.15, rng.uniform(0.35, 0.7), 5)[:, None] * width
            _stroke(field, eye[0] + out * reach, width, rng)
    across = points[BROWS[1]] - points[BROWS[0]]
    for height in rng.uniform(0.2, 0.85, rng.integers(0, 5)):
        t = np.linspace(rng.uniform(-0.3, 0.2), rng.uniform(0.8, 1.3), 9)[:, None]
        wave = up * (height + 0.04 * np.sin(t * rng.uniform(4, 9) + rng.uniform(0, 6)))
        _stroke(field, points[BROWS[0]] + across * t + wave, float(np.hypot(*across)) / 2, rng)
    if rng.random() < 0.5:
        for fold in NOSE_FOLDS:
            _stroke(field, points[list(fold)], float(np.hypot(*across)) / 2, rng)
    skin = cv2.GaussianBlur(f32(labels == LABELS.index("skin")), (0, 0), 0.8)
    shade = np.clip(field, 0, 0.75) * skin
    light = 1 - shade[..., None] * f32(rng.uniform(WARM, 1.0))
    return np.asarray(np.rint(f32(rgb) * light), np.uint8)


def _stroke(
    field: Points,
    line: Points,
    width: float,
    rng: np.random.Generator,
    *,
    soft: float | None = None,
) -> None:
    """Darken along a line (N, 2) px, in place; `width` of an eye, px; `soft`: sigma, px."""
    drawn = np.zeros(field.shape, np.uint8)
    thick = max(1, round(width * rng.uniform(0.015, 0.06)))
    where = np.rint(line * 16).astype(np.int32)
    cv2.polylines(drawn, [where], False, 255, thick, cv2.LINE_AA, shift=4)
    drawn_soft = cv2.GaussianBlur(f32(drawn) / 255, (0, 0), soft or rng.uniform(0.5, 1.5))
    np.maximum(field, drawn_soft * np.float32(rng.uniform(0.12, 0.6)), out=field)
