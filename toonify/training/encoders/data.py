"""What encoders are trained on: photographs, generated pairs, or both in every batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.errors import UsageError
from toonify.models.base import Generator
from toonify.training.data.latent_samples import MIXED, LatentSamples, render, sample_w_plus
from toonify.training.data.photos import PhotoSet

SIZE = 256  # side of the images that losses compare, as published


@dataclass(frozen=True)
class Batch:
    """Faces, photographs first.

    Attributes:
        images: (B, 3, S, S) in [-1, 1].
        w_plus: w+ (P, num_ws, w_dim) of the last P images, which are generated.
    """

    images: Tensor
    w_plus: Tensor

    @property
    def photos(self) -> int:
        """How many of the images are photographs."""
        return len(self.images) - len(self.w_plus)

    def to(self, device: torch.device) -> Batch:
        return Batch(self.images.to(device), self.w_plus.to(device))


class LatentSource(Protocol):
    """Latents with the faces that a generator renders from them."""

    def draw(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """w+ (count, num_ws, w_dim) and images (count, 3, S, S) in [-1, 1] to learn from."""
        ...

    def held_out(self) -> tuple[Tensor, Tensor]:
        """The same, for validation."""
        ...


class StoredSamples:
    """Those of a `LatentSamples`, the last ones held out.

    Raises:
        UsageError: nothing would be left to learn from.
    """

    def __init__(self, samples: LatentSamples, *, held_out: int) -> None:
        if len(samples) <= held_out:
            raise UsageError(
                f"{len(samples)} pairs are too few, {held_out} being kept for validation",
                hint="Sample more.",
            )
        self._samples, self._count = samples, len(samples) - held_out

    def draw(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        return self._samples.batch(torch.randint(self._count, (count,), generator=random))

    def held_out(self) -> tuple[Tensor, Tensor]:
        return self._samples.batch(torch.arange(self._count, len(self._samples)))


class FreshSamples:
    """Sampled and rendered when they are needed: never the same twice, and slower.

    Args:
        mixed: see `sample_w_plus`.
        size: side of the images.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        held_out: int,
        mixed: float = MIXED,
        size: int = SIZE,
        bfloat16: bool = True,
    ) -> None:
        self._generator, self._mixed, self._bfloat16 = generator, mixed, bfloat16
        self._size = size
        # not the seed of any run, so that these faces aren't trained on
        self._held_out = self.draw(held_out, torch.Generator().manual_seed(2**40))

    def draw(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        w_plus = sample_w_plus(self._generator, count, random, mixed=self._mixed)
        images = [
            render(self._generator, part, size=self._size, bfloat16=self._bfloat16)
            for part in w_plus.split(8)
        ]
        return w_plus, torch.cat(images)

    def held_out(self) -> tuple[Tensor, Tensor]:
        return self._held_out


class EncoderData:
    """Batches of a fixed mixture.

    Args:
        photo_share: of photographs in a batch, where there are both.
        held_out: photographs kept for validation, a fifth of them at most.
        size: side S of the images in a batch.
        seed: chooses the photographs kept.

    Raises:
        UsageError: neither photographs nor pairs.
    """

    def __init__(
        self,
        *,
        photos: PhotoSet | None = None,
        pairs: LatentSource | None = None,
        photo_share: float = 0.5,
        held_out: int = 32,
        size: int = SIZE,
        seed: int = 0,
    ) -> None:
        if photos is None and pairs is None:
            raise UsageError("there is nothing to learn from", hint="Give photographs or pairs.")
        self._photos, self._pairs, self._size = photos, pairs, size
        self.photo_share = 1.0 if pairs is None else 0.0 if photos is None else photo_share
        count = 0 if photos is None else len(photos)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        kept = min(held_out, max(1, count // 5))
        self._validation, self._training = order[:kept].sort().values, order[kept:].sort().values

    def draw(self, count: int, random: torch.Generator) -> Batch:
        """Half of the photographs are mirrored; a pair can't be, its latent would be unknown."""
        photos = round(count * self.photo_share)
        if 0 < self.photo_share < 1:
            photos = min(max(photos, 1), count - 1)
        images, w_plus = [], torch.zeros(0)
        if photos and self._photos is not None:
            index = torch.randint(len(self._training), (photos,), generator=random)
            mirrored = torch.rand(photos, 1, 1, 1, generator=random) < 0.5
            faces = self._photos.batch(self._training[index])
            faces = resized(faces, self._size)
            images.append(torch.where(mirrored, faces.flip(3), faces))
        if photos < count and self._pairs is not None:
            w_plus, faces = self._pairs.draw(count - photos, random)
            images.append(resized(faces, self._size))
        return Batch(torch.cat([part.to(images[-1].device) for part in images]), w_plus)

    def photographs(self) -> tuple[np.ndarray, list[str]]:
        """All of them, (N, S, S, 3) uint8, and their names.

        Raises:
            UsageError: there are none.
        """
        if self._photos is None:
            raise UsageError("drawings are made of photographs", hint="Add `photos` FOLDER.")
        return self._photos.images, self._photos.names

    def held_out_photos(self) -> Batch | None:
        """The photographs kept for validation."""
        if self._photos is None:
            return None
        faces = self._photos.batch(self._validation)
        return Batch(resized(faces, self._size), torch.zeros(0))

    def held_out_pairs(self) -> Batch | None:
        """The pairs kept for validation."""
        if self._pairs is None:
            return None
        w_plus, faces = self._pairs.held_out()
        return Batch(resized(faces, self._size), w_plus)


def resized(images: Tensor, size: int) -> Tensor:
    """(B, 3, H, W) → (B, 3, size, size): averaged down, interpolated up."""
    if images.shape[-1] > size:
        return F.interpolate(images, size=(size, size), mode="area")
    if images.shape[-1] < size:
        return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    return images
