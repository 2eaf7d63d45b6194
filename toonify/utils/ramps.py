"""What fades softly, in arrays."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)


def smoothstep(values: NDArray[Real], low: float = 0.0, high: float = 1.0) -> NDArray[Real]:
    """0 below `low`, 1 above `high`, a cubic between that starts and ends level; any shape."""
    at = np.clip((values - low) / (high - low), 0, 1)
    return at * at * (3 - 2 * at)
