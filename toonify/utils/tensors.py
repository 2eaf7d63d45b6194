"""Pictures between files, (H, W, 3) uint8, and networks, (B, 3, H, W) in [-1, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toonify.errors import ModelError

RGB = NDArray[np.uint8]  # (H, W, 3)


def to_tensor(rgb: RGB) -> Tensor:
    """(H, W, 3) uint8 → (1, 3, H, W) float32 in [-1, 1]."""
    return stacked([rgb])


def stacked(images: Sequence[RGB]) -> Tensor:
    """B pictures (H, W, 3) uint8 of one size → (B, 3, H, W) float32 in [-1, 1]."""
    return to_float(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))


def to_float(images: Tensor) -> Tensor:
    """uint8 of any shape → float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """About [-1, 1], any shape → uint8, clamped and rounded."""
    return (images.detach().float().clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)


def to_arrays(images: Tensor) -> list[RGB]:
    """A network's pictures (B, 3, H, W) in about [-1, 1] → B arrays (H, W, 3) uint8.

    Raises:
        ModelError: they are not finite.
    """
    check_finite(images)
    return list(to_uint8(images).permute(0, 2, 3, 1).cpu().numpy())


def to_rgb(images: Tensor) -> RGB:
    """The first picture of (B, 3, H, W); see `to_arrays`."""
    return to_arrays(images[:1])[0]


def check_finite(images: Tensor) -> None:
    """ModelError where a network's pictures hold NaN or infinity: black, and no picture."""
    if not images.isfinite().all():
        raise ModelError(
            "the model's picture is not finite",
            hint="Get the model again, or use `dtype` float32.",
        )
