"""Optimizers for networks whose weights are not equalized."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def rms_scaled_adam(
    parameters: Iterable[nn.Parameter],
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.99),
    floor: float = 1e-2,
) -> torch.optim.Adam:
    """Adam whose rate for each tensor is `lr` times the tensor's RMS (at least `floor`).

    StyleGAN2 keeps unit-variance weights and scales them at run time, so that one rate fits all
    (equalized learning rate); a generator with the scales folded in needs this instead. Each
    group keeps its rate as "base_lr" for schedules.
    """
    groups = []
    for parameter in parameters:
        rms = float(parameter.detach().float().square().mean().sqrt())
        rate = lr * max(rms, floor)
        groups.append({"params": [parameter], "lr": rate, "base_lr": rate})
    return torch.optim.Adam(groups, betas=betas, eps=1e-8)


def descend(
    loss: Tensor,
    optimizer: torch.optim.Optimizer,
    parameters: Iterable[nn.Parameter],
    *,
    most: float,
) -> bool:
    """One step down the loss; where it or its gradient isn't finite, nothing changes.

    Args:
        most: norm that the gradient of all parameters together is cut to.

    Returns:
        whether the loss was finite.
    """
    if not bool(loss.isfinite()):
        return False
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if nn.utils.clip_grad_norm_(parameters, most).isfinite():
        optimizer.step()
    return True
