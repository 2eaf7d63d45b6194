"""Hair drawn down over the forehead, and clothes of other stuff."""

from __future__ import annotations

import cv2
import numpy as np

from toonify.faces.parsing import LABELS
from toonify.faces.types import RGB, Points, f32
from toonify.training.parsing.fabric import fabric

_I = {name: i for i, name in enumerate(LABELS)}
_FACE = tuple(_I[name] for name in ("skin", "brow", "eye", "glasses", "sunglasses"))


def draw_fringe(
    rgb: RGB, points3d: Points, labels: np.ndarray, rng: np.random.Generator
) -> tuple[RGB, np.ndarray]:
    """The hair above the forehead stretched down to about the brows → picture and labels (S, S).

    Heads that are tilted, or have no hair above their forehead, come back as they were.
    """
    points = points3d[:, :2]
    across = points[263] - points[33]
    if abs(across[1]) > 0.2 * abs(across[0]):
        return rgb, labels
    side = labels.shape[0]
    left, right = sorted((float(points[127, 0]), float(points[356, 0])))
    brow = float(points[[105, 334], 1].mean())
    size = float(np.linalg.norm(points[10] - points[152]))
    columns = np.arange(max(int(left), 0), min(int(right), side))
    if len(columns) < 20:
        return rgb, labels
    hair = labels[:, columns] == _I["hair"]
    skin = np.isin(labels[:, columns], _FACE)
    first_skin = np.where(skin.any(0), skin.argmax(0), 0)
    first_hair = np.where(hair.any(0), hair.argmax(0), side)
    good = (first_skin - first_hair > 6) & (first_skin < brow)
    if good.mean() < 0.5:
        return rgb, labels
    part = rng.uniform(0.2, 0.8) if rng.random() < 0.5 else None  # hair divides there
    at = np.linspace(0, 1, len(columns))
    end = brow + rng.normal(0.0, 0.07) * size + 0.08 * size * (2 * at - 1) ** 2
    if part is not None:
        opening = np.exp(-(((at - part) / rng.uniform(0.05, 0.25)) ** 2))
        end = end - opening * rng.uniform(0.1, 0.35) * size
    for rough in (2, 6):  # strands
        noise = f32(rng.standard_normal((1, max(3, len(columns) // rough)), dtype=np.float32))
        wave = cv2.resize(noise, (len(columns), 1), interpolation=cv2.INTER_LINEAR)[0]
        end = end + wave * rng.uniform(0.0, 0.035) * size
    end = np.where(good, np.maximum(end, first_skin), first_skin)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    top = np.full(side, side, np.float32)
    was = np.full(side, 0, np.float32)
    will = np.full(side, 0, np.float32)
    top[columns], was[columns], will[columns] = first_hair, first_skin - 1, end
    inside = (y >= top) & (y < will) & (will > was + 1)
    ratio = (was - top) / np.maximum(will - top, 1)
    source = np.where(inside, top + (y - top) * ratio, y)
    moved = cv2.remap(rgb, x, f32(source), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    new = inside & np.isin(labels, _FACE)
    cover = f32(cv2.GaussianBlur(f32(inside & (new | (labels == _I["hair"]))), (0, 0), 0.7))
    shade = cv2.GaussianBlur(f32(new), (0, 0), 4)
    below = f32(rgb) * (1 - 0.35 * shade)[..., None]
    out = below * (1 - cover)[..., None] + f32(moved) * cover[..., None]
    names = np.where(new, _I["hair"], labels).astype(np.uint8)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8), names


def dress(rgb: RGB, labels: np.ndarray, source: RGB, rng: np.random.Generator) -> RGB:
    """The clothes (S, S, 3) in other stuff, their folds kept."""
    mask = labels == _I["clothes"]
    if mask.sum() < 200:
        return rgb
    gray = f32(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    folds = gray / max(float(np.median(gray[mask])), 8.0)
    stuff = fabric(labels.shape[0], source, rng, folds=0.3)
    colors = stuff * np.clip(folds, 0.3, 1.8)[..., None]
    cover = f32(cv2.GaussianBlur(f32(mask), (0, 0), 0.8))[..., None]
    out = f32(rgb) * (1 - cover) + colors * cover
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)
