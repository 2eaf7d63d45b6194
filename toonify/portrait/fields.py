"""Smooth scalar fields over a picture, which shapes are cut from: blurs, flow, distances, colors.

All fields are float32 (H, W). Lengths and sigmas are px of the field.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from toonify.faces.types import f32
from toonify.utils import ramps

Field = NDArray[np.float32]
Lab = NDArray[np.float32]  # (..., 3): L 0..100, a and b about -100..100
_NO_MAP = np.empty(0, np.float32)  # OpenCV's second map, where the first holds x and y


def blur(field: ArrayLike, sigma: float) -> Field:
    """Gaussian blur; wide ones run on a reduced copy, which nobody can tell apart."""
    image = f32(field)
    if sigma <= 0.2:
        return image
    if sigma > 6 and min(image.shape[:2]) > 32:
        step = 2 if sigma <= 14 else 4
        size = (max(image.shape[1] // step, 8), max(image.shape[0] // step, 8))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(
            small, (0, 0), sigma * size[0] / image.shape[1], borderType=cv2.BORDER_REPLICATE
        )
        return f32(
            cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
        )
    return f32(cv2.GaussianBlur(image, (0, 0), float(sigma), borderType=cv2.BORDER_REPLICATE))


def smoothstep(field: ArrayLike, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth between."""
    return f32(ramps.smoothstep(f32(field), low, high))


def resize(field: ArrayLike, size: tuple[int, int]) -> Field:
    """To `size` (width, height): averaging when it shrinks, linear when it grows."""
    image = f32(field)
    shrinks = size[0] < image.shape[1]
    return f32(
        cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    )


def to_lab(rgb: NDArray[np.uint8]) -> Lab:
    """(H, W, 3) uint8 RGB to CIELAB, float32."""
    return f32(cv2.cvtColor(f32(rgb) / 255, cv2.COLOR_RGB2LAB))


def to_rgb(lab: ArrayLike) -> NDArray[np.float32]:
    """One CIELAB color (3,) to RGB in 0..1, clipped to what a screen can show."""
    one = f32(lab).reshape(1, 1, 3)
    return f32(np.clip(cv2.cvtColor(one, cv2.COLOR_LAB2RGB)[0, 0], 0, 1))


def weighted_mean(values: ArrayLike, weight: ArrayLike) -> Field:
    """Mean of (H, W, C) under `weight` (H, W): (C,)."""
    w = f32(weight).ravel()
    v = f32(values).reshape(len(w), -1)
    return f32(w @ v / (float(w.sum()) + 1e-6))


def weighted_quantile(values: ArrayLike, weight: ArrayLike, q: Sequence[float]) -> Field:
    """Quantiles `q` (0..1) of a field under a weight; 0 where nothing weighs."""
    v, w = f32(values).ravel(), f32(weight).ravel()
    seen = w > 0.05
    if not seen.any():
        return f32(np.zeros(len(q)))
    v, w = v[seen], w[seen]
    if len(v) > 20000:  # a regular sample is as good
        step = len(v) // 20000 + 1
        v, w = v[::step], w[::step]
    order = np.argsort(v)
    total = np.cumsum(w[order])
    at = np.searchsorted(total, total[-1] * f32(q)).clip(0, len(v) - 1)
    return f32(v[order][at])


def fill_from(field: Field, weight: Field, near: float, far: float) -> Field:
    """`field` where `weight` is 1; elsewhere its weighted blur, `far` where `near` sees nothing."""
    n = f32(np.clip(weight, 0, 1))
    w1, w2 = blur(n, near), blur(n, far)
    a = blur(field * n, near) / (w1 + 1e-6)
    b = blur(field * n, far) / (w2 + 1e-6)
    mean = float((field * n).sum() / (n.sum() + 1e-6))
    k2 = np.clip(w2 * 50, 0, 1)
    b = b * k2 + mean * (1 - k2)
    k = np.clip(w1 * 4, 0, 1)
    return f32(a * k + b * (1 - k))


def guided(guide: Field, field: Field, radius: int, eps: float) -> Field:
    """Guided filter (He et al., 2010): `field` with the edges of `guide` (0..1)."""
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(a: Field) -> Field:
        return f32(cv2.blur(a, size))

    mean_g, mean_f = mean(guide), mean(field)
    a = (mean(guide * field) - mean_g * mean_f) / (mean(guide * guide) - mean_g**2 + eps)
    return f32(mean(f32(a)) * guide + mean(f32(mean_f - a * mean_g)))


