"""One face's skin in another's tone and light, so that a part of it passes for the other's.

A picture of skin is a smooth base, which tone and light make, and what deviates from it. The base
is exchanged. Of the deviations, shadows and dark hair multiply the base; highlights are added to it
in linear light, as gloss is, so that they neither burn out on light skin nor vanish on dark.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.faces.types import Points, f32
from toonify.portrait.fields import blur, smoothstep

DARK = 0.004  # of linear light, added before the logarithm, so that noise in black counts little
GAMMA = 2.2
LUMA = f32([0.2126, 0.7152, 0.0722])
REFITS = 6
COARSE = 4  # px of the window a px of the fits
SHADE = 0.45  # how much weaker shadows are on lighter skin, which scatters more light into them
FADES = 0.8  # how fast another skin's deviations of color fade with the way between the tones


def to_log(rgb: NDArray[np.uint8] | Points) -> Points:
    """Levels → logarithms of linear light, blacks lifted a little."""
    return f32(np.log((f32(rgb).clip(0, 255) / 255) ** GAMMA + DARK))


def from_log(logs: Points) -> Points:
    """The inverse of `to_log`."""
    return f32(np.clip(np.exp(np.minimum(logs, 0.5)) - DARK, 0, 1) ** (1 / GAMMA) * 255)


def parted(logs: Points) -> tuple[Points, Points]:
    """Logarithms (h, w, 3) as those of brightness (h, w, 1) and of color (h, w, 3)."""
    light = logs @ LUMA
    return f32(light[..., None]), f32(logs - light[..., None])


def mesh_normals(points3d: Points, size: tuple[int, int], unit: float) -> Points:
    """(h, w, 2): how far a face's surface looks right and down in a window of `size` (w, h)."""
    points = points3d.astype(np.float64)
    # a plane through each point's neighbors: cheap, smooth and without a list of triangles
    apart = ((points[:, None, :2] - points[None, :, :2]) ** 2).sum(2)
    nearest = np.argsort(apart, 1)[:, :9]
    around = points[nearest] - points[nearest].mean(1, keepdims=True)
    _, _, axes = np.linalg.svd(around)
    normals = axes[:, 2] * np.where(axes[:, 2, 2:] > 0, -1, 1)
    field = np.zeros((size[1], size[0], 3), np.float32)
    x, y = np.rint(points[:, :2]).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < size[0]) & (y < size[1])
    values = np.concatenate([normals[inside, :2], np.ones((int(inside.sum()), 1))], 1)
    np.add.at(field, (y[inside], x[inside]), values)
    total = blur(field, 7 * unit) + 0.02 * blur(field, 30 * unit)
    return f32(total[..., :2] / (total[..., 2:] + 1e-7))


def skin_base(logs: Points, sure: Points, normals: Points) -> Points:
    """(h, w, 3): the logarithms of skin under the light that falls on it, everywhere.

    A plane of the place and of the surface's direction: tone, falling light, light from a side.

    Args:
        logs: (h, w, 3).
        sure: (h, w) in 0..1, where skin is seen.
        normals: (h, w, 2).
    """
    height, width = sure.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    across, down = normals[..., 0], normals[..., 1]
    columns = [np.ones_like(x), x, y, across, down, across * across, across * down, down * down]
    basis = np.stack(columns, 2)
    seen = sure > 0.6
    if seen.sum() < 60:
        weight = sure[..., None] + 1e-6
        return f32(np.broadcast_to((logs * weight).sum((0, 1)) / weight.sum(), logs.shape))
    a, b = basis[seen], logs[seen].astype(np.float64)
    weight = np.ones(len(a))
    ridge = np.diag([1e-3, 0.02, 0.02, 0.02, 0.02, 0.05, 0.05, 0.05]) * len(a)
    middle = np.median(b, axis=0)
    found = np.zeros((basis.shape[2], 3))
    for _ in range(REFITS):
        weighted = a * weight[:, None]
        found = np.linalg.solve(weighted.T @ a + ridge, weighted.T @ (b - middle))
        missed = np.abs(b - middle - a @ found).mean(1)
        weight = 1 / (1 + (missed / 0.25) ** 2)
    return f32(basis @ found + middle)


@dataclass(frozen=True)
class Kept:
    """Shares of what deviates from the base that come along.

    Attributes:
        gloss: of highlights.
        color: of other hues.
    """

    gloss: float = 1.0
    color: float = 1.0


def toned(logs: Points, base: Points, wanted: Points, kept: Kept = Kept()) -> Points:
    """Logarithms (h, w, 3) with another base under their deviations."""
    light, color = parted(logs)
    (base_light, base_color), (new_light, new_color) = parted(base), parted(wanted)
    gain = new_light - base_light
    detail = light - base_light
    added = np.log1p(np.expm1(np.maximum(detail, 0)) * np.exp(-1.3 * np.maximum(gain, 0)))
    added *= kept.gloss / (1 + SHADE * np.maximum(gain, 0))
    shadow = detail / (1 + SHADE * np.maximum(gain, 0))
    detail = np.where(detail > 0, added, shadow)
    way = np.abs(wanted - base).max(2, keepdims=True)
    share = kept.color * np.exp(-FADES * np.maximum(way - 0.1, 0))
    return f32(new_light + detail + new_color + share * (color - base_color))


def membrane(difference: Points, weight: Points, unit: float) -> Points:
    """(h, w, 3) that continues a difference, known where `weight` (h, w) is, everywhere.

    That is what gradient-domain blending (Pérez et al., 2003) adds within a border, but for those
    places of the border that are no skin: they say nothing.
    """
    total = np.zeros((*weight.shape, difference.shape[2] + 1), np.float32)
    known = np.concatenate([difference * weight[..., None], weight[..., None]], 2)
    for sigma, share in ((3.0, 1.0), (7.0, 0.05), (16.0, 2e-3), (40.0, 1e-4), (90.0, 5e-6)):
        total += share * blur(known, sigma * unit)
    return f32(total[..., :-1] / (total[..., -1:] + 1e-9))


def shrunk(field: Points, step: int = COARSE) -> Points:
    """(h, w, ...) at a fraction of its size."""
    size = (max(field.shape[1] // step, 8), max(field.shape[0] // step, 8))
    return f32(cv2.resize(field, size, interpolation=cv2.INTER_AREA))


def grown(field: Points, size: tuple[int, int]) -> Points:
    """The inverse of `shrunk`."""
    return f32(cv2.resize(field, size, interpolation=cv2.INTER_LINEAR))


def skin_weight(*shares: Points) -> Points:
    """(h, w): near 1 where all of these are, near 0 where one of them isn't."""
    return f32(smoothstep(np.prod(shares, axis=0), 0.5, 0.9) + 1e-4)
