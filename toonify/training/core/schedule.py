"""Learning rates and weight averages that trainings share."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def warmup_cosine(step: int, steps: int, *, warmup: int, floor: float = 0.0) -> float:
    """Factor on a learning rate: up over `warmup` steps, then a cosine down to `floor` at `steps`.

    Examples:
        >>> [round(warmup_cosine(step, 100, warmup=10), 2) for step in (0, 9, 50, 100)]
        [0.1, 0.98, 0.5, 0.0]
    """
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
    return min(1.0, (step + 1) / warmup) * max(floor, cosine)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group of an optimizer this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def ema_decay(step: int, decay: float, *, rampup: int = 10) -> float:
    """What an average keeps of itself after `step` steps: little at first, at most `decay`."""
    return min(decay, (step + 1) / (step + rampup))


@torch.no_grad()
def update_ema(average: Mapping[str, Tensor], current: Mapping[str, Tensor], decay: float) -> None:
    """Move an exponential moving average of weights towards the current ones, name by name.

    Names that are only in `average` stay as they are; what isn't floating point, such as counters,
    is copied.
    """
    for name, weight in current.items():
        if weight.dtype.is_floating_point:
            average[name].lerp_(weight.detach(), 1 - decay)
        else:
            average[name].copy_(weight)
