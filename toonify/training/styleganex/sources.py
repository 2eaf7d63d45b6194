"""Where StyleGANEX's training frames come from: faces, drawings, edits, toonified people."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from toonify.errors import UsageError
from toonify.faces.types import RGB
from toonify.models.base import Generator
from toonify.training.data.latent_samples import render, sample_w_plus
from toonify.training.encoders.data import Batch, EncoderData, resized
from toonify.training.styleganex.batch import FrameBatch
from toonify.training.styleganex.compose import Scene, compose
from toonify.training.styleganex.cutouts import CutoutSet
from toonify.training.styleganex.warps import random_warp, warped
from toonify.utils.tensors import stacked, to_float

SIZE = 256
TILT, ZOOM, SHIFT = 25.0, 0.35, 0.35  # of unaligned frames
ALIGNED = 0.25  # share of the frames left as they are
HELD_OUT = 4
Sampler = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]


def _unaligned(count: int, random: torch.Generator) -> Tensor:
    """(count, 2, 3) face → frame; some are the identity."""
    theta = random_warp(count, random, tilt=TILT, zoom=ZOOM, shift=SHIFT)
    kept = torch.rand(count, 1, 1, generator=random) < ALIGNED
    return torch.where(kept, torch.eye(3)[:2], theta)


class FaceFrames:
    """Frames of faces, to be rendered again: whole, or out of few pixels.

    Args:
        data: aligned faces.
        factors: range of super-resolution's factor; None where nothing is lowered.
        encode: reads w+ of the faces, (B, 3, S, S) in [-1, 1] → (B, num_ws, w_dim), for an encoder
            that has no heads for it; light and colors vary then.

    Attributes:
        has_latents: whether there are generated faces, of which batches tell w+.
    """

    def __init__(
        self,
        data: EncoderData,
        *,
        factors: tuple[int, int] | None = None,
        encode: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._data, self._factors, self._encode = data, factors, encode
        found = data.held_out_photos() or data.held_out_pairs()
        if found is None:
            raise UsageError("no face is held out", hint="Raise `held_out`.")
        self.has_latents = factors is None and data.photo_share < 1
        self._kept = Batch(found.images[:HELD_OUT], found.w_plus[:HELD_OUT])

    def _batch(self, read: Batch, random: torch.Generator) -> FrameBatch:
        faces = resized(read.images, SIZE)
        w_plus = None
        if self._encode is not None:
            faces = relit(faces, random)
            with torch.no_grad():
                w_plus = self._encode(faces)
        theta = _unaligned(len(faces), random)
        frames = warped(faces, theta)
        if self._factors is None:
            latents = read.w_plus if len(read.w_plus) else None
            return FrameBatch(
                frames, frames, faces=faces, w_plus=w_plus, theta=theta, latents=latents
            )
        low, high = (float(np.log(f)) for f in self._factors)
        factor = float(torch.empty(()).uniform_(low, high, generator=random).exp())
        # the published answer is four times the frame
        side = max(4, round(SIZE * 4 / factor)) if factor > 4 else SIZE
        return FrameBatch(
            _few_pixels(frames, side), frames, faces=_few_pixels(faces, side), theta=theta
        )

    def draw(self, count: int, random: torch.Generator) -> FrameBatch:
        return self._batch(self._data.draw(count, random), random)

    def held_out(self) -> FrameBatch:
        return self._batch(self._kept, torch.Generator().manual_seed(1))


def relit(images: Tensor, random: torch.Generator) -> Tensor:
    """Images (B, 3, H, W) in [-1, 1] of another exposure, contrast and white balance each."""
    shape = (len(images), 1, 1, 1)

    def around(limit: float, *size: int) -> Tensor:
        return torch.empty(*size).uniform_(-limit, limit, generator=random).exp().to(images)

    light = (images + 1) / 2 * around(0.15, len(images), 3, 1, 1)
    light = light.clamp(min=1e-4) ** around(0.35, *shape)
    return ((light - 0.5) * around(0.2, *shape) * 2).clamp(-1, 1)


def _few_pixels(images: Tensor, side: int) -> Tensor:
    if side >= images.shape[-1]:
        return images
    small = F.interpolate(images, size=(side, side), mode="area")
    return F.interpolate(small, size=images.shape[-2:], mode="bicubic").clamp(-1, 1)


class FaceDrawings:
    """Frames of sketches or label maps, to become the faces they were made from.

    Args:
        faces: (N, S, S, 3) uint8, aligned.
        drawings: (N, S, S) uint8: dark lines on white, or label numbers.
        labels: 1 for sketches, else how many labels there are.
    """

    def __init__(self, faces: np.ndarray, drawings: np.ndarray, *, labels: int) -> None:
        if len(faces) != len(drawings) or len(faces) <= HELD_OUT:
            raise UsageError(
                f"{len(faces)} faces and {len(drawings)} drawings are too few, or not as many"
            )
        self._faces, self._drawings, self._labels = faces, drawings, labels

    def _batch(self, index: Tensor, random: torch.Generator) -> FrameBatch:
        rows = index.numpy()
        faces = torch.from_numpy(np.asarray(self._faces[rows])).permute(0, 3, 1, 2)
        faces = resized(to_float(faces), SIZE)
        drawings = torch.from_numpy(np.asarray(self._drawings[rows]))[:, None]
        if self._labels > 1:
            layers = F.one_hot(drawings[:, 0].long(), self._labels).permute(0, 3, 1, 2).float()
            layers = F.interpolate(layers, size=(SIZE, SIZE), mode="nearest")
        else:
            layers = resized(drawings.float() / 255, SIZE)
        theta = _unaligned(len(faces), random)
        frames = warped(layers, theta, nearest=self._labels > 1)
        return FrameBatch(frames, warped(faces, theta), theta=theta)

    def draw(self, count: int, random: torch.Generator) -> FrameBatch:
        index = torch.randint(HELD_OUT, len(self._faces), (count,), generator=random)
        return self._batch(index, random)

    def held_out(self) -> FrameBatch:
        return self._batch(torch.arange(HELD_OUT), torch.Generator().manual_seed(1))


def pencil_sketch(face: RGB) -> NDArray[np.uint8]:
    """Dark lines on white (H, W) of a face (H, W, 3) uint8: difference of Gaussians, thresholded
    softly (XDoG, Winnemöller et al. 2012)."""
    gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    sigma = face.shape[0] / 256
    fine = cv2.GaussianBlur(gray, (0, 0), 0.9 * sigma)
    coarse = cv2.GaussianBlur(gray, (0, 0), 1.6 * 0.9 * sigma)
    edge = fine - 0.985 * coarse
    lines = np.where(edge > 0.004, 1.0, 1.0 + np.tanh(45 * (edge - 0.004)))
    return np.clip(np.rint(255 * lines), 0, 255).astype(np.uint8)


class EditFrames:
    """Sampled faces in frames, to become the same with their latents moved along a vector.

    Args:
        generator: samples and edits.
        direction: (num_ws, w_dim).
        strength: largest factor on it, either way.
    """

    def __init__(self, generator: Generator, direction: Tensor, *, strength: float = 1.0) -> None:
        self._generator, self._direction, self._strength = generator, direction, strength

    @torch.no_grad()
    def draw(self, count: int, random: torch.Generator) -> FrameBatch:
        w_plus = sample_w_plus(self._generator, count, random, mixed=0.0)
        amount = torch.empty(count, 1, 1).uniform_(-1, 1, generator=random) * self._strength
        v = amount.to(w_plus) * self._direction.to(w_plus)
        size = min(SIZE, self._generator.resolution)
        before, after = (render(self._generator, w, size=size) for w in (w_plus, w_plus + v))
        theta = _unaligned(count, random).to(w_plus)
        return FrameBatch(
            warped(before, theta),
            warped(after, theta),
            faces=resized(before, SIZE),
            v=v,
            theta=theta,
        )

    def held_out(self) -> FrameBatch:
        return self.draw(HELD_OUT, torch.Generator().manual_seed(2**40))


class ToonPairs:
    """Sampled faces in frames, to become what a cartoon generator draws of the same latents.

    Args:
        sample: count and random numbers → aligned faces and drawings, (B, 3, S, S) in [-1, 1].
        w_plus: w+ (num_ws, w_dim) to render with, a character's; None for the faces' own.
    """

    def __init__(self, sample: Sampler, w_plus: Tensor | None = None) -> None:
        self._sample, self._w_plus = sample, w_plus

    def draw(self, count: int, random: torch.Generator) -> FrameBatch:
        faces, drawings = self._sample(count, random)
        theta = _unaligned(count, random).to(faces)
        w_plus = None if self._w_plus is None else self._w_plus.expand(count, -1, -1)
        return FrameBatch(
            warped(resized(faces, SIZE), theta),
            warped(drawings, theta),
            faces=resized(faces, SIZE) if w_plus is None else None,
            w_plus=w_plus,
            theta=theta,
        )

    def held_out(self) -> FrameBatch:
        return self.draw(HELD_OUT, torch.Generator().manual_seed(2**40))


class ComposedFrames:
    """People cut out and put before backgrounds, to get drawn heads.

    Args:
        cutouts: people and drawings; the last ones are held out.
        w_plus: w+ (num_ws, w_dim) of every character, in the order of its names.
        scene: what frames look like; `scale` as the generator's.
    """

    def __init__(self, cutouts: CutoutSet, w_plus: Tensor, scene: Scene) -> None:
        if len(w_plus) != len(cutouts.characters):
            raise UsageError(
                f"{len(cutouts.characters)} characters are drawn, {len(w_plus)} have a latent"
            )
        self._count = len(cutouts) - 2 * HELD_OUT
        if self._count < 1:
            raise UsageError("the cutouts are too few to train on", hint="Make more.")
        self._cutouts, self._w_plus, self._scene = cutouts, w_plus, scene
        names = range(len(cutouts.characters))
        self._of = {c: cutouts.of_character(c, 0, self._count) for c in names}

    def _batch(self, numbers: list[int], seeds: list[int], scene: Scene) -> FrameBatch:
        frames = []
        for number, seed in zip(numbers, seeds, strict=True):
            others = self._of[self._cutouts[number].character]
            frames.append(compose(self._cutouts, number, others, scene, seed))
        return FrameBatch(
            stacked([frame.source for frame in frames]),
            stacked([frame.target for frame in frames]),
            w_plus=self._w_plus[[frame.character for frame in frames]],
            matte=torch.from_numpy(np.stack([frame.matte for frame in frames]))[:, None],
        )

    def draw(self, count: int, random: torch.Generator) -> FrameBatch:
        numbers = torch.randint(self._count, (count,), generator=random).tolist()
        seeds = torch.randint(2**31, (count,), generator=random).tolist()
        return self._batch(numbers, seeds, self._scene)

    def held_out(self) -> FrameBatch:
        numbers = list(range(self._count, len(self._cutouts)))
        return self._batch(numbers, list(range(len(numbers))), self._scene)
