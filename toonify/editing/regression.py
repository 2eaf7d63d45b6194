"""Directions in W from measured samples: how w moves with each attribute, the others kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError

OUTLIERS = (1.0, 99.0)  # percentiles that measurements are cut at
LEAST = 4  # samples for each attribute


def regress_directions(
    w: NDArray[np.floating], measures: Mapping[str, NDArray[np.floating]]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """Least squares of w on all attributes at once.

    Each direction is the mean change of w with one attribute while the others stay as they are, so
    it keeps to where faces lie, and a smile brings no age with it where both were measured.

    Args:
        w: (N, w_dim) sampled latents.
        measures: attribute → (N,) what was measured in their faces; rows that are not finite are
            left out.

    Returns:
        attribute → (w_dim,) for one deviation of it, and attribute → that deviation in its unit.

    Raises:
        InputError: too few samples, or an attribute that never varies.
    """
    names: Sequence[str] = list(measures)
    values = np.stack([np.asarray(measures[name], np.float64) for name in names], axis=1)
    kept = np.isfinite(values).all(axis=1)
    values, latents = values[kept], np.asarray(w, np.float64)[kept]
    if len(values) < LEAST * len(names) + 1:
        raise InputError(f"{len(values)} samples are too few for {len(names)} attributes")
    values = np.clip(values, *np.percentile(values, OUTLIERS, axis=0))
    deviation = values.std(axis=0)
    for name, spread in zip(names, deviation, strict=True):
        if spread < 1e-9:
            raise InputError(f"the attribute {name} is the same in all samples")
    scaled = (values - values.mean(axis=0)) / deviation
    design = np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)
    solution = np.linalg.lstsq(design, latents, rcond=None)[0]
    vectors = {name: solution[index] for index, name in enumerate(names)}
    return vectors, dict(zip(names, deviation.tolist(), strict=True))
