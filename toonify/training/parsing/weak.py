"""Which points of a face are beard or headwear, learnt from which faces have one.

Each point of a bearded face's jaw counts as beard, each of another's as none: activations that both
have cancel out, and what is left is beard. Headwear likewise, above the brows.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toonify.faces.parsing import LABELS
from toonify.faces.types import Points, f32
from toonify.training.parsing.activations import GRID
from toonify.training.parsing.labels import JAW, JAW_BORDER

KINDS = ("beard", "headwear")
COMPONENTS = 64
_I = {name: i for i, name in enumerate(LABELS)}


class WeakParts(nn.Module):
    """Activations (…, 64) and places (…, 2) → logits of `KINDS` (…, 2)."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(COMPONENTS))
        self.register_buffer("std", torch.ones(COMPONENTS))
        self.layers = nn.Sequential(
            nn.Linear(COMPONENTS + 2, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(),
            nn.Linear(48, len(KINDS)),
        )  # fmt: skip

    def forward(self, principal: Tensor, places: Tensor) -> Tensor:
        return self.layers(torch.cat([(principal - self.mean) / self.std, places], -1))

    @torch.no_grad()
    def probabilities(self, principal: Points) -> Points:
        """(64, 64, 64) → (64, 64, 2)."""
        logits = self(torch.from_numpy(principal), torch.from_numpy(_places()))
        return f32(torch.sigmoid(logits).numpy())


def zones(labels: np.ndarray, mesh: Points, matte: Points) -> tuple[np.ndarray, np.ndarray]:
    """Where on the grid (64, 64) a beard would be, and headwear.

    Args:
        labels: (256, 256). mesh: (468, 2) px of 256. matte: (256, 256) in 0..1.
    """
    scale = GRID / labels.shape[0]
    points = mesh * scale
    small = cv2.resize(labels, (GRID, GRID), interpolation=cv2.INTER_NEAREST)
    jaw = points[list(JAW)].copy()
    jaw[:JAW_BORDER] = points[1] + (jaw[:JAW_BORDER] - points[1]) * 1.08
    beard = np.zeros((GRID, GRID), np.uint8)
    cv2.fillPoly(beard, [jaw.astype(np.int32)], 1)
    beard[np.isin(small, (_I["lips"], _I["mouth"]))] = 0
    up = points[10] - points[152]
    size = float(np.linalg.norm(up)) + 1e-6
    y, x = np.mgrid[:GRID, :GRID].astype(np.float32)
    eyes = points[[33, 263]].mean(0)
    height = (np.dstack([x, y]) - eyes) @ (up / size)
    brows = float(((points[[63, 66, 105, 293, 296, 334]] - eyes) @ (up / size)).max())
    above = height > max(brows, 0) + 0.02 * size
    people = cv2.resize(matte, (GRID, GRID), interpolation=cv2.INTER_AREA) > 0.4
    face = np.isin(small, (_I["skin"], _I["eye"], _I["brow"]))
    return beard > 0, above & people & ~face


def fit_weak_parts(
    principal: Points,
    beard: Points,
    headwear: Points,
    where: list[tuple[np.ndarray, np.ndarray]],
    *,
    steps: int = 1500,
    batch: int = 2048,
    seed: int = 0,
) -> WeakParts:
    """Learn from activations (N, 64, 64, 64), values (N,) in 0..1, and each face's `zones`."""
    network = WeakParts()
    network.mean.copy_(torch.from_numpy(principal.mean((0, 1, 2))))
    network.std.copy_(torch.from_numpy(principal.std((0, 1, 2))))
    target = np.full((len(principal), GRID, GRID, len(KINDS)), -1, np.float32)
    for i, (jaw, top) in enumerate(where):
        target[i, jaw, 0] = beard[i]
        target[i, top, 1] = headwear[i]
    used = (target >= 0).any(-1)
    places = np.broadcast_to(_places(), (len(principal), GRID, GRID, 2))
    inputs = torch.from_numpy(principal[used])
    spots = torch.from_numpy(np.ascontiguousarray(places[used]))
    targets = torch.from_numpy(target[used])
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = torch.randint(len(inputs), (batch,), generator=generator)
        logits, wanted = network(inputs[chosen], spots[chosen]), targets[chosen]
        known = wanted >= 0
        each = F.binary_cross_entropy_with_logits(logits, wanted.clamp(0, 1), reduction="none")
        optimizer.zero_grad()
        ((each * known).sum() / known.sum().clamp(min=1)).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _places() -> Points:
    y, x = np.mgrid[:GRID, :GRID] / (GRID / 2) - 1
    return f32(np.dstack([x, y]))
