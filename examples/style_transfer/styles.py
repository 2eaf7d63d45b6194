"""Pictures in many manners, drawn by program: what the default network of style transfer learns.

Brush strokes along flows, dots, mosaics, stained glass, hatching, woodcuts, washes, shards and
flat shapes, in random palettes, over random compositions. No artist's picture is among them.

Given photographs, half of them are drawn over these, most in another palette, so that strokes
follow what a picture shows.

usage: python -m examples.style_transfer.styles OUT [--count 400] [--size 384] [--photos FOLDER]
"""

from __future__ import annotations

import argparse
import colorsys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.media.images import iter_images, read_image, write_image
from toonify.training.style_transfer.pictures import random_crop

Array = NDArray[np.float32]
Random = np.random.Generator


def noise(rng: Random, size: int, scale: float, octaves: int = 3) -> Array:
    """(size, size) smooth noise of mean 0 and deviation 1; `scale` in px."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = max(2, round(size / scale * 2**octave))
        field = rng.standard_normal((cells, cells)).astype(np.float32)
        total += cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC) / 1.8**octave
    return (total - total.mean()) / (total.std() + 1e-6)


def palette(rng: Random, count: int) -> Array:
    """(count, 3) in [0, 1]: hues around one or two, dark to light, with an accent."""
    hue, spread = rng.random(), rng.choice([0.04, 0.12, 0.5])
    gamma = rng.uniform(0.35, 1.1)
    colors = []
    for index in range(count):
        h = hue + rng.normal() * spread + (0.5 if rng.random() < 0.2 else 0)
        value = np.clip((index + rng.random()) / count, 0.03, 1) ** gamma
        saturation = np.clip(rng.beta(2, 1.6) * (1.1 - 0.5 * abs(value - 0.6)), 0, 1)
        colors.append(colorsys.hsv_to_rgb(h % 1, saturation, value))
    return np.asarray(colors, np.float32)


def composition(rng: Random, size: int) -> Array:
    """(size, size, 3): soft areas of a palette, to be drawn over."""
    colors = palette(rng, int(rng.integers(4, 9)))
    field = noise(rng, size, size / rng.uniform(1.5, 6))
    ranks = field.argsort(axis=None).argsort().reshape(size, size) / size**2
    index = ranks * (len(colors) - 1)
    low = np.floor(index).astype(int)
    share = (index - low)[..., None] if rng.random() < 0.5 else np.float32(0)
    high = np.minimum(low + 1, len(colors) - 1)
    order = rng.permutation(len(colors)) if rng.random() < 0.5 else np.arange(len(colors))
    return np.asarray(colors[order[low]] * (1 - share) + colors[order[high]] * share, np.float32)


def strokes(rng: Random, base: Array) -> Array:
    """Brush strokes along a flow, large ones first, each of one slightly varied color."""
    size = len(base)
    out = base.copy()
    angle = noise(rng, size, size / rng.uniform(1, 5), 2) * rng.uniform(0.3, 2.5)
    thick, long = rng.uniform(2, 9), rng.uniform(8, 50)
    vary = rng.uniform(0.02, 0.18)
    for layer in (1.8, 1.0, 0.6):
        width, length = max(1, round(thick * layer)), long * layer
        for _ in range(int(1.6 * size * size / (width * length + 8))):
            x, y = rng.random(2) * size
            color = base[int(y), int(x)] + rng.normal() * vary + rng.normal(size=3) * vary * 0.5
            points = []
            for _ in range(5):
                points.append((x, y))
                turn = angle[int(np.clip(y, 0, size - 1)), int(np.clip(x, 0, size - 1))]
                x, y = x + np.cos(turn) * length / 5, y + np.sin(turn) * length / 5
            line = np.rint(np.array(points) * 8).astype(np.int32)
            cv2.polylines(out, [line], False, color.tolist(), width, cv2.LINE_AA, 3)
    return out


def dots(rng: Random, base: Array) -> Array:
    """Points of pure colors on a ground."""
    size, radius = len(base), rng.uniform(1.5, 6)
    out = np.full_like(base, rng.uniform(0.1, 1))
    vary = rng.uniform(0.05, 0.3)
    for _ in range(int(1.3 * size * size / radius**2)):
        x, y = rng.random(2) * size
        color = base[int(y), int(x)] + rng.normal(size=3) * vary
        at = (round(x * 8), round(y * 8))
        cv2.circle(out, at, round(radius * 8 * rng.uniform(0.6, 1.1)), color.tolist(), -1, 16, 3)
    return out


def cells(rng: Random, base: Array) -> Array:
    """Voronoi cells in one color each: mosaic, or stained glass with dark leading."""
    size = len(base)
    count = int(rng.integers(60, 1500))
    seeds = np.ones((size, size), np.uint8)
    at = (rng.random((count, 2)) * size).astype(int)
    seeds[at[:, 0], at[:, 1]] = 0
    _, labels = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colors = np.zeros((labels.max() + 1, 3), np.float32)
    colors[labels[at[:, 0], at[:, 1]]] = base[at[:, 0], at[:, 1]]
    colors += rng.normal(size=colors.shape).astype(np.float32) * rng.uniform(0, 0.15)
    out = colors[labels]
    if rng.random() < 0.7:
        edge = cv2.morphologyEx(labels.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0
        wide = cv2.dilate(
            edge.astype(np.uint8), np.ones((2, 2)), iterations=int(rng.integers(1, 3))
        )
        out[wide > 0] = rng.choice([0.05, 0.08, 0.85])
    return out


def hatching(rng: Random, base: Array) -> Array:
    """Ink lines, denser where it is darker, in one to three directions on paper."""
    size = len(base)
    gray = base.mean(2)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    wobble = noise(rng, size, size / 4) * rng.uniform(0, 4)
    ink = np.zeros((size, size), np.float32)
    period = rng.uniform(3.5, 11)
    for layer in range(int(rng.integers(1, 4))):
        turn = rng.uniform(0, np.pi)
        wave = np.sin((x * np.cos(turn) + y * np.sin(turn) + wobble) * 2 * np.pi / period)
        ink = np.maximum(ink, np.clip((1 - gray * (1 + 0.5 * layer) - 0.5 * wave - 0.4) * 4, 0, 1))
    paper, pen = rng.uniform(0.75, 1, 3), rng.uniform(0, 0.35, 3)
    if rng.random() < 0.3:
        paper, pen = pen, paper
    return np.asarray(paper * (1 - ink[..., None]) + pen * ink[..., None], np.float32)


def woodcut(rng: Random, base: Array) -> Array:
    """Few flat tones with carved, wavy contours."""
    size = len(base)
    field = cv2.GaussianBlur(base.mean(2), (0, 0), 2) + noise(rng, size, size / 6) * 0.1
    bands = np.sin(field * rng.uniform(20, 90))
    tones = palette(rng, int(rng.integers(2, 5)))
    index = np.digitize(field, np.quantile(field, np.linspace(0, 1, len(tones) + 1)[1:-1]))
    out = tones[index]
    out[bands > rng.uniform(0.2, 0.8)] = tones[0] * 0.4
    return out


def wash(rng: Random, base: Array) -> Array:
    """Watercolor: translucent pools with darker rims and grain of the paper."""
    size = len(base)
    out = np.full_like(base, 0.96)
    for _ in range(int(rng.integers(8, 30))):
        shape = noise(rng, size, size / rng.uniform(2, 7)) > rng.uniform(0.3, 1.5)
        soft = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), rng.uniform(0.7, 5))
        rim = np.clip(1 - np.abs(soft - 0.5) * 4, 0, 1) * rng.uniform(0, 0.5)
        y, x = rng.integers(size, size=2)
        pigment = 1 - np.clip(base[y, x] * 0.8 + 0.25, 0, 1)
        out *= 1 - pigment * (soft * 0.8 + rim)[..., None]
    grain = 1 + noise(rng, size, 3, 1) * rng.uniform(0, 0.05)
    return np.asarray(out * grain[..., None], np.float32)


def shards(rng: Random, base: Array) -> Array:
    """Overlapping polygons with shaded edges."""
    size = len(base)
    out = base.copy()
    outlined = rng.random() < 0.6
    for _ in range(int(rng.integers(40, 300))):
        center, reach = rng.random(2) * size, rng.uniform(8, size / 4)
        corners = center + rng.normal(size=(int(rng.integers(3, 6)), 2)) * reach
        x, y = np.clip(center, 0, size - 1).astype(int)
        color = (base[y, x] * rng.uniform(0.7, 1.25)).tolist()
        shape = cv2.convexHull(np.rint(corners * 8).astype(np.int32))
        cv2.fillPoly(out, [shape], color, cv2.LINE_AA, 3)
        if outlined:
            cv2.polylines(out, [shape], True, [0.05] * 3, int(rng.integers(1, 4)), cv2.LINE_AA, 3)
    return out


def flat(rng: Random, base: Array) -> Array:
    """Posterised areas with smooth borders, outlined or not."""
    size = len(base)
    colors = palette(rng, int(rng.integers(3, 8)))
    field = cv2.GaussianBlur(noise(rng, size, size / rng.uniform(2, 8)), (0, 0), 3)
    cuts = np.quantile(field, np.linspace(0, 1, len(colors) + 1)[1:-1])
    index = np.digitize(field, cuts)
    out = colors[rng.permutation(len(colors))][index]
    if rng.random() < 0.5:
        edge = cv2.morphologyEx(index.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3)))
        out[edge > 0] = 0.05
        out = cv2.GaussianBlur(out, (0, 0), 0.8)
    return out


def rings(rng: Random, base: Array) -> Array:
    """Swirls: concentric strokes around several centers."""
    size = len(base)
    out = base.copy()
    for _ in range(int(rng.integers(5, 25))):
        x, y = rng.random(2) * size
        reach = rng.uniform(10, size / 4)
        radius = reach
        while radius > 2:
            color = base[int(y), int(x)] + rng.normal(size=3) * 0.15 + 0.3 * (1 - radius / reach)
            start = rng.uniform(0, 360)
            for piece in range(int(rng.integers(2, 7))):
                angle = start + piece * 75
                cv2.ellipse(
                    out,
                    (round(x), round(y)),
                    (round(radius), round(radius * 0.9)),
                    0,
                    angle,
                    angle + 60,
                    color.tolist(),
                    int(rng.integers(2, 6)),
                    cv2.LINE_AA,
                )
            radius -= rng.uniform(3, 8)
    return out


MANNERS: tuple[Callable[[Random, Array], Array], ...] = (
    strokes, strokes, strokes, dots, cells, cells, hatching, woodcut, wash, shards, flat, rings,
)  # fmt: skip


def repainted(rng: Random, photo: Array) -> Array:
    """A photograph (size, size, 3) in [0, 1], three times of four in a palette by its lightness."""
    if rng.random() < 0.25:
        return photo
    colors = palette(rng, int(rng.integers(3, 8)))
    gray = photo.mean(2)
    index = gray.argsort(axis=None).argsort().reshape(gray.shape) / gray.size * (len(colors) - 1)
    low = np.floor(index).astype(int)
    share = (index - low)[..., None]
    mapped = colors[low] * (1 - share) + colors[np.minimum(low + 1, len(colors) - 1)] * share
    return np.asarray(0.8 * mapped + 0.2 * photo, np.float32)


def draw(rng: Random, size: int, photo: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """One picture (size, size, 3); some manners go over another's result.

    Args:
        photo: (size, size, 3) uint8, drawn over instead of a random composition.
    """
    given = None if photo is None else photo.astype(np.float32) / 255
    picture = composition(rng, size) if given is None else repainted(rng, given)
    for _ in range(2 if rng.random() < 0.3 else 1):
        manner = MANNERS[int(rng.integers(len(MANNERS)))]
        picture = np.clip(manner(rng, np.ascontiguousarray(picture)), 0, 1).astype(np.float32)
    return np.rint(picture * 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--photos", type=Path, help="folder; every other picture is drawn over one")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    photos = sorted(iter_images(options.photos)) if options.photos else []
    for index in range(options.count):
        rng = np.random.default_rng([options.seed, index])
        photo = None
        if photos and index % 2:
            rgb = read_image(photos[int(rng.integers(len(photos)))]).rgb
            photo = random_crop(rgb, options.size, rng)
        write_image(options.out / f"{index:04d}.jpg", draw(rng, options.size, photo))


if __name__ == "__main__":
    main()
