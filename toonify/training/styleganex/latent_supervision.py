"""What is known of generated faces' latents, which an encoder learns sooner than from pictures."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from toonify.training.styleganex.warps import warped


def latent_loss(w_plus: Tensor, latents: Tensor, deviation: Tensor) -> Tensor:
    """Mean squared difference of w+ (B, num_ws, w_dim) to the last faces' own (P, num_ws, w_dim),
    in deviations of w; the other faces' are unknown."""
    return ((w_plus[len(w_plus) - len(latents) :] - latents) / deviation).square().mean()


def feature_loss(feature: Tensor, first: Tensor, theta: Tensor) -> Tensor:
    """Share of f0's variance by which f misses f0 moved as the faces were (ours).

    A generated face in its place has the constant as its f. Layers on f are nearly equivariant,
    so that a moved face's is the moved constant.

    Args:
        feature: (B, C, H, W) of the frames.
        first: f0 (1, C, 32, 32).
        theta: (B, 2, 3) face → frame.
    """
    first = F.adaptive_avg_pool2d(first.float(), (feature.shape[2], feature.shape[3]))
    wanted = warped(first.expand(len(theta), -1, -1, -1), theta)
    return (feature - wanted).square().mean() / first.var()
