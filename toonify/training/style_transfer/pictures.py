"""Random crops of folders of pictures, for networks of style transfer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from toonify.errors import InputError
from toonify.faces.types import RGB
from toonify.media.images import pictures_under, read_image

TRIES = 50  # damaged pictures in a row before a folder is given up


class PictureFolder:
    """Random crops of a folder's pictures.

    Raises:
        InputError: no such folder, or no picture in it.
    """

    def __init__(self, folder: Path, *, crop: int) -> None:
        self.folder, self.crop = folder, crop
        self.paths = pictures_under(folder, "pictures")

    def batch(self, count: int, random: np.random.Generator) -> Tensor:
        """(count, 3, crop, crop) in [0, 1]."""
        crops = [self._crop(random) for _ in range(count)]
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255

    def _crop(self, random: np.random.Generator) -> RGB:
        for last in reversed(range(TRIES)):
            path = self.paths[int(random.integers(len(self.paths)))]
            try:
                return random_crop(read_image(path).rgb, self.crop, random)
            except InputError:  # damaged: another one
                if not last:
                    raise
        raise AssertionError("unreachable")


def random_crop(rgb: RGB, size: int, random: np.random.Generator) -> RGB:
    """(size, size, 3) out of (H, W, 3), shrunk at random to between one and two crops, flipped."""
    short = size * float(random.uniform(1, 2))
    scale = short / min(rgb.shape[:2])
    height, width = (max(size, round(side * scale)) for side in rgb.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(rgb, (width, height), interpolation=how)
    top, left = (int(random.integers(side - size + 1)) for side in (height, width))
    cut = small[top : top + size, left : left + size]
    return np.ascontiguousarray(cut[:, ::-1] if random.random() < 0.5 else cut)


def style_samples(folders: Sequence[PictureFolder], count: int, seed: int) -> Tensor:
    """Crops (N, 3, crop, crop) in [0, 1] of several folders, for `normalized_vgg16`."""
    random = np.random.default_rng(seed)
    return torch.cat([folder.batch(count, random) for folder in folders])
