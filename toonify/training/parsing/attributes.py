"""What whole faces wear, read from latents and activations after looking at a few hundred.

Ridge regression in its kernel form: far more numbers a face than faces looked at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from toonify.errors import InputError
from toonify.faces.types import Points, f32

# trait → rows and columns of the 64×64 grid to look at, and how finely
REGIONS = {
    "glasses": (slice(22, 38), slice(14, 50), (6, 4)),
    "sunglasses": (slice(22, 38), slice(14, 50), (6, 4)),
    "beard": (slice(38, 58), slice(16, 48), (4, 5)),
    "moustache": (slice(38, 58), slice(16, 48), (4, 5)),
    "headwear": (slice(0, 64), slice(0, 64), (8, 8)),
    "bald": (slice(0, 24), slice(12, 52), (5, 4)),
}
RIDGE = {
    "glasses": 0.3, "sunglasses": 0.3, "beard": 10.0, "moustache": 1.0, "headwear": 0.3,
    "bald": 1.0,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class SeenFaces:
    """Faces that somebody looked at.

    Attributes:
        w: (N, 512) their latents.
        traits: name of `REGIONS` → (N,) in 0..1, NaN where nothing was noted.
        thick: (N,) whether glasses have a thick frame.
    """

    w: Points
    traits: dict[str, Points]
    thick: np.ndarray

    @classmethod
    def load(cls, latents: Path, notes: Path) -> SeenFaces:
        """Read latents (.npy) and what was noted of them (.json: name → {number: value}).

        A number without a note is 0 where the first `seen_wholly` faces are concerned, and not
        known beyond.

        Raises:
            InputError: not such files.
        """
        try:
            w = f32(np.load(latents))
            noted = json.loads(notes.read_text(encoding="utf-8"))
            wholly = int(noted["seen_wholly"])
            traits = {}
            for name in REGIONS:
                values = np.full(len(w), np.nan, np.float32)
                values[:wholly] = 0
                for number, value in noted[name].items():
                    values[int(number)] = value
                traits[name] = values
            thick = np.isin(np.arange(len(w)), noted["thick_frames"])
        except (OSError, ValueError, KeyError, AttributeError, IndexError) as error:
            raise InputError(f"{notes} holds no notes of faces ({error})") from error
        return cls(w, traits, thick)


def pooled(distances: Points, name: str) -> Points:
    """Distances (64, 64, 24) to clusters → features (n,) of the region that tells `name`."""
    rows, columns, size = REGIONS[name]
    root = np.sqrt(np.clip(distances, 0, None))
    root = root - root.mean(-1, keepdims=True)
    return f32(cv2.resize(f32(root[rows, columns]), size, interpolation=cv2.INTER_AREA).ravel())


class AttributeRidge:
    """Fitted on features (N, n), latents (N, 512) and values (N,) of one attribute."""

    def __init__(self, features: Points, w: Points, values: Points, *, ridge: float) -> None:
        self._feature_scale = features.mean(0), features.std(0) + 1e-6
        self._w_scale = w.mean(0), w.std(0) + 1e-6
        self._base = float(values.mean())
        self._known = self._joined(features, w)
        kernel = self._known @ self._known.T + ridge * np.eye(len(values), dtype=np.float32)
        self._weights = np.linalg.solve(kernel, values - self._base)

    def __call__(self, features: Points, w: Points) -> Points:
        """(M, n) and (M, 512) → (M,), about 0..1."""
        return f32(self._joined(features, w) @ self._known.T @ self._weights + self._base)

    def _joined(self, features: Points, w: Points) -> Points:
        a = (features - self._feature_scale[0]) / self._feature_scale[1]
        b = (w - self._w_scale[0]) / self._w_scale[1]
        return f32(np.concatenate([a / a.shape[1] ** 0.5, b / b.shape[1] ** 0.5], 1))
