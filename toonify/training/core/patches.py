"""A patch discriminator that sharpens paired fine-tuning (pix2pix, arXiv 1611.07004).

Pixel and perceptual distances alone blur what a pair leaves open by a pixel or two: a line drawn
softly is cheaper than one drawn crisply beside its place. Judging small patches makes it crisp,
and matching the discriminator's features (pix2pixHD, arXiv 1711.11585) keeps it in place.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """(B, 3, H, W) → a logit for every patch, (B, 1, ~H/8, ~W/8), higher for drawn by hand.

    Args:
        width: channels of the first layer; each of the three stages doubles them.
        gain: of the logits, which spectral normalization keeps near 0: with 1 the generator
            hears little more than the features that are matched.
    """

    def __init__(self, width: int = 48, *, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        channels = [3, width, 2 * width, 4 * width]
        self.stages = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1))
            for a, b in itertools.pairwise(channels)
        )
        self.logit = spectral_norm(nn.Conv2d(channels[-1], 1, 3, padding=1))

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, and the activations of every stage."""
        x, features = images, []
        for stage in self.stages:
            x = F.leaky_relu(stage(x), 0.2)
            features.append(x)
        return self.gain * self.logit(x), features


def new_patches(
    seed: int, device: torch.device, width: int = 48
) -> tuple[PatchDiscriminator, torch.optim.Optimizer]:
    """A fresh discriminator, the same for the same seed, and Adam for it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PatchDiscriminator(width).to(device)
    return network, torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.99))


def discriminator_loss(network: PatchDiscriminator, drawn: Tensor, generated: Tensor) -> Tensor:
    """Hinge loss of telling drawings from generated images, both (B, 3, H, W) in [-1, 1]."""
    # one batch: spectral normalization then sees one step a step
    logits, _ = network(torch.cat((drawn, generated.detach())))
    real, fake = logits.float().chunk(2)
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def train_patches(
    network: PatchDiscriminator,
    optimizer: torch.optim.Optimizer,
    drawn: Tensor,
    generated: Tensor,
    *,
    bfloat16: bool,
) -> Tensor:
    """One step of the discriminator, which is frozen afterwards; none where its loss isn't finite.

    Returns:
        The loss, detached.
    """
    network.requires_grad_(True)
    with torch.autocast(drawn.device.type, torch.bfloat16, enabled=bfloat16):
        loss = discriminator_loss(network, drawn, generated)
    if bool(torch.isfinite(loss)):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    network.requires_grad_(False)
    return loss.detach()


def patch_losses(
    network: PatchDiscriminator,
    optimizer: torch.optim.Optimizer,
    drawn: Tensor,
    generated: Tensor,
    *,
    bfloat16: bool,
) -> dict[str, Tensor]:
    """A step of the discriminator (`train_patches`), then what the generator descends.

    Returns:
        "patches" and "matching" (see `generator_losses`), and "loss_d", the discriminator's.
    """
    loss = train_patches(network, optimizer, drawn, generated, bfloat16=bfloat16)
    with torch.autocast(drawn.device.type, torch.bfloat16, enabled=bfloat16):
        adversarial, matching = generator_losses(network, drawn, generated)
    return {"patches": adversarial, "matching": matching, "loss_d": loss}


def generator_losses(
    network: PatchDiscriminator, drawn: Tensor, generated: Tensor
) -> tuple[Tensor, Tensor]:
    """(adversarial, feature-matching) losses of the generator."""
    with torch.no_grad():
        _, wanted = network(drawn)
    logits, features = network(generated)
    matched = torch.stack(
        [F.l1_loss(a.float(), b.float()) for a, b in zip(features, wanted, strict=True)]
    )
    return -logits.float().mean(), matched.mean()
