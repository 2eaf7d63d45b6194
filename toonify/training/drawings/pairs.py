"""Generated faces with what drawings of them are made of: labels and the face mesh."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toonify.errors import InputError
from toonify.faces.celeba import celeba_labels
from toonify.faces.mesh import FaceMesh
from toonify.faces.parsing import FaceParser
from toonify.faces.types import RGB, Points, f32
from toonify.models.base import Generator
from toonify.training.data.latent_samples import LatentSamples, write_samples
from toonify.training.drawings.sketches import enlarged
from toonify.utils.atomic import replacing

FILES = ("w", "images", "labels", "points")
SIZE = 256  # px of stored faces, each way
LABELED = 128  # px of stored labels, each way
MIXED = 0.15  # share of faces whose rows come from two latents


class DrawnFaces:
    """Faces of a folder that `sample_faces` filled.

    Args:
        folder: holds w.npy (N, num_ws, w_dim), images.npy (N, S, S, 3), labels.npy (N, s, s) and
            points.npy (N, 468, 2).

    Raises:
        InputError: files are missing, damaged, or don't belong together.
    """

    def __init__(self, folder: Path) -> None:
        try:
            arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in FILES]
        except (EOFError, OSError, ValueError) as error:
            raise InputError(
                f"{folder} holds no readable faces ({error})", hint="Sample them again."
            ) from error
        self.folder = folder
        self.w_plus, self.images, self.labels, self.points = arrays
        if len({len(array) for array in arrays}) != 1:
            raise InputError(f"files in {folder} don't belong together", hint="Sample them again.")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[RGB, NDArray[np.uint8], Points]:
        """Face (S, S, 3), labels (s, s) and mesh (468, 2)."""
        return (
            np.array(self.images[number]),
            np.array(self.labels[number]),
            np.array(self.points[number]),
        )

    def check(self, generator: Generator) -> None:
        """InputError unless they are this generator's, where the folder says whose they are."""
        LatentSamples.load(
            self.folder, num_ws=generator.num_ws, w_dim=generator.w_dim, generator=generator
        )

    def latents(self, index: NDArray[np.int64]) -> Tensor:
        """w+ (B, num_ws, w_dim) float32."""
        return torch.from_numpy(np.asarray(self.w_plus[np.asarray(index)], np.float32))


def sample_drawn_faces(
    generator: Generator,
    folder: Path,
    count: int,
    parser: FaceParser,
    mesh: FaceMesh,
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Fill `folder` with what `DrawnFaces` reads: faces, and what parser and mesh tell of them.

    Args:
        progress: called with the faces done, of twice `count`.

    Raises:
        InputError: `folder` can't be made or written to.
    """
    size = min(SIZE, generator.resolution)
    write_samples(generator, folder, count, size=size, mixed=MIXED, seed=seed, progress=progress)
    pairs = LatentSamples.load(folder, num_ws=generator.num_ws)
    labels = np.zeros((count, LABELED, LABELED), np.uint8)
    points = np.zeros((count, 468, 2), np.float32)
    for number in range(count):
        face = pairs.image(number)
        points[number] = f32(mesh.measure(face).points)[:, :2]
        parts = parser.parse(face).resized(face.shape[:2]).argmax(2).astype(np.uint8)
        labels[number] = enlarged(celeba_labels(parts, points[number]), LABELED)
        if progress:
            progress(count + number + 1)
    for name, content in (("labels", labels), ("points", points)):
        try:
            with replacing(folder / f"{name}.npy") as temporary, temporary.open("wb") as stream:
                np.save(stream, content)
        except OSError as error:
            raise InputError(
                f"can't keep faces in {folder}: {error.strerror or error}",
                hint="Make room, or choose another folder.",
            ) from error
