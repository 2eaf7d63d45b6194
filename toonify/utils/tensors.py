"""Pictures between files, (H, W, 3) uint8, and networks, (B, 3, H, W) in [-1, 1]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from toonify.errors import ModelError

RGB = NDArray[np.uint8]  # (H, W, 3)


def to_tensor(rgb: RGB) -> Tensor:
    """(H, W, 3) uint8 → (1, 3, H, W) float32 in [-1, 1]."""
    return stacked([rgb])


def stacked(images: Sequence[RGB], device: torch.device | None = None) -> Tensor:
    """B pictures (H, W, 3) uint8 of one size → (B, 3, H, W) float32 in [-1, 1] on a device.

    To a GPU they go as they are, four times smaller than as floats.
    """
    levels = torch.from_numpy(np.stack(images))
    if device is not None:
        levels = uploaded(levels, device)
    return to_float(levels.permute(0, 3, 1, 2))


def uploaded(x: Tensor, device: torch.device) -> Tensor:
    """x on a device; to a GPU from pinned memory, so that nobody waits for what it has to do
    before."""
    if device.type == "cuda" and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


def to_float(images: Tensor) -> Tensor:
    """uint8 of any shape → float32 in [-1, 1]."""
    return images.to(torch.float32, copy=True).div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """About [-1, 1], any shape → uint8, clamped and rounded."""
    levels = images.detach().float().clamp(-1, 1)
    return levels.mul_(127.5).add_(127.5).round_().to(torch.uint8)


def to_arrays(images: Tensor) -> list[RGB]:
    """A network's pictures (B, 3, H, W) in about [-1, 1] → B arrays (H, W, 3) uint8.

    Raises:
        ModelError: they are not finite.
    """
    return start_download(images)()


def start_download(images: Tensor) -> Callable[[], list[RGB]]:
    """Begin `to_arrays`: from a GPU pictures come on a stream of their own, while it computes the
    next ones.

    Returns:
        what waits for the arrays; it raises ModelError where they are not finite.
    """
    finite = _is_finite(images)
    levels = to_uint8(images).permute(0, 2, 3, 1)
    if images.device.type == "cuda":
        return _on_the_way(levels.contiguous(), finite)

    def wait() -> list[RGB]:
        _check_finite(bool(finite))
        return list(levels.cpu().numpy())

    return wait


def _on_the_way(levels: Tensor, finite: Tensor) -> Callable[[], list[RGB]]:
    """Pictures (B, H, W, 3) on their way from a GPU into pinned memory."""
    copies = _copy_stream(levels.device)
    copies.wait_stream(torch.cuda.current_stream(levels.device))
    arrived, sound = (
        torch.empty(x.shape, dtype=x.dtype, pin_memory=True) for x in (levels, finite)
    )
    with torch.cuda.stream(copies):
        for place, value in ((arrived, levels), (sound, finite)):
            place.copy_(value, non_blocking=True)
            value.record_stream(copies)  # its memory is not given away before
        done = copies.record_event()

    def wait() -> list[RGB]:
        done.synchronize()
        _check_finite(bool(sound))
        return list(arrived.numpy().copy())  # pinned memory is scarce

    return wait


@cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def to_rgb(images: Tensor) -> RGB:
    """The first picture of (B, 3, H, W); see `to_arrays`."""
    return to_arrays(images[:1])[0]


def check_finite(images: Tensor) -> None:
    """ModelError where a network's pictures hold NaN or infinity: black, and no picture."""
    _check_finite(bool(_is_finite(images)))


def _is_finite(images: Tensor) -> Tensor:
    # a quarter of the time of `isfinite`, and pictures' values are small
    return images.detach().sum(dtype=torch.float32).isfinite()


def _check_finite(finite: bool) -> None:
    if not finite:
        raise ModelError(
            "the model's picture is not finite",
            hint="Get the model again, or use `dtype` float32.",
        )


def smoothstep(values: Tensor, low: float, high: float) -> Tensor:
    """0 below `low`, 1 above `high`, a cubic between that starts and ends level; any shape."""
    at = ((values - low) / (high - low)).clamp(0, 1)
    return at * at * (3 - 2 * at)


def lowered(images: Tensor, side: int) -> Tensor:
    """Images (B, C, H, W) as if they had been `side` px across and were enlarged again."""
    small = F.interpolate(images, size=(side, side), mode="area")
    return F.interpolate(small, size=images.shape[2:], mode="bicubic", align_corners=False)
