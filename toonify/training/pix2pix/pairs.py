"""Pairs of photographs and drawings from a folder, cut and damaged at random."""

from __future__ import annotations

import logging
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

    A drawing lies exactly over its photograph; it may be larger or smaller.

    Args:
        folder: holds the two.
        crop: side of what `batch` cuts out, px.

    Raises:
        InputError: no such folders, or no pair in them.

    Example:
        >>> photos, drawings = PairFolder(Path("studio"), crop=192).batch(8, seed=0)
    """

    def __init__(self, folder: Path, *, crop: int) -> None:
        self.folder, self.crop = folder, crop
        found = []
        for name in (PHOTOS, DRAWINGS):
            if not (folder / name).is_dir():
                raise InputError(
                    f"{folder} has no folder {name}",
                    hint=f"Pairs are {PHOTOS}/NAME.png and {DRAWINGS}/NAME.png of it.",
                )
            found.append({path.stem: path for path in iter_images(folder / name)})
        photos, drawings = found
        both = sorted(photos.keys() & drawings.keys())
        self.pairs = [(photos[stem], drawings[stem]) for stem in both]
        if not self.pairs:
            raise InputError(
                f"no photograph in {folder} has a drawing of the same name",
                hint=f"Pairs are {PHOTOS}/NAME.png and {DRAWINGS}/NAME.png of it.",
            )
        alone = sorted(photos.keys() ^ drawings.keys())
        if alone:
            log.warning(
                "%d files have no partner and are left out, such as %s", len(alone), alone[0]
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, number: int) -> tuple[RGB, RGB]:
        """A photograph (H, W, 3) uint8 and its drawing (H', W', 3).

        Raises:
            InputError: one can't be read, or they are of different shapes.
        """
        photo, drawing = (read_image(path).rgb for path in self.pairs[number])
        shapes = [picture.shape[1] / picture.shape[0] for picture in (photo, drawing)]
        if abs(shapes[0] / shapes[1] - 1) > SHAPE:
            raise InputError(
                f"{self.pairs[number][1]} is of another shape than its photograph",
                hint="A drawing has to lie exactly over its photograph.",
            )
        return photo, drawing

    def batch(self, count: int, *, seed: int | list[int]) -> tuple[Tensor, Tensor]:
        """Crops of photographs and of their drawings, (count, 3, crop, crop) in [-1, 1] each."""
        random = np.random.default_rng(seed)
        pairs = [self._crops(random) for _ in range(count)]
        photos, drawings = zip(*pairs, strict=True)
        return stacked(photos), stacked(drawings)

    def _crops(self, random: np.random.Generator) -> tuple[RGB, RGB]:
        photo, drawing = self.read(int(random.integers(len(self.pairs))))
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
