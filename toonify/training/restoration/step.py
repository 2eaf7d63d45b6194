"""One step of training `FaceRestoration`, and everything a resumption of it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.metrics.lpips import PerceptualLoss
from toonify.models.base import Encoder
from toonify.models.encoders.restoration import FaceRestoration, consistent, restored
from toonify.models.generators.hybrid import HybridGenerator
from toonify.models.identity import Identity
from toonify.training.core.loop import require_positive
from toonify.training.core.losses import identity_loss, perceptual_loss
from toonify.training.core.patches import generator_losses, new_patches, train_patches
from toonify.training.core.resumption import AveragingTrainer, Parts
from toonify.training.core.schedule import set_rate, warmup_cosine
from toonify.training.data.photos import PhotoSet
from toonify.training.restoration.data import RestorationBatch, draw_batch
from toonify.utils.tensors import to_uint8

SHOWN = 8  # held-out faces of a preview
SEEN = 112  # px of the windows that the perceptual distance is of
WIDTH = 32  # of the patch discriminator
_WARM_UP = 50  # steps
_LEAD = 50  # steps that the discriminator learns alone before it is listened to
_DECAY = 0.995  # of the running average


@dataclass(frozen=True, kw_only=True)
class RestorationWeights:
    """Of the loss terms; 0 leaves one out.

    Attributes:
        l1: mean absolute error.
        lpips: perceptual distance of windows.
        identity: one minus the similarity of face descriptors.
        patches: the patch discriminator's adversarial loss; `matching`: its features' distance.
    """

    l1: float = 1.0
    lpips: float = 1.0
    identity: float = 0.6
    patches: float = 0.03
    matching: float = 0.3


@dataclass(frozen=True, kw_only=True)
class RestorationConfig:
    """Options of training.

    Attributes:
        steps: optimizer steps.
        batch_size: faces a step.
        lr: AdamW's peak rate; falls to a fiftieth.
        bfloat16: where that is exact enough.
    """

    steps: int = 2000
    batch_size: int = 6
    lr: float = 1e-3
    weights: RestorationWeights = RestorationWeights()
    bfloat16: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "lr")


class RestorationTrainer(AveragingTrainer[RestorationConfig, FaceRestoration, np.random.Generator]):
    """The network in training; see `toonify.training.core.loop.Trainer`.

    Args:
        network: to be trained.
        generator: that draws; `encoder` reads its latents. Both frozen.
        faces: aligned; the last `SHOWN` are held out.

    Attributes:
        average: the network's running average, for use.
    """

    def __init__(
        self,
        network: FaceRestoration,
        generator: HybridGenerator,
        encoder: Encoder,
        faces: PhotoSet,
        config: RestorationConfig,
        *,
        perceptual: PerceptualLoss | None = None,
        identity: Identity | None = None,
    ) -> None:
        network.check(generator)
        self.generator = generator.eval().requires_grad_(False)
        self.encoder = encoder.eval().requires_grad_(False)
        self.faces, self.config = faces, config
        self.perceptual, self.identity = perceptual, identity
        self.device = generator.w_avg.device
        self.begin(network.to(memory_format=torch.channels_last), config.lr)
        self.patches, self.patch_optimizer = new_patches(config.seed, self.device, WIDTH)
        self.random = np.random.default_rng(config.seed)
        self._shown = torch.arange(len(faces) - SHOWN, len(faces))

    def step(self) -> dict[str, Tensor]:
        """Learn from one batch; nothing changes when a loss is not finite."""
        factor = warmup_cosine(self.step_count, self.config.steps, warmup=_WARM_UP, floor=0.02)
        set_rate(self.optimizer, self.config.lr * factor)
        index = self.random.integers(0, len(self.faces) - SHOWN, self.config.batch_size)
        batch = draw_batch(self.faces, torch.from_numpy(index), self.random)
        faces = batch.faces.to(self.device)
        image = self._drawn(self.network, batch)
        losses = self._losses(image, faces) | self._adversarial(image, faces)
        return self.learn(losses, self.config.weights, decay=_DECAY)

    def _drawn(self, network: FaceRestoration, batch: RestorationBatch) -> Tensor:
        photos, sides = batch.photos.to(self.device), batch.sides.to(self.device)
        with self._arithmetic():
            with torch.no_grad():
                size = (self.encoder.input_size, self.encoder.input_size)
                seen = F.interpolate(photos, size, mode="area")
                w_plus = self.encoder.encode(seen, self.generator)[:, : self.generator.num_ws]
            image = restored(network, self.generator, photos, w_plus.float(), sides)
        return consistent(image, photos, sides)

    def _losses(self, image: Tensor, faces: Tensor) -> dict[str, Tensor]:
        weights = self.config.weights
        losses = {"l1": (image - faces).abs().mean()}
        if weights.lpips and self.perceptual is not None:
            top, left = (int(v) for v in self.random.integers(0, image.shape[-1] - SEEN + 1, 2))
            place = (..., slice(top, top + SEEN), slice(left, left + SEEN))
            losses["lpips"] = perceptual_loss(self.perceptual, image[place], faces[place])
        if weights.identity and self.identity is not None:
            losses["identity"] = identity_loss(self.identity, image, faces)
        return losses

    def _adversarial(self, image: Tensor, faces: Tensor) -> dict[str, Tensor]:
        """A step of the patch discriminator, then its losses for the network."""
        if not self.config.weights.patches:
            return {}
        train_patches(
            self.patches, self.patch_optimizer, faces, image, bfloat16=self.config.bfloat16
        )
        if self.step_count < _LEAD:
            return {}
        with self._arithmetic():
            adversarial, matching = generator_losses(self.patches, faces, image)
        return {"patches": adversarial, "matching": matching}

    def _arithmetic(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16)

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Held-out faces: small, enlarged by the network, and as they are, (N, 3, S, 3S)."""
        batch = draw_batch(self.faces, self._shown, np.random.default_rng(self.config.seed + 1))
        drawn = self._drawn(self.average, batch)
        return to_uint8(torch.cat([batch.photos, drawn.cpu(), batch.faces], dim=3))

    def parts(self) -> Parts:
        more: Parts = {"patches": self.patches, "patch_optimizer": self.patch_optimizer}
        return {**super().parts(), **more}

    def must_match(self) -> dict[str, Any]:
        return {"architecture": self.network.config()}
