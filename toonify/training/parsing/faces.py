"""A folder of labeled sampled faces, as `recipes/parsing` makes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError
from toonify.faces.types import RGB, Points, f32

ARRAYS = ("rgb", "labels", "alpha", "points", "attributes")


@dataclass(frozen=True, eq=False)
class LabeledFace:
    """A sampled face.

    Attributes:
        rgb: (256, 256, 3) the FFHQ crop.
        labels: (256, 256) uint8, indices of `toonify.faces.parsing.LABELS`.
        alpha: (256, 256) in 0..1, opacity of the person.
        points: (468, 3) the face mesh, px of the crop.
        attributes: (4,) kind of glasses, beard, moustache, headwear; -1 where not known.
    """

    rgb: RGB
    labels: NDArray[np.uint8]
    alpha: Points
    points: Points
    attributes: Points


class LabeledFaces:
    """The arrays `rgb.npy`, `labels.npy`, `alpha.npy`, `points.npy`, `attributes.npy`, and
    `weights.json`: how often each face is drawn.

    Raises:
        InputError: the folder doesn't hold that.
    """

    def __init__(self, folder: Path) -> None:
        try:
            arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS]
            weights = np.array(json.loads((folder / "weights.json").read_text()), np.float64)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{folder} holds no labeled faces ({error})",
                hint="Make them: recipes/parsing.",
            ) from error
        if len({len(array) for array in (*arrays, weights)}) > 1 or weights.sum() <= 0:
            raise InputError(f"{folder} holds no whole set of faces", hint="Make them again.")
        self._rgb, self._labels, self._alpha, self._points, self._attributes = arrays
        self._cumulative = np.cumsum(weights / weights.sum())

    def __len__(self) -> int:
        return len(self._rgb)

    def __getitem__(self, number: int) -> LabeledFace:
        return LabeledFace(
            rgb=np.array(self._rgb[number]),
            labels=np.array(self._labels[number]),
            alpha=f32(f32(self._alpha[number]) / 255),
            points=f32(self._points[number]),
            attributes=f32(self._attributes[number]),
        )

    def pick(self, rng: np.random.Generator) -> int:
        """A random number, by the weights."""
        return min(int(np.searchsorted(self._cumulative, rng.random())), len(self) - 1)