class Streamlines:
    """The edge tangent flow of a picture, and averages along it.

    Unit vectors along edges come from the smoothed structure tensor; fields are averaged along
    the lines they form, which is line integral convolution (Cabral & Leedom, 1993). Lines are
    traced once, at half the resolution. An average over nine samples is one over three, a third
    of the way apart, of averages over three: four samples instead of eight.

    Args:
        luminance: (H, W).
        sigma: of the picture's derivatives; `spread`: of the tensor.
        reach: px that lines go each way.
    """

    STEPS = (1, 3)  # of a line, at which each of the two averages looks
    WIDTH = 4.2  # steps of a line that make its reach

    def __init__(self, luminance: Field, *, sigma: float, spread: float, reach: float) -> None:
        g = blur(luminance, sigma)
        gx, gy = cv2.Sobel(g, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(g, cv2.CV_32F, 0, 1, ksize=3)
        height, width = luminance.shape
        half = ((width + 1) // 2, (height + 1) // 2)

        def tensor(product: Field) -> Field:
            small = cv2.resize(product, half, interpolation=cv2.INTER_AREA)
            return blur(small, spread / 2)

        a, b, c = tensor(gx * gx), tensor(gx * gy), tensor(gy * gy)
        # as a vector at twice its angle, a direction can be averaged and sampled in between
        self._double = np.dstack([a - c, 2 * b])
        angle = f32(0.5 * np.arctan2(2 * b, a - c) + np.pi / 2)
        flow = np.dstack([np.cos(angle), np.sin(angle)])
        grid = np.dstack(
            np.meshgrid(np.arange(half[0], dtype=np.float32), np.arange(half[1], dtype=np.float32))
        )
        full = np.dstack(
            np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        )
        step = np.float32(reach / self.WIDTH / 2)
        self._maps: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {i: [] for i in self.STEPS}
        for sign in (1, -1):
            at = grid.copy()
            ahead = flow * np.float32(sign)
            for i in range(1, max(self.STEPS) + 1):
                at += ahead * step
                if i in self._maps:
                    # Neighboring lines may run in opposite directions: no interpolation of offsets.
                    far = np.repeat(np.repeat((at - grid) * 2, 2, 0), 2, 1)[:height, :width] + full
                    self._maps[i].append(cv2.convertMaps(far, _NO_MAP, cv2.CV_16SC2))
                if i < max(self.STEPS):
                    new = cv2.remap(
                        flow, at, _NO_MAP, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
                    )
                    dot = new[..., 0] * ahead[..., 0] + new[..., 1] * ahead[..., 1]
                    ahead = f32(new * np.where(dot < 0, np.float32(-1), np.float32(1))[..., None])

    def trace(self, seeds: Field, *, step: float, count: int, spread: float) -> Field:
        """Lines through `seeds` (N, 2) px, both ways: (N, 2 count + 1, 2).

        Args:
            step: px between the points of a line.
            count: points on either side of the seed.
            spread: px, sigma that directions are averaged with first, for calm lines.
        """
        double = f32(blur(self._double, spread / 2))
        last = f32([double.shape[1] - 1, double.shape[0] - 1])

        def direction(at: Field) -> Field:
            where = np.clip((at - 0.5) / 2, 0, last)
            two = cv2.remap(
                double, f32(where[:, None, 0]), f32(where[:, None, 1]), cv2.INTER_LINEAR
            ).reshape(-1, 2)
            angle = 0.5 * np.arctan2(two[:, 1], two[:, 0]) + np.pi / 2
            return f32(np.stack([np.cos(angle), np.sin(angle)], 1))

        start = direction(seeds)
        sides = []
        for sign in (-1, 1):
            at, ahead, line = f32(seeds), f32(start * sign), []
            for _ in range(count):
                at = f32(at + ahead * step)
                line.append(at)
                new = direction(at)
                ahead = f32(new * np.where((new * ahead).sum(1, keepdims=True) < 0, -1, 1))
            sides.append(np.stack(line, 1))
        return f32(np.concatenate([sides[0][:, ::-1], seeds[:, None], sides[1]], 1))

    def average(self, field: Field) -> Field:
        """`field` (H, W) or (H, W, C <= 4) averaged along the lines."""
        for maps in self._maps.values():
            total = f32(field * np.float32(2))  # nearer samples count more, as under a Gaussian
            for first, second in maps:
                sample = cv2.remap(
                    field, first, second, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                )
                total = f32(cv2.add(total, sample))
            field = f32(total * np.float32(1 / (2 + len(maps))))
        return field


def signed_distance(mask: ArrayLike, limit: float = 60.0) -> Field:
    """Distance to the border of a mask (0..1 cut at 0.5), positive inside, smoothed a little.

    `mask` should be smooth, so that the border is known to a fraction of a px.
    """
    m = f32(mask)
    inside = (m > 0.5).astype(np.uint8)
    d_in = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    d_out = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    coarse = np.clip(d_in - d_out, -limit, limit)
    coarse = coarse - np.sign(coarse) * 0.5
    gx, gy = cv2.Sobel(m, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(m, cv2.CV_32F, 0, 1, ksize=3)
    slope = np.sqrt(gx * gx + gy * gy) / 8
    fine = (m - 0.5) / np.maximum(slope, 0.02)
    near = np.exp(-((coarse / 2.5) ** 2))
    return blur(f32(fine * near + coarse * (1 - near)), 0.8)


def remove_small(mask: Field, area: float, holes: float) -> Field:
    """`mask` (0..1) without islands below `area` px² and without holes below `holes` px²."""
    out = mask.copy()
    for value, limit in ((1, area), (0, holes)):
        binary = (out > 0.5).astype(np.uint8)
        if not value:
            binary = 1 - binary
        _, labels = cv2.connectedComponents(binary)
        small = np.bincount(labels.ravel()) < limit  # faster than OpenCV's own statistics
        small[0] = False
        if small.any():
            hit = small[labels]
            out[hit] = np.minimum(out[hit], 0.3) if value else np.maximum(out[hit], 0.7)
    return out
