"""Batches of faces to invert and of known edits, spoilt so that no photograph is a surprise."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.errors import UsageError
from toonify.training.data.photo_augment import other_camera
from toonify.training.data.photos import PhotoSet
from toonify.training.encoders.data import resized
from toonify.training.hfgi.pairs import SIZE, EditPairs

FOREIGN = 0.35  # share of the inverted faces that something lies over which no code can render
EDITED = 0.5  # share of the pairs that are learnt as edits, not as inversions of either face


@dataclass(frozen=True)
class HFGIBatch:
    """What is read and what is to come of it.

    Attributes:
        photos: (B, 3, 256, 256) in [-1, 1].
        targets: the same, after the edit.
        steps: (B, num_ws, w_dim) of w+; zeros where target and photo are one.
        edited: (B,) bool, where they are not.
    """

    photos: Tensor
    targets: Tensor
    steps: Tensor
    edited: Tensor

    def to(self, device: torch.device) -> HFGIBatch:
        return HFGIBatch(*(x.to(device) for x in vars(self).values()))


class HFGIData:
    """Photographs, pairs of edits, or both in a fixed mixture.

    Args:
        num_ws, w_dim: of the generator's w+.
        photo_share: of photographs in a batch, where there are both.
        held_out: faces of either kind kept for previews, a fifth at most.
        seed: chooses them.

    Raises:
        UsageError: nothing to learn from.
    """

    def __init__(
        self,
        *,
        num_ws: int,
        w_dim: int,
        pairs: EditPairs | None = None,
        photos: PhotoSet | None = None,
        photo_share: float = 0.25,
        held_out: int = 16,
        seed: int = 0,
    ) -> None:
        if pairs is None and photos is None:
            raise UsageError("there is nothing to learn from", hint="Give photographs or pairs.")
        self._num_ws, self._w_dim = num_ws, w_dim
        self._pairs, self._photos = pairs, photos
        self._share = 0.0 if photos is None else 1.0 if pairs is None else photo_share
        random = torch.Generator().manual_seed(seed)
        self._kept, self._free = {}, {}
        for name, items in (("pairs", pairs), ("photos", photos)):
            order = torch.randperm(0 if items is None else len(items), generator=random)
            kept = min(held_out, max(1, len(order) // 5))
            self._kept[name], self._free[name] = order[:kept].sort().values, order[kept:]
            if items is not None and not len(self._free[name]):
                raise UsageError(f"{len(items)} are too few", hint="Give more.")

    def draw(self, count: int, random: torch.Generator) -> HFGIBatch:
        """A batch to learn from."""
        chosen = torch.rand(count, generator=random) < self._share
        parts = []
        if int(chosen.sum()):
            parts.append(self._faces(self._pick("photos", int(chosen.sum()), random), random))
        if int((~chosen).sum()):
            parts.append(self._edits(self._pick("pairs", int((~chosen).sum()), random), random))
        joined = [torch.cat(x) for x in zip(*(vars(p).values() for p in parts), strict=True)]
        batch = relit(HFGIBatch(*joined), random)
        return with_foreign_things(batch, random)

    def held_out(self) -> HFGIBatch:
        """Faces that are never learnt from: photographs, then edits."""
        parts = []
        if self._photos is not None:
            parts.append(self._faces(self._kept["photos"], None))
        if self._pairs is not None:
            before, after, steps = self._pairs.batch(self._kept["pairs"], self._num_ws)
            edited = torch.ones(len(steps), dtype=torch.bool)
            parts.append(HFGIBatch(resized(before, SIZE), resized(after, SIZE), steps, edited))
        return HFGIBatch(
            *(torch.cat(x) for x in zip(*(vars(p).values() for p in parts), strict=True))
        )

    def _pick(self, name: str, count: int, random: torch.Generator) -> Tensor:
        free = self._free[name]
        return free[torch.randint(len(free), (count,), generator=random)]

    def _faces(self, index: Tensor, random: torch.Generator | None) -> HFGIBatch:
        assert self._photos is not None
        faces = resized(self._photos.batch(index), SIZE)
        if random is not None:
            mirrored = torch.rand(len(faces), 1, 1, 1, generator=random) < 0.5
            faces = torch.where(mirrored, faces.flip(3), faces)
        steps = torch.zeros(len(faces), self._num_ws, self._w_dim)
        return HFGIBatch(faces, faces, steps, torch.zeros(len(faces), dtype=torch.bool))

    def _edits(self, index: Tensor, random: torch.Generator) -> HFGIBatch:
        assert self._pairs is not None
        before, after, steps = self._pairs.batch(index, self._num_ws)
        before, after = resized(before, SIZE), resized(after, SIZE)
        swapped = torch.rand(len(steps), generator=random) < 0.5
        edited = torch.rand(len(steps), generator=random) < EDITED
        which = swapped[:, None, None, None]
        before, after = torch.where(which, after, before), torch.where(which, before, after)
        steps = torch.where(swapped[:, None, None], -steps, steps) * edited[:, None, None]
        after = torch.where(edited[:, None, None, None], after, before)
        return HFGIBatch(before, after, steps, edited)


def relit(batch: HFGIBatch, random: torch.Generator) -> HFGIBatch:
    """Exposure, colors and contrast of other cameras, the same for photo and target."""
    change = other_camera(len(batch.photos), random)
    photos = change(batch.photos)
    targets = torch.where(batch.edited[:, None, None, None], change(batch.targets), photos)
    return replace(batch, photos=photos, targets=targets)


def with_foreign_things(batch: HFGIBatch, random: torch.Generator) -> HFGIBatch:
    """Parts of other faces' pictures, turned and tinted, over some of those to be inverted.

    Hands, hats, microphones and backgrounds that the generator never learnt are like that: all of
    it is in the distortion map.
    """
    photos, count = batch.photos.clone(), len(batch.photos)
    axis = (torch.arange(SIZE) + 0.5) / SIZE
    for i in range(count):
        put = float(torch.rand((), generator=random)) < FOREIGN
        if not put or bool(batch.edited[i]):
            continue
        x, y, half_x, half_y, angle, soft = torch.rand(6, generator=random).tolist()
        other = batch.photos[int(torch.randint(count, (), generator=random))]
        other = torch.rot90(other, int(angle * 4), (1, 2))
        tint = torch.empty(3, 1, 1).uniform_(-0.4, 0.4, generator=random)
        rolled = torch.roll(other, (int(x * 97), int(y * 131)), (1, 2))
        cos, sin = math.cos(angle * math.pi), math.sin(angle * math.pi)
        u = cos * (axis[None, :] - x) + sin * (axis[:, None] - y)
        v = cos * (axis[:, None] - y) - sin * (axis[None, :] - x)
        radius = torch.maximum(
            (u / (0.03 + 0.25 * half_x)).abs(), (v / (0.03 + 0.25 * half_y)).abs()
        )
        mask = ((1 - radius) / (0.02 + 0.3 * soft**3)).clamp(0, 1)
        photos[i] = photos[i] + mask * ((rolled + tint).clamp(-1, 1) - photos[i])
    same = ~batch.edited[:, None, None, None]
    return replace(batch, photos=photos, targets=torch.where(same, photos, batch.targets))


def perspective(
    images: Tensor, random: torch.Generator, *, scale: float = 0.15, share: float = 0.6
) -> Tensor:
    """Images (B, C, S, S), each seen in a random perspective with probability `share`.

    Corners move inwards by up to half of `scale` times the side, as published; beyond the
    picture its border goes on.
    """
    count, device = len(images), images.device
    moves = torch.rand(count, 4, 2, generator=random) * scale
    moves = moves * (torch.rand(count, 1, 1, generator=random) < share)
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    matrix = homography(corners.expand(count, -1, -1), corners * (1 - moves)).to(device)
    axis = (torch.arange(images.shape[-1], device=device) + 0.5) * 2 / images.shape[-1] - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), dim=2).flatten(0, 1)  # (S·S, 3)
    found = points @ matrix.transpose(1, 2)
    grid = (found[..., :2] / found[..., 2:]).view(count, *x.shape, 2)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def homography(given: Tensor, wanted: Tensor) -> Tensor:
    """(B, 3, 3) that take four points (B, 4, 2) to four others."""
    x, y = given.unbind(2)
    u, v = wanted.unbind(2)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    rows = [
        torch.stack((x, y, one, zero, zero, zero, -u * x, -u * y), dim=2),
        torch.stack((zero, zero, zero, x, y, one, -v * x, -v * y), dim=2),
    ]
    solved = torch.linalg.solve(torch.cat(rows, dim=1), torch.cat((u, v), dim=1))
    last = torch.ones(len(given), 1, dtype=solved.dtype)
    return torch.cat((solved, last), dim=1).view(-1, 3, 3)
