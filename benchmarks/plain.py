"""A generator by its plain path: `toonify benchmark --compare benchmarks.plain:make`."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

from torch import Tensor

from toonify.models import bands, winograd
from toonify.models.base import Generator


def make(generator: Generator) -> Callable[[Tensor], Tensor]:
    """w+ (B, num_ws, w_dim) → images (B, 3, R, R), every layer a step over the whole picture."""

    def draw(w_plus: Tensor) -> Tensor:
        with (
            mock.patch.object(bands, "suits", lambda x: False),
            mock.patch.object(winograd, "suits", lambda x, weight: False),
        ):
            return generator.synthesize(generator.styles(w_plus))

    return draw
