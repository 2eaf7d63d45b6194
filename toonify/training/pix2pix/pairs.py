"""Pairs of photographs and drawings from a folder, cut and damaged at random."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from toonify.errors import InputError
from toonify.faces.types import RGB, f32
from toonify.media.images import iter_images, read_image
from toonify.utils.tensors import stacked

log = logging.getLogger(__name__)

PHOTOS, DRAWINGS = "photos", "drawings"
LARGEST_SCALE = 2.1  # of a crop's side, that a picture's shorter side is resized to at most
SHAPE = 0.02  # by which the shapes of a photograph and its drawing may differ


class PairFolder:
    """`photos/` and `drawings/` of equal file names but for the ending.

    A drawing lies exactly over its photograph; it may be larger or smaller. Where `drawings/` has
    folders, each of them is a style, with a drawing of every photograph that it is to learn from.

    Args:
        folder: holds the two.
        crop: side of what `batch` cuts out, px.

    Attributes:
        styles: names of the styles, sorted; empty where `drawings/` holds the drawings of one.

    Raises:
        InputError: no such folders, or no pair in them.

    Examples:
        >>> photos, drawings = PairFolder(Path("studio"), crop=192).batch(8, seed=0)
    """

    def __init__(self, folder: Path, *, crop: int) -> None:
        self.folder, self.crop = folder, crop
        for name in (PHOTOS, DRAWINGS):
            if not (folder / name).is_dir():
                raise InputError(
                    f"{folder} has no folder {name}",
                    hint=f"Pairs are {PHOTOS}/NAME.png and {DRAWINGS}/NAME.png of it.",
                )
        photos = {path.stem: path for path in iter_images(folder / PHOTOS)}
        drawings = folder / DRAWINGS
        named = sorted(path for path in drawings.iterdir() if path.is_dir())
        self.styles = tuple(path.name for path in named)
        self._pairs = {path.name: _pairs(photos, path) for path in named or [drawings]}

    def __len__(self) -> int:
        return sum(map(len, self._pairs.values()))

    def read(self, number: int, style: str | None = None) -> tuple[RGB, RGB]:
        """A photograph (H, W, 3) uint8 and its drawing (H', W', 3).

        Raises:
            InputError: one can't be read, or they are of different shapes.
        """
        paths = self._of(style)[number]
        photo, drawing = (read_image(path).rgb for path in paths)
        shapes = [picture.shape[1] / picture.shape[0] for picture in (photo, drawing)]
        if abs(shapes[0] / shapes[1] - 1) > SHAPE:
            raise InputError(
                f"{paths[1]} is of another shape than its photograph",
                hint="A drawing has to lie exactly over its photograph.",
            )
        return photo, drawing

    def batch(
        self, count: int, *, seed: int | list[int], style: str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Crops of photographs and of their drawings, (count, 3, crop, crop) in [-1, 1] each.

        Args:
            style: one of `styles`; the first when None.
        """
        random = np.random.default_rng(seed)
        pairs = [self._crops(random, style) for _ in range(count)]
        photos, drawings = zip(*pairs, strict=True)
        return stacked(photos), stacked(drawings)

    def _of(self, style: str | None) -> list[tuple[Path, Path]]:
        return self._pairs[style] if style is not None else next(iter(self._pairs.values()))

    def _crops(self, random: np.random.Generator, style: str | None) -> tuple[RGB, RGB]:
        photo, drawing = self.read(int(random.integers(len(self._of(style)))), style)
        short = self.crop * LARGEST_SCALE ** float(random.uniform(0, 1))
        height, width = (
            max(self.crop, round(side * short / min(photo.shape[:2]))) for side in photo.shape[:2]
        )
        top = int(random.integers(height - self.crop + 1))
        left = int(random.integers(width - self.crop + 1))
        place = slice(top, top + self.crop), slice(left, left + self.crop)
        cuts = [_resized(picture, width, height)[place] for picture in (photo, drawing)]
        if random.random() < 0.5:
            cuts = [cut[:, ::-1] for cut in cuts]
        seen, drawn = (np.ascontiguousarray(cut) for cut in cuts)
        return camera(seen, random), drawn


def _pairs(photos: Mapping[str, Path], folder: Path) -> list[tuple[Path, Path]]:
    """Photographs and their drawings in a folder, by equal names."""
    drawings = {path.stem: path for path in iter_images(folder)}
    both = sorted(photos.keys() & drawings.keys())
    if not both:
        raise InputError(
            f"no photograph beside {folder} has a drawing of the same name in it",
            hint=f"Pairs are {PHOTOS}/NAME.png and {DRAWINGS}/NAME.png of it.",
        )
    alone = sorted(photos.keys() ^ drawings.keys())
    if alone:
        log.warning("%d files have no partner and are left out, such as %s", len(alone), alone[0])
    return [(photos[stem], drawings[stem]) for stem in both]


def camera(rgb: RGB, random: np.random.Generator) -> RGB:
    """What cameras do that is not to be drawn: softness, noise, compression; colors stay.

    Colors must stay: a drawing's are the photograph's, and brighter skin is brighter skin.
    """
    height, width = rgb.shape[:2]
    if random.random() < 0.3:
        share = float(random.uniform(0.35, 0.9))
        small = (max(1, round(width * share)), max(1, round(height * share)))
        less = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA)
        rgb = np.asarray(cv2.resize(less, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    if random.random() < 0.5:
        channels = 1 if random.random() < 0.5 else 3
        noise = random.standard_normal((height, width, channels), dtype=np.float32)
        grain = np.float32(255 * random.uniform(0.0, 0.04))
        rgb = np.clip(np.rint(f32(rgb) + noise * grain), 0, 255).astype(np.uint8)
    if random.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(30, 95))]
        _, packed = cv2.imencode(".jpg", rgb, quality)
        rgb = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return rgb


def _resized(rgb: RGB, width: int, height: int) -> RGB:
    shrinks = width < rgb.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=how), np.uint8)
