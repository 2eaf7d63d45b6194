"""One step of training on pairs, and everything a resumption of it needs."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.models.styled_unet import StyledUNet
from toonify.models.unet import UNet
from toonify.training.core.loop import require_positive
from toonify.training.core.patches import PatchDiscriminator, patch_losses
from toonify.training.core.resumption import Parts, ResumableTrainer
from toonify.training.core.schedule import ema_decay, set_rate, update_ema, warmup_cosine
from toonify.training.pix2pix.pairs import PairFolder
from toonify.utils.tensors import to_uint8

_MATCHING = 40.0  # feature matching against the adversarial loss
_SHOWN = 12  # pairs of a preview, of all styles together
_CONTRAST = 8.0  # how much more a line counts, a difference from its surroundings of 1
_FLAT = 40.0  # flat areas against the adversarial loss
_EDGE = 0.03  # a difference from one pixel to the next that ends a flat area
_WIDTH = 32  # of the patch discriminator
_GAIN = 16.0  # of its logits
_DISCRIMINATOR_LR = 4e-4  # its rate
_LEAD = 100  # steps that a style's discriminator learns alone before it is listened to


@dataclass(frozen=True, kw_only=True)
class Pix2PixConfig:
    """Options of `train_pix2pix`.

    Attributes:
        steps: optimizer steps of `batch_size` crops.
        batch_size: crops a step.
        crop: side of the crops, px.
        lr: Adam's peak rate.
        sharpen: weight of crisp lines and flat areas: a patch discriminator, and that areas
            of one tone have no gradient; 0 is without.
        sharpen_from: share of the steps after which it counts: colors come first.
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

    A network of several styles learns them in turn, a style a step.

    Attributes:
        trained, average: copies of the network.
        styles: what it draws; (None,) where it draws one.
        discriminators: a style's patch discriminator.
        step_count: steps done.
    """

    def __init__(
        self, config: Pix2PixConfig, network: UNet | StyledUNet, pairs: PairFolder
    ) -> None:
        self.config, self.pairs = config, pairs
        self.trained = copy.deepcopy(network).train().requires_grad_(True)
        self.trained.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.trained).eval().requires_grad_(False)
        self.device = next(self.trained.parameters()).device
        self.optimizer = torch.optim.Adam(self.trained.parameters(), lr=config.lr)
        self.styles = network.styles if isinstance(network, StyledUNet) else (None,)
        self.discriminators: dict[str | None, PatchDiscriminator] = {}
        if config.sharpen > 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                self.discriminators = {
                    style: PatchDiscriminator(_WIDTH, gain=_GAIN).to(self.device)
                    for style in self.styles
                }
        self.discriminator_optimizers = {
            style: torch.optim.Adam(
                discriminator.parameters(), lr=_DISCRIMINATOR_LR, betas=(0.5, 0.99)
            )
            for style, discriminator in self.discriminators.items()
        }
        self._shown = {
            style: [side.to(self.device) for side in self._examples(style)] for style in self.styles
        }

    def _examples(self, style: str | None) -> tuple[Tensor, Tensor]:
        count = min(max(1, _SHOWN // len(self.styles)), len(self.pairs))
        return self.pairs.batch(count, seed=[self.config.seed, 0, 1], style=style)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16)

    def step(self) -> dict[str, Tensor]:
        """Learn from one batch; the losses, scalars. Nothing changes when they are not finite."""
        config = self.config
        rate = warmup_cosine(self.step_count, config.steps, warmup=100, floor=0.02)
        set_rate(self.optimizer, config.lr * rate)
        style = self.styles[self.step_count % len(self.styles)]
        # by the step's own number, so that a resumed run sees what an uninterrupted one does
        seed = [config.seed, self.step_count]
        batch = self.pairs.batch(config.batch_size, seed=seed, style=style)
        photos, targets = (side.to(self.device) for side in batch)
        drawn = self._draw(self.trained, photos, style)
        losses = {"pixels": pixel_loss(drawn, targets)}
        loss = losses["pixels"]
        since = self.step_count - config.sharpen_from * config.steps
        if config.sharpen > 0 and since >= 0:
            losses |= self._discriminator_step(style, drawn, targets)
            losses["flat"] = flat_loss(drawn, targets)
            if since >= _LEAD * len(self.styles):
                matching, flat = _MATCHING * losses["matching"], _FLAT * losses["flat"]
                loss = loss + config.sharpen * (losses["patches"] + matching + flat)
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

    def _draw(self, network: UNet | StyledUNet, photos: Tensor, style: str | None) -> Tensor:
        with self._autocast():
            drawn: Tensor = network(photos) if style is None else network(photos, style)
        return drawn.float()

    def _discriminator_step(
        self, style: str | None, drawn: Tensor, targets: Tensor
    ) -> dict[str, Tensor]:
        """A step of a style's patch discriminator, then its losses for the network."""
        discriminator, optimizer = self.discriminators[style], self.discriminator_optimizers[style]
        return patch_losses(discriminator, optimizer, targets, drawn, bfloat16=self.config.bfloat16)

    def finite(self) -> bool:
        """Whether every weight in training is."""
        return all(bool(p.isfinite().all()) for p in self.trained.parameters())

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Photographs, their drawings, and what the average draws, (N, 3, crop, 3 crop) uint8."""
        rows = []
        for style, (photos, targets) in self._shown.items():
            drawn = self._draw(self.average, photos, style)
            rows.append(torch.cat([photos, targets, drawn], dim=3))
        return to_uint8(torch.cat(rows))

    def parts(self) -> Parts:
        own: Parts = {"network": self.trained, "average": self.average, "optimizer": self.optimizer}
        for style, discriminator in self.discriminators.items():
            suffix = "" if style is None else f"_{style}"
            own_parts: Parts = {
                f"patches{suffix}": discriminator,
                f"patch_optimizer{suffix}": self.discriminator_optimizers[style],
            }
            own = {**own, **own_parts}
        return own

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


def flat_loss(drawn: Tensor, targets: Tensor) -> Tensor:
    """How far (B, 3, H, W) in [-1, 1] is from flat where the targets are, a scalar.

    The eye sees a faint wobble in what is one tone in the drawing; distances of pixels hardly do.
    """
    losses = []
    for axis in (2, 3):
        edges = targets.diff(dim=axis).abs().amax(1, keepdim=True) > _EDGE
        near = F.max_pool2d(edges.float(), 5, 1, 2)
        losses.append(((1 - near) * drawn.diff(dim=axis).abs()).mean())
    return torch.stack(losses).sum()
