"""Glasses drawn onto faces, with exact masks: what the prior's activations don't tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from toonify.faces.mesh import head_pose
from toonify.faces.types import RGB, Points, f32
from toonify.training.parsing.scenery import scenery

KINDS = ("thin", "thick", "sun")
SCALE = 2  # drawn at twice the picture's size
LIDS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
TEMPLES = (127, 356)  # where frames pass the edge of the face
EARS = (234, 454)


@dataclass(frozen=True, eq=False)
class Glasses:
    """Drawn glasses.

    Attributes:
        rgb: (S, S, 3) the face with them on.
        frame: (S, S) uint8, 1 where the frame is.
        dark: (S, S) uint8, 1 where a dark lens is.
        kind: of `KINDS`.
    """

    rgb: RGB
    frame: np.ndarray
    dark: np.ndarray
    kind: str


def draw_glasses(rgb: RGB, points3d: Points, hair: np.ndarray, rng: np.random.Generator) -> Glasses:
    """Random glasses on a face (S, S, 3); mesh (468, 3) in px; `hair` (S, S) bool hides temples."""
    side = rgb.shape[0]
    size = side * SCALE
    points = f32(points3d) * SCALE
    rotation = head_pose(points)[0]
    right, down, inward = (rotation[:, i] for i in range(3))
    eyes = [points[list(lids)].mean(0) for lids in LIDS]
    apart = float(np.linalg.norm(eyes[1] - eyes[0]))
    kind = str(rng.choice(KINDS, p=[0.42, 0.3, 0.28]))
    outline = _outline(rng, kind)
    width = rng.uniform(0.36, 0.47) * apart
    if kind == "sun":
        width *= rng.uniform(1.0, 1.2)
    drop = rng.normal(0.05, 0.05) * apart
    forward = rng.uniform(0.12, 0.25) * apart
    wrap = rng.uniform(0.0, 0.25)
    thick = rng.uniform(0.018, 0.034) if kind == "thin" else rng.uniform(0.045, 0.11)
    if kind == "sun" and rng.random() < 0.4:
        thick = rng.uniform(0.02, 0.05)
    thick = max(thick * apart, 1.2)
    rimless = kind == "thin" and rng.random() < 0.3
    half = kind != "sun" and not rimless and rng.random() < 0.18
    frame = np.zeros((size, size), np.uint8)
    lens = np.zeros_like(frame)
    rim = np.zeros_like(frame)
    inner, outer = [], []
    level = rng.uniform(-0.45, 0.1)  # of the bridge
    for sign, eye in zip((-1, 1), eyes, strict=True):
        center = (
            eye + down * drop - inward * forward + right * sign * rng.normal(0.02, 0.008) * apart
        )
        across = right * sign + inward * wrap
        shape = center + width * (outline[:, :1] * across + outline[:, 1:] * down)
        flat = shape[:, :2]
        cv2.fillPoly(lens, [_fixed(flat)], 255, cv2.LINE_AA, 4)
        if rimless:
            _stroke(rim, flat, max(0.012 * apart, 1.0), closed=True)
        elif half:
            top = flat[outline[:, 1] < 0.12]
            order = np.argsort(outline[outline[:, 1] < 0.12][:, 0])
            _stroke(frame, top[order], thick)
            _stroke(rim, flat, max(0.012 * apart, 1.0), closed=True)
        else:
            _stroke(frame, flat, thick, closed=True)
            if rng.random() < 0.4:  # a heavier brow line
                top = outline[:, 1] < -0.25
                order = np.argsort(outline[top][:, 0])
                _stroke(frame, flat[top][order], thick * rng.uniform(1.2, 1.9))
        at = np.abs(outline[:, 1] - level)
        inside, outside = outline[:, 0] < 0, outline[:, 0] > 0
        inner.append(shape[np.where(inside)[0][at[inside].argmin()]])
        high = np.abs(outline[:, 1] - min(level, -0.25))
        outer.append(shape[np.where(outside)[0][high[outside].argmin()]])
    bridge = rng.uniform(0.02, 0.1) * apart
    middle = (inner[0] + inner[1]) / 2 - down * bridge - inward * 0.05 * apart
    curve = np.linspace(0, 1, 12)[:, None]
    arc = (1 - curve) ** 2 * inner[0] + 2 * curve * (1 - curve) * middle + curve**2 * inner[1]
    _stroke(frame, arc[:, :2], max(thick * rng.uniform(0.7, 1.1), 1.2))
    if rng.random() < 0.12:  # a second bar
        _stroke(frame, (arc - down * 0.12 * apart)[:, :2], thick * 0.8)
    temples = np.zeros_like(frame)
    for sign, hinge, temple, ear in zip((-1, 1), outer, TEMPLES, EARS, strict=True):
        edge = points[temple] + right * sign * 0.04 * apart
        behind = points[ear] + right * sign * 0.02 * apart - down * 0.1 * apart
        if (edge - hinge)[:2] @ right[:2] * sign > 0:  # on the side that is seen
            ends = np.stack([hinge, edge, behind])[:, :2]
            _stroke(temples, ends, max(thick * rng.uniform(0.7, 1.2), 1.2))
    covered = cv2.resize(hair.astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST)
    if rng.random() < 0.75:
        temples[covered > 0] = 0
    frame = np.maximum(frame, temples)
    return _shade(rgb, frame, rim, lens, kind, rng)


def _outline(rng: np.random.Generator, kind: str) -> np.ndarray:
    """A lens's outline (72, 2), x from the nose outward in -1..1, y down."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    power = rng.uniform(1.8, 5.5)
    tall = rng.uniform(0.42, 1.02) if kind != "sun" else rng.uniform(0.62, 1.1)
    x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / power)
    y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / power)
    x = x * (1 + rng.uniform(-0.22, 0.06) * (y > 0) * np.abs(y))
    y = np.where(y > 0, y * (1 + rng.uniform(-0.25, 0.25) * x), y)
    y = y - rng.choice([0, 0, rng.uniform(0, 0.3)]) * np.clip(x, 0, 1) ** 2  # cat's eyes
    return f32(np.stack([x, y * tall], 1))


