"""Losses that several trainings share: those of StyleGAN2 (arXiv 1912.04958; logistic, R1, path
length), LPIPS and identity."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from toonify.metrics.lpips import PerceptualLoss
from toonify.models.identity import Identity
from toonify.training.core.distributed import World


def perceptual_loss(perceptual: PerceptualLoss, images: Tensor, targets: Tensor) -> Tensor:
    """LPIPS of (B, 3, H, W) in [-1, 1] to their targets, mean over the batch → scalar."""
    with torch.no_grad():
        wanted = perceptual.features(targets)
    return perceptual.distance_to(images, wanted).mean()


def identity_loss(identity: Identity, faces: Tensor, targets: Tensor) -> Tensor:
    """One minus the similarity of aligned faces (B, 3, H, W) in [-1, 1] to their targets, mean over
    the batch → scalar, 0 for the same face."""
    with torch.no_grad():
        wanted = identity(targets)
    return 1 - identity.similarity(identity(faces), wanted).mean()


def generator_logistic(fake: Tensor) -> Tensor:
    """Non-saturating generator loss, mean of -log sigmoid(D(fake)); logits (B, 1) → scalar."""
    return F.softplus(-fake).mean()


def discriminator_logistic(real: Tensor, fake: Tensor) -> Tensor:
    """Logistic discriminator loss of real and fake logits (B, 1) → scalar."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def r1_penalty(real: Tensor, images: Tensor) -> Tensor:
    """Squared gradient norm of the logits at the real images, mean over the batch → scalar.

    Multiply by gamma / 2, and by the interval where it is applied lazily.

    Args:
        real: logits (B, 1) computed from `images`.
        images: (B, 3, H, W) with requires_grad.
    """
    (gradient,) = torch.autograd.grad(real.sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def r1_gamma(resolution: int, batch_size: int) -> float:
    """R1's weight by the rule of thumb of StyleGAN2-ADA's `auto` configuration."""
    return 0.0002 * resolution**2 / batch_size


class PathLength:
    """Path-length regularization: keeps |J_w^T y| near its running mean.

    Args:
        decay: of the running mean.
        world: the processes that share each batch.
    """

    def __init__(self, *, decay: float = 0.01, world: World | None = None) -> None:
        self.mean = torch.zeros(())
        self.decay, self.world = decay, world or World()

    def penalty(self, images: Tensor, w_plus: Tensor, noise: Tensor) -> Tensor:
        """Squared deviation of the path lengths from their running mean → scalar.

        Args:
            images: (B, 3, H, W) generated from `w_plus`.
            w_plus: (B, num_ws, w_dim) with requires_grad.
            noise: standard normal, shaped as `images`.
        """
        height, width = images.shape[2:]
        projected = (images * noise).sum() / math.sqrt(height * width)
        (gradient,) = torch.autograd.grad(projected, w_plus, create_graph=True)
        lengths = gradient.square().sum(dim=2).mean(dim=1).sqrt()
        self.mean = self.mean.lerp(self.world.mean(lengths.mean()), self.decay)
        return (lengths - self.mean.to(lengths)).square().mean()

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean = state["mean"]
