"""What several hairdos share: the skull's shell, tufts, even places on a sphere."""

from __future__ import annotations

import numpy as np

from ..canvas import Array, ellipse
from ..hair import Shell
from ..pose import View


def skull(view: View) -> Shell:
    """The shell most hairdos lie on."""
    return Shell(view, (0.0, 0.425, -0.03), (0.318, 0.345, 0.345))


def bumps(shell: Shell, places: Array, size: float, seed: int, r: float = 1.0) -> list[Array]:
    """Round tufts at (N, 2) places (azimuth, elevation)."""
    rng = np.random.default_rng(seed)
    centres = shell.points(places[:, 0], places[:, 1], r)
    seen = np.clip(1 + (shell.depth(places[:, 0], places[:, 1]) + 0.25) / 0.4, 0, 1)
    scale = np.hypot(*shell.view.matrix[:, 0])
    out = []
    for c, part in zip(centres, seen, strict=True):
        radius = size * scale * rng.uniform(0.82, 1.18) * part
        if radius > 0:
            out.append(ellipse(c[0], c[1], radius, radius, 26))
    return out


def fibonacci(count: int, low: float) -> Array:
    """Even places on a sphere above elevation ``low``: (N, 2) azimuth, elevation."""
    k = np.arange(count) + 0.5
    el = np.degrees(np.arcsin(1 - (1 - np.sin(np.radians(low))) * k / count))
    az = (k * 137.508 + 180) % 360 - 180
    return np.column_stack([az, el])
