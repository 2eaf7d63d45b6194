"""Networks are built no larger than what the file says they hold.

A few hundred bytes may name an architecture of any size. Numbers of a configuration have limits,
and while the network is built, every tensor that it makes counts against the tensors that the
file has: a configuration that asks for more is refused before memory is touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from toonify.errors import ModelError

# of configurations; what isn't named here has the last one
LIMITS = {
    "resolution": 4096,
    "num_ws": 64,
    "steps": 50,
    "depth": 32,
    "mapping_layers": 64,
    "input_size": 2048,
    "attention": 16,
    "translation_blocks": 64,
}
LARGEST = 1 << 16
LONGEST, DEEPEST = 256, 4  # of lists and their nesting
# What a file may lack (stored noises, the mean of w), and what initialization makes besides.
SLACK_NUMBERS, SLACK_CALLS = 1 << 24, 512
_FACTOR = 3

_MAKERS = (
    *(torch.empty, torch.zeros, torch.ones, torch.full, torch.eye, torch.arange),
    *(torch.rand, torch.randn, torch.linspace),
)


class _TooLarge(Exception):
    pass


class _Counter(TorchFunctionMode):
    """Counts what is made, before it is."""

    def __init__(self, numbers: int, calls: int) -> None:
        super().__init__()
        self.numbers, self.calls = numbers, calls

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in _MAKERS:
            self.calls -= 1
            self.numbers -= _count(args)
            if self.numbers < 0 or self.calls < 0:
                raise _TooLarge
        return func(*args, **(kwargs or {}))


def _count(args: tuple[Any, ...]) -> int:
    if args and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    return math.prod(abs(a) for a in args if isinstance(a, int))


@contextmanager
def building(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Refuse what grows beyond the tensors it is to be filled with.

    Raises:
        ModelError: inside, more memory is requested.
    """
    numbers = sum(value.numel() for value in tensors.values())
    try:
        with _Counter(_FACTOR * numbers + SLACK_NUMBERS, 8 * len(tensors) + SLACK_CALLS):
            yield
    except _TooLarge as error:
        raise ModelError(
            "its configuration names a far larger network than the file holds",
            hint="Get the file again.",
        ) from error


def check_config(config: Mapping[str, Any]) -> None:
    """ModelError where a configuration's numbers are beyond anything that is built."""
    for name, value in config.items():
        _check_value(str(name), value, LIMITS.get(str(name), LARGEST), DEEPEST)


def _check_value(name: str, value: Any, limit: int, depth: int) -> None:
    if value is None or isinstance(value, (str, bool)):
        return
    if isinstance(value, (int, float)):
        if not -limit <= value <= limit:  # false for NaN too
            raise ModelError(
                f"its configuration says {name[:40]} {value:.10g}, at most {limit} is built",
                hint="Get the file again.",
            )
        return
    if isinstance(value, (list, tuple, dict)) and depth and len(value) <= LONGEST:
        for item in value.values() if isinstance(value, dict) else value:
            _check_value(name, item, limit, depth - 1)
        return
    raise ModelError(
        f"its configuration's {name[:40]} is no number or short list", hint="Get the file again."
    )


def check_dense(tensors: Mapping[str, Tensor]) -> None:
    """ModelError where tensors say that they are larger than the memory behind them."""
    total, held = 0, 0
    for tensor in tensors.values():
        total += tensor.numel() * tensor.element_size()
        held += tensor.untyped_storage().nbytes()
    if total > 4 * held + (1 << 24):
        raise ModelError("its tensors are far larger than the file", hint="Get the file again.")
