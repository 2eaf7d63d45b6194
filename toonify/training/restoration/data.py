"""Aligned faces and the same at few pixels, as cameras and services make them small."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as PILImage
from torch import Tensor

from toonify.training.data.photos import PhotoSet
from toonify.utils.tensors import to_arrays, to_tensor

SIDES = (12, 160)  # px across, drawn evenly in their logarithm
USUAL, USUAL_SHARE = (24, 72), 0.5  # half of them from here
SPOILED = 0.3  # share with noise or compression
NOISE = 0.03  # most of its deviation, of 2
QUALITY = (50, 95)  # JPEG's
HOWS = ("area", "area", "bilinear", "bicubic")  # resamplings that make pictures small


@dataclass(frozen=True, eq=False)
class RestorationBatch:
    """Faces (B, 3, S, S) in [-1, 1], the same small and enlarged, and px across when small (B,)."""

    faces: Tensor
    photos: Tensor
    sides: Tensor


def draw_batch(faces: PhotoSet, index: Tensor, random: np.random.Generator) -> RestorationBatch:
    """Faces of a set, turned over and lit at random, each made small in its own way."""
    pictures = faces.batch(index)
    mirrored = torch.from_numpy(random.random(len(index)) < 0.5)
    pictures = torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures)
    pictures = _lit(pictures, random)
    sides = [_side(random) for _ in range(len(index))]
    small = [
        made_small(picture[None], side, random)
        for picture, side in zip(pictures, sides, strict=True)
    ]
    size = pictures.shape[2:]
    photos = torch.cat([F.interpolate(x, size, mode="bicubic", align_corners=False) for x in small])
    return RestorationBatch(pictures, photos, torch.tensor(sides, dtype=torch.float32))


def made_small(picture: Tensor, side: int, random: np.random.Generator) -> Tensor:
    """(1, 3, S, S) → (1, 3, side, side) by some resampling, at times spoiled."""
    how = HOWS[int(random.integers(len(HOWS)))]
    if how == "area":
        small = F.interpolate(picture, (side, side), mode="area")
    else:
        small = F.interpolate(picture, (side, side), mode=how, antialias=True, align_corners=False)
    small = small.clamp(-1, 1)
    if random.random() >= SPOILED:
        return small
    if random.random() < 0.5:
        noise = random.standard_normal(tuple(small.shape), dtype=np.float32)
        return small + torch.from_numpy(noise) * float(random.uniform(0, NOISE))
    with io.BytesIO() as packed:
        quality = int(random.integers(*QUALITY))
        PILImage.fromarray(to_arrays(small)[0]).save(packed, "JPEG", quality=quality)
        return to_tensor(np.asarray(PILImage.open(packed).convert("RGB"), np.uint8))


def _side(random: np.random.Generator) -> int:
    low, high = USUAL if random.random() < USUAL_SHARE else SIDES
    return round(float(np.exp(random.uniform(np.log(low), np.log(high)))))


def _lit(pictures: Tensor, random: np.random.Generator) -> Tensor:
    """Brighter, darker, warmer, cooler, of more or less contrast."""
    count = len(pictures)
    bend = np.exp(random.normal(0, 0.15, (count, 1, 1, 1)))
    gain = np.exp(random.normal(0, 0.05, (count, 3, 1, 1)))
    bends, gains = (torch.from_numpy(x.astype(np.float32)) for x in (bend, gain))
    light = ((pictures + 1) / 2).clamp(0, 1) ** bends * gains
    return (light.clamp(0, 1) * 2 - 1).float()