def _shade(
    rgb: RGB,
    frame: np.ndarray,
    rim: np.ndarray,
    lens: np.ndarray,
    kind: str,
    rng: np.random.Generator,
) -> Glasses:
    """Put the drawn masks onto the face, with tint, reflections and a shadow."""
    side = rgb.shape[0]
    out = f32(rgb)

    def small(mask: np.ndarray) -> Points:
        return f32(cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA) / np.float32(255))

    edge, thin, glass = small(frame), small(rim), small(lens)
    if rng.random() < 0.7:
        shift = f32([[1, 0, rng.normal(0, 1.2)], [0, 1, rng.uniform(1, 5)]])
        fall = cv2.warpAffine(edge, shift, (side, side))
        fall = cv2.GaussianBlur(fall, (0, 0), rng.uniform(0.8, 2.5))
        out *= 1 - rng.uniform(0.1, 0.45) * fall[..., None]
    y, x = np.mgrid[:side, :side] / np.float32(side)
    if kind == "sun":
        color = _color(rng, dark=True)
        dense = rng.uniform(0.72, 1.0)
        if rng.random() < 0.3:  # mirrors
            mirrored = scenery(side, rgb, rng) * rng.uniform(0.5, 1.1)
            color = f32(mirrored * rng.uniform(0.4, 1.2, 3))
            dense = rng.uniform(0.6, 0.95)
        rows = np.flatnonzero(glass.max(1) > 0.5)
        if len(rows) and rng.random() < 0.4:
            ramp = np.clip((y * side - rows[0]) / max(len(rows), 1), 0, 1)
            density = dense - f32(ramp) * rng.uniform(0.05, 0.5)
        else:
            density = np.full_like(y, dense)
        cover = (glass * density)[..., None]
        out = out * (1 - cover) + color * cover
    elif rng.random() < 0.4:
        tint = f32(np.clip(128 + rng.normal(0, 60, 3), 0, 255))
        cover = glass[..., None] * rng.uniform(0.02, 0.22)
        out = out * (1 - cover) + tint * cover
    if rng.random() < (0.6 if kind == "sun" else 0.35):  # a reflection
        angle = rng.uniform(0, np.pi)
        across = (x - 0.5) * math.cos(angle) + (y - 0.45) * math.sin(angle)
        band = np.exp(-(((across - rng.normal(0, 0.12)) / rng.uniform(0.01, 0.06)) ** 2))
        cover = (glass * band * rng.uniform(0.1, 0.7))[..., None]
        out = out * (1 - cover) + f32([235, 240, 250]) * cover
    if thin.max() > 0:
        light = rng.random() < 0.5
        cover = thin[..., None] * rng.uniform(0.25, 0.8)
        out = out * (1 - cover) + (225 if light else 60) * cover
    color = _color(rng, dark=rng.random() < 0.6)
    texture = np.ones_like(out) * color
    if rng.random() < 0.2:  # tortoise shell
        noise = cv2.GaussianBlur(rng.normal(size=(side, side)).astype(np.float32), (0, 0), 2.5)
        texture = texture * (1 + 0.9 * np.clip(noise / noise.std(), -1, 2))[..., None]
    relief = cv2.GaussianBlur(edge, (0, 0), 0.8)
    bevel = np.roll(relief, -1, 0) - np.roll(relief, 1, 0)
    texture = texture + rng.uniform(0, 160) * bevel[..., None]
    cover = edge[..., None] * rng.uniform(0.8, 1.0)
    if rng.random() < 0.06:
        cover *= 0.5  # see-through plastic
    out = out * (1 - cover) + np.clip(texture, 0, 255) * cover
    seen = np.maximum(edge, thin * 0.9)
    dark = (glass > 0.5) & (seen <= 0.4) if kind == "sun" else np.zeros((side, side), bool)
    return Glasses(
        np.clip(np.rint(out), 0, 255).astype(np.uint8),
        (seen > 0.4).astype(np.uint8),
        dark.astype(np.uint8),
        kind,
    )


def _color(rng: np.random.Generator, *, dark: bool) -> Points:
    """Of a frame or a dark lens."""
    if dark:
        return f32(rng.uniform(0, 45) + rng.uniform(0, 30, 3))
    kinds = ((160, 160, 165), (190, 160, 90), (120, 70, 40), (150, 30, 40), (40, 60, 130),
             (90, 90, 95), (225, 220, 215))  # fmt: skip
    return f32(np.clip(np.array(kinds[rng.integers(len(kinds))]) + rng.normal(0, 20, 3), 0, 255))


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * 16).astype(np.int32)


def _stroke(mask: np.ndarray, points: np.ndarray, width: float, *, closed: bool = False) -> None:
    """A line of fractional width onto a uint8 mask: drawn in whole widths, paler where less."""
    whole = max(1, round(width))
    value = int(np.clip(255 * width / whole, 60, 255))
    layer = np.zeros_like(mask)
    cv2.polylines(layer, [_fixed(points)], closed, value, whole, cv2.LINE_AA, 4)
    np.maximum(mask, layer, out=mask)
