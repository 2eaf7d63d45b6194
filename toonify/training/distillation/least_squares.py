"""Linear algebra of fitting one network's layers to another's values."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def affine_fit(w: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (K, w_dim) and bias (K,) of the affine function of w nearest to the values (N, K)."""
    mean, middle = w.mean(0), values.mean(0)
    centered = (w - mean).double()
    gram = centered.T @ centered
    gram.diagonal().add_(1e-2 * gram.diagonal().mean())
    weight = torch.linalg.solve(gram, centered.T @ (values - middle).double()).T.float()
    return weight, middle - weight @ mean


def informative_columns(values: Tensor, count: int) -> Tensor:
    """`count` columns of (P, C) from which the others are best predicted (pivoted Cholesky)."""
    if values.shape[1] <= count:
        return torch.arange(values.shape[1])
    centered = (values - values.mean(0)).double()
    gram = centered.T @ centered
    chosen: list[int] = []
    for _ in range(count):
        left = gram.diagonal().clone()
        left[chosen] = -1
        pick = int(left.argmax())
        chosen.append(pick)
        column = gram[:, pick] / math.sqrt(max(float(gram[pick, pick]), 1e-12))
        gram = gram - torch.outer(column, column)
    return torch.tensor(sorted(chosen))
