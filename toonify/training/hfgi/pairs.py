"""Sampled faces before and after an edit that is known: what no photograph can give.

HFGI (arXiv 2109.06590, §3.3) has no ground truth for edits and imitates them by perspective
distortions of the map. A generator of faces has it: the same latent with and without a step along
a direction. Both are used here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toonify.checkpoints import generator_hash
from toonify.editing.directions import sefa
from toonify.editing.edits import layer_range, moved
from toonify.editing.named import NamedDirections
from toonify.errors import InputError, UsageError
from toonify.inversion.latents import fit_w_plus
from toonify.models.base import Generator
from toonify.training.data.latent_samples import GENERATOR, render, sample_w_plus
from toonify.utils.atomic import replacing
from toonify.utils.tensors import to_float, to_uint8

SIZE = 256
SEFA = 10  # directions taken of a generator without named ones
TYPICAL, MOST = 2.2, 5.0  # strengths: their deviation, and the largest
BATCH = 8

Direction = tuple[Tensor, range]  # (w_dim,), and the entries of w+ that it moves


def known_directions(generator: Generator, named: NamedDirections | None) -> list[Direction]:
    """The named directions where they are of this W, else the generator's strongest."""
    if named is not None:
        try:
            named.check(generator)
        except UsageError:
            named = None
    if named is not None:
        return [
            (named.vectors[name], layer_range(about.layers, generator.num_ws))
            for name, about in named.about.items()
        ]
    return [(vector, range(generator.num_ws)) for vector in sefa(generator)[:SEFA]]


class EditPairs:
    """Faces, the same after an edit, and the edits.

    Args:
        images: (N, 2, S, S, 3) uint8, before and after; may be memory-mapped.
        steps: (N, L, w_dim) what was added to w+.
    """

    def __init__(self, images: np.ndarray, steps: Tensor) -> None:
        shape = images.shape
        if images.dtype != np.uint8 or len(shape) != 5 or shape[1] != 2 or shape[4] != 3:
            raise InputError(f"the pairs are {images.dtype} of shape {shape}")
        if steps.ndim != 3 or len(steps) != len(images):
            raise InputError(f"{len(images)} pairs of faces but {len(steps)} edits")
        self._images, self._steps = images, steps

    def __len__(self) -> int:
        return len(self._steps)

    def batch(self, index: Tensor, num_ws: int) -> tuple[Tensor, Tensor, Tensor]:
        """Before and after (B, 3, S, S) in [-1, 1], and steps (B, num_ws, w_dim)."""
        both = torch.from_numpy(np.asarray(self._images[index.numpy()])).permute(0, 1, 4, 2, 3)
        before, after = to_float(both).unbind(1)
        return before, after, fit_w_plus(self._steps[index].float(), num_ws)

    @classmethod
    def load(cls, folder: Path, *, w_dim: int) -> EditPairs:
        """Read what `sample_edit_pairs` wrote; InputError when it isn't that."""
        try:
            steps = torch.from_numpy(np.load(folder / "steps.npy"))
            images = np.load(folder / "images.npy", mmap_mode="r")
        except (EOFError, OSError, ValueError) as error:
            raise InputError(
                f"{folder} holds no readable pairs of edits ({error})", hint="Sample them again."
            ) from error
        if steps.shape[-1] != w_dim:
            raise InputError(
                f"the edits in {folder} are {steps.shape[-1]} wide, the generator's w {w_dim}",
                hint="Sample pairs of this W.",
            )
        return cls(images, steps)


@torch.no_grad()
def sample_edit_pairs(
    generator: Generator,
    directions: Sequence[Direction],
    folder: Path,
    count: int,
    *,
    size: int = SIZE,
    seed: int = 0,
    bfloat16: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw faces and one edit each; write `images.npy`, `steps.npy` and `generator.txt`.

    Raises:
        InputError: `folder` can't be made or written to.
    """
    random = torch.Generator().manual_seed(seed)
    side = min(size, generator.resolution)
    images = np.zeros((count, 2, side, side, 3), np.uint8)
    steps = np.zeros((count, generator.num_ws, generator.w_dim), np.float16)
    for start in range(0, count, BATCH):
        part = slice(start, min(start + BATCH, count))
        latents = sample_w_plus(generator, part.stop - start, random)
        edited = torch.cat([_edited(latent[None], directions, random) for latent in latents])
        steps[part] = (edited - latents).half().cpu().numpy()
        for which, w_plus in enumerate((latents, edited)):
            faces = to_uint8(render(generator, w_plus, size=side, bfloat16=bfloat16))
            images[part, which] = faces.permute(0, 2, 3, 1).cpu().numpy()
        if progress:
            progress(part.stop, count)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("steps.npy", steps), ("images.npy", images)):
            with replacing(folder / name) as temporary, temporary.open("wb") as stream:
                np.save(stream, content)
        with replacing(folder / GENERATOR) as temporary:
            temporary.write_text(f"{generator_hash(generator)}\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"can't keep pairs in {folder}: {error.strerror or error}",
            hint="Make room, or choose another folder.",
        ) from error


def _edited(w_plus: Tensor, directions: Sequence[Direction], random: torch.Generator) -> Tensor:
    """One latent with a step along one direction, or, a third of them, two."""
    count = 1 + int(torch.rand((), generator=random) < 1 / 3)
    for which in torch.randperm(len(directions), generator=random)[:count].tolist():
        strength = float(torch.randn((), generator=random) * TYPICAL)
        vector, layers = directions[which]
        w_plus = moved(w_plus, vector, min(max(strength, -MOST), MOST), layers)
    return w_plus
