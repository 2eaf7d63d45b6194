"""Choosing where and in which precision to compute."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toonify.errors import UsageError

if TYPE_CHECKING:
    import torch

DTYPES = ("auto", "float32", "bfloat16", "float16")


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """ "auto" takes CUDA, then MPS, then the CPU; other names must be usable here.

    Raises:
        UsageError: unknown or absent device.
    """
    import torch

    if isinstance(name, torch.device):
        return name
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise UsageError(
            f"unknown device {name!r}", hint="Choose `device` auto, cpu, cuda, cuda:N or mps."
        ) from error
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise UsageError(f"there is no device {name!r} here", hint="Use `device` auto.")
    return device


@contextmanager
def arithmetic(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Where networks compute in `dtype`: in others than float32 by autocast.

    float32 has all of its bits on CUDA, too: torch's convolutions there leave 13 of 23 out (TF32)
    unless told.
    """
    import torch

    if dtype != torch.float32:
        with torch.autocast(device.type, dtype):
            yield
    elif device.type == "cuda":
        with _all_bits:
            yield
    else:
        yield


class _AllBits:
    """cuDNN's convolutions without TF32, while any thread is within."""

    def __init__(self) -> None:
        self._lock, self._within, self._before = threading.Lock(), 0, True

    def __enter__(self) -> None:
        import torch

        with self._lock:
            if not self._within:
                self._before = torch.backends.cudnn.allow_tf32
                torch.backends.cudnn.allow_tf32 = False
            self._within += 1

    def __exit__(self, *error: object) -> None:
        import torch

        with self._lock:
            self._within -= 1
            if not self._within:
                torch.backends.cudnn.allow_tf32 = self._before


_all_bits = _AllBits()


def finish(device: torch.device) -> None:
    """Wait until a GPU has done what it was given: functions return before."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def device_name(device: torch.device) -> str:
    """Where it computes, by name: "cpu", "mps", or "cuda" and the card's."""
    import torch

    if device.type == "cuda" and torch.cuda.is_available():
        return f"cuda {torch.cuda.get_device_name(device)}"
    return device.type


def _choices(known: Iterable[str]) -> str:
    return f"Choose `dtype` auto, {', '.join(known)}."


def refuse_float16(dtype: str) -> None:
    """UsageError for a training in float16, whose gradients underflow."""
    if dtype == "float16":
        raise UsageError(
            "float16 is too coarse to train in", hint="Use `dtype` bfloat16 or float32."
        )


def training_dtype(name: str, device: torch.device) -> torch.dtype:
    """What trainings that autocast compute in: "auto" is bfloat16, but float32 on a CPU that only
    emulates it.

    Raises:
        UsageError: unknown name, or float16, whose gradients underflow.
    """
    import torch

    refuse_float16(name)
    if name == "auto":
        from toonify.tuning import bfloat16_gain

        slower = device.type == "cpu" and bfloat16_gain() < 1
        return torch.float32 if slower else torch.bfloat16
    known = {"bfloat16": torch.bfloat16, "float32": torch.float32}
    if name not in known:
        raise UsageError(f"unknown dtype {name!r}", hint=_choices(known))
    return known[name]


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """ "auto" is float16 on CUDA and float32 elsewhere.

    Raises:
        UsageError: unknown name, or float16 on the CPU.
    """
    import torch

    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in known:
        raise UsageError(f"unknown dtype {name!r}", hint=_choices(known))
    if name == "float16" and device.type == "cpu":
        raise UsageError("float16 is not computed on the CPU", hint="Use `dtype` bfloat16.")
    return known[name]
