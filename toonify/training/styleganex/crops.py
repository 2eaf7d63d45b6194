"""Which part of a frame to compare at full size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TRIES = 3  # random places, of which the one that changes most is taken


def informative_crops(
    images: Tensor, targets: Tensor, before: Tensor | None, size: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The same square of pictures and targets, more often where a frame is to become another.

    Args:
        images, targets: (B, 3, H, H).
        before: (B, 3, h, h) the frames that they are made from; None where that says nothing.
        size: px, the square's side.
    """
    side = targets.shape[-1]
    if side <= size:
        return images, targets
    change = torch.zeros(len(targets), side // 8, side // 8, device=targets.device)
    if before is not None:
        before = F.adaptive_avg_pool2d(before, side // 8)
        change = (F.adaptive_avg_pool2d(targets, side // 8) - before).abs().mean(1)
    places = torch.randint((side - size) // 8 + 1, (_TRIES, len(images), 2), generator=random)
    found, wanted, span = [], [], size // 8
    for i in range(len(images)):
        amounts = [float(change[i, y : y + span, x : x + span].mean()) for y, x in places[:, i]]
        best = max(range(len(amounts)), key=amounts.__getitem__)
        y, x = (int(v) * 8 for v in places[best, i])
        found.append(images[i, :, y : y + size, x : x + size])
        wanted.append(targets[i, :, y : y + size, x : x + size])
    return torch.stack(found), torch.stack(wanted)
