"""What is known of a field, continued smoothly to where nothing is known (push and pull)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_LEAST = 1e-4  # of what is known in a cell


def continued(field: Tensor, known: Tensor) -> Tensor:
    """The field where it is known, elsewhere the mean of what is known around.

    Args:
        field: (B, C, S, S), S a power of two.
        known: (B, 1, S, S) in 0..1.

    Examples:
        >>> wall = continued(photo, 1 - person)
    """
    side = field.shape[-1]
    if side == 1:
        return field
    share = F.avg_pool2d(known, 2)
    mean = F.avg_pool2d(field * known, 2) / (share + _LEAST)
    below = continued(mean, (share * 4).clamp(max=1))
    around = F.interpolate(below, scale_factor=2.0, mode="bilinear", align_corners=False)
    return field * known + around * (1 - known)
