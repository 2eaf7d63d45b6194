"""When operations written for a CPU may take the place of torch's own, and what they keep."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
_kept: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, Any]] = weakref.WeakKeyDictionary()


def infers(x: Tensor) -> bool:
    """Whether x is on a CPU, and what is done with it is neither recorded nor traced."""
    return (
        x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


def compute_dtype(x: Tensor) -> torch.dtype:
    """What autocast asks for on this device, else the tensor's own."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def keep(module: nn.Module, key: Hashable, sources: Sequence[Tensor], make: Callable[[], T]) -> T:
    """What `make()` gives, kept for a module and made anew when one of `sources` has changed."""
    state = tuple(
        (source.data_ptr(), 0 if source.is_inference() else source._version) for source in sources
    )
    kept = _kept.setdefault(module, {})
    if key not in kept or kept[key][0] != state:
        kept[key] = (state, make())
    value: T = kept[key][1]
    return value
