"""What a generator's activations at 32×32 tell: which changes of w count, and which part is where.

Both are read once off some thousand faces; then an encoder learns w without rendering anything.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.base import Generator
from toonify.models.encoders.drawing import FEATURE_RESOLUTION, LABELS, structure_features
from toonify.training.drawings.pairs import DrawnFaces
from toonify.training.drawings.sketches import enlarged

TOGETHER = 16
POOLED_SIZE = 8  # activations are averaged to, for the regression
RIDGE = 0.1
FLOOR = 0.02  # of the mean eigenvalue, that every direction of w counts at least


@torch.no_grad()
def _features(generator: Generator, w_plus: Tensor, bfloat16: bool) -> Tensor:
    with torch.autocast(w_plus.device.type, torch.bfloat16, enabled=bfloat16):
        return structure_features(generator, w_plus).float()


def fit_labels_and_metric(
    generator: Generator,
    faces: DrawnFaces,
    count: int,
    *,
    rows: int,
    bfloat16: bool = True,
    progress: Callable[[int], None] | None = None,
) -> tuple[nn.Conv2d, Tensor]:
    """A 1×1 convolution that labels activations, and what differences of w amount to in them.

    Args:
        count: faces read.
        rows: of w+ that a drawing tells.

    Returns:
        the convolution, C → 4·19 channels, to be shuffled to (19, 64, 64); and L (w_dim, w_dim):
        the mean squared change of activations, relative to their variance, is about |L Δw|².
    """
    device = generator.w_avg.device
    order = np.random.default_rng(0).permutation(min(count, len(faces)))
    average = generator.w_avg.expand(1, generator.num_ws, -1)
    channels = _features(generator, average, False).shape[1]
    reader = nn.Conv2d(channels, 4 * LABELS, 1).to(device)
    assert reader.bias is not None
    nn.init.zeros_(reader.weight)
    nn.init.zeros_(reader.bias)
    optimizer = torch.optim.Adam(reader.parameters(), lr=5e-3)
    batches = [order[i : i + TOGETHER] for i in range(0, len(order), TOGETHER)]
    mean = deviation = torch.zeros(0)
    latents, pooled = [], []
    for number, index in enumerate(batches):
        w_plus = faces.latents(index).to(device)
        found = _features(generator, w_plus, bfloat16)
        if number == 0:
            mean, deviation = found.mean((0, 2, 3)), found.std((0, 2, 3)) + 1e-3
        normalized = (found - mean[:, None, None]) / deviation[:, None, None]
        labels = [faces[int(i)][1] for i in index]
        size = 2 * FEATURE_RESOLUTION
        small = np.stack([enlarged(parts, size) for parts in labels]).astype(np.int64)
        wanted = torch.from_numpy(small).to(device)
        for _ in range(2):
            logits = F.pixel_shuffle(reader(normalized), 2)
            loss = F.cross_entropy(logits, wanted)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - 0.95 * (number + 1) / len(batches))
        latents.append(w_plus[:, :rows].mean(1))
        pooled.append(F.adaptive_avg_pool2d(normalized, POOLED_SIZE).flatten(1))
        if progress:
            progress(number * TOGETHER + len(index))
    with torch.no_grad():  # (x - m) / d as part of the weights
        reader.weight.div_(deviation[None, :, None, None])
        reader.bias.sub_(reader.weight[:, :, 0, 0] @ mean)
    return reader.requires_grad_(False), _metric(torch.cat(latents), torch.cat(pooled))


def _metric(latents: Tensor, features: Tensor) -> Tensor:
    """L of ridge regression of features (N, F) on latents (N, D)."""
    deviation = latents.std(0).clamp_min(0.1 * float(latents.std(0).mean()))
    x = ((latents - latents.mean(0)) / deviation).double()
    y = (features - features.mean(0)).double()
    gram = x.T @ x / len(x)
    slope = torch.linalg.solve(gram + RIDGE * torch.eye(len(gram)).to(gram), x.T @ y / len(x))
    metric = slope @ slope.T / features.shape[1]
    values, vectors = torch.linalg.eigh(metric)
    values = values.clamp_min(FLOOR * float(values.sum()) / len(values))
    root = vectors * values.sqrt() @ vectors.T
    return (root / deviation[None].double()).float()
