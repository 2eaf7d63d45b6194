"""One step of training on pairs, and everything a resumption of it needs."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.models.unet import UNet
from toonify.training.core.loop import require_positive
from toonify.training.core.patches import PatchDiscriminator, discriminator_loss, generator_losses
from toonify.training.core.resumption import Parts, ResumableTrainer
from toonify.training.core.schedule import ema_decay, set_rate, update_ema, warmup_cosine
from toonify.training.pix2pix.pairs import PairFolder
from toonify.utils.tensors import to_uint8

_MATCHING = 4.0  # feature matching against the adversarial loss
_SHOWN = 12  # pairs of a preview
_CONTRAST = 8.0  # how much more a line counts, a difference from its surroundings of 1
_WIDTH = 32  # of the patch discriminator
_LEAD = 100  # steps that the discriminator learns alone before it is listened to


@dataclass(frozen=True, kw_only=True)
class Pix2PixConfig:
    """Options of `train_pix2pix`.

    Attributes:
        steps: optimizer steps of `batch_size` crops.
        batch_size: crops a step.
        crop: side of the crops, px.
        lr: Adam's peak rate.
        sharpen: weight of a patch discriminator's say; 0 is without.
        sharpen_from: share of the steps after which it is asked: colors come first.
        ema: of the weights that are kept.
        bfloat16: compute under autocast: faster where the processor computes in it.
        snapshot: steps between snapshots.
        keep: so many snapshots are kept, beside their previews.
        seed: of everything random.
    """

    steps: int = 6000
    batch_size: int = 8
    crop: int = 192
    lr: float = 8e-4
    sharpen: float = 0.1
    sharpen_from: float = 0.05
    ema: float = 0.998
    bfloat16: bool = True
    snapshot: int = 250
    keep: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "crop", "lr", "snapshot")


class Pix2PixTrainer(ResumableTrainer[Pix2PixConfig]):
    """A network in training and its running average; see `toonify.training.core.loop.Trainer`.

    Attributes:
        trained, average: copies of the network.
        step_count: steps done.
    """

    def __init__(self, config: Pix2PixConfig, network: UNet, pairs: PairFolder) -> None:
        self.config, self.pairs = config, pairs
        self.trained = copy.deepcopy(network).train().requires_grad_(True)
        self.trained.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.trained).eval().requires_grad_(False)
        self.device = next(self.trained.parameters()).device
        self.optimizer = torch.optim.Adam(self.trained.parameters(), lr=config.lr)
        self.patches: PatchDiscriminator | None = None
        if config.sharpen > 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                self.patches = PatchDiscriminator(_WIDTH).to(self.device)
            self.patch_optimizer = torch.optim.Adam(
                self.patches.parameters(), lr=2e-4, betas=(0.5, 0.99)
            )
        shown = pairs.batch(min(_SHOWN, len(pairs)), seed=[config.seed, 0, 1])
        self._shown = [side.to(self.device) for side in shown]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16)

    def step(self) -> dict[str, Tensor]:
        """Learn from one batch; the losses, scalars. Nothing changes when they are not finite."""
        config = self.config
        rate = warmup_cosine(self.step_count, config.steps, warmup=100, floor=0.02)
        set_rate(self.optimizer, config.lr * rate)
        # by the step's own number, so that a resumed run sees what an uninterrupted one does
        batch = self.pairs.batch(config.batch_size, seed=[config.seed, self.step_count])
        photos, targets = (side.to(self.device) for side in batch)
        with self._autocast():
            drawn = self.trained(photos)
        drawn = drawn.float()
        loss = pixel_loss(drawn, targets)
        losses = {"pixels": loss}
        since = self.step_count - config.sharpen_from * config.steps
        if self.patches is not None and since >= 0:
            losses |= self._patch_step(self.patches, drawn, targets)
            if since >= _LEAD:
                loss = loss + config.sharpen * (losses["patches"] + _MATCHING * losses["matching"])
        if not bool(torch.isfinite(loss)):
            return losses
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained.parameters(), 1.0)
        self.optimizer.step()
        decay = ema_decay(self.step_count, config.ema)
        update_ema(self.average.state_dict(), self.trained.state_dict(), decay)
        self.step_count += 1
        return {name: value.detach() for name, value in losses.items()}

    def _patch_step(
        self, patches: PatchDiscriminator, drawn: Tensor, targets: Tensor
    ) -> dict[str, Tensor]:
        """Teach the patch discriminator, then ask it."""
        with self._autocast():
            patches.requires_grad_(True)
            loss = discriminator_loss(patches, targets, drawn)
        if bool(torch.isfinite(loss)):
            self.patch_optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.patch_optimizer.step()
        patches.requires_grad_(False)
        with self._autocast():
            adversarial, matching = generator_losses(patches, targets, drawn)
        return {"patches": adversarial, "matching": matching, "loss_d": loss.detach()}

    def finite(self) -> bool:
        """Whether every weight in training is."""
        return all(bool(p.isfinite().all()) for p in self.trained.parameters())

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Photographs, their drawings, and what the average draws, (N, 3, crop, 3 crop) uint8."""
        photos, targets = self._shown
        with self._autocast():
            drawn = self.average(photos).float()
        return to_uint8(torch.cat([photos, targets, drawn], dim=3))

    def parts(self) -> Parts:
        own: Parts = {"network": self.trained, "average": self.average, "optimizer": self.optimizer}
        if self.patches is None:
            return own
        return {**own, "patches": self.patches, "patch_optimizer": self.patch_optimizer}

    def must_match(self) -> dict[str, Any]:
        return {"architecture": self.trained.config()}


def pixel_loss(drawn: Tensor, targets: Tensor) -> Tensor:
    """Distance of (B, 3, H, W) in [-1, 1], a scalar.

    Pixels count the more the more they differ from their surroundings: a line is drawn as soon as
    it is likelier than a fifth, where a plain distance would leave it out up to a half.
    """
    difference = (drawn - targets).abs()
    around = F.avg_pool2d(F.pad(targets, (4, 4, 4, 4), mode="replicate"), 9, 1)
    contrast = (targets - around).abs().mean(1, keepdim=True)
    weighted = (difference * (1 + _CONTRAST * contrast)).mean()
    return weighted + F.avg_pool2d(drawn - targets, 8).abs().mean()
