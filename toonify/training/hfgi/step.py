"""One step of training a compact HFGI, and everything a resumption of it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.metrics.lpips import PerceptualLoss
from toonify.models.encoders.hfgi_compact import CompactHFGI, CompactInversion, moved_along
from toonify.models.identity import Identity
from toonify.training.core.loop import require_positive
from toonify.training.core.losses import identity_loss, perceptual_loss
from toonify.training.core.resumption import AveragingTrainer
from toonify.training.core.schedule import set_rate, warmup_cosine
from toonify.training.hfgi.data import HFGIBatch, HFGIData, perspective
from toonify.utils.tensors import to_uint8

SHOWN = 6  # held-out faces of a preview, half of them edits
_WARM_UP = 100  # steps
_DECAY = 0.995  # of the running average


@dataclass(frozen=True, kw_only=True)
class HFGIWeights:
    """Of the loss terms; 0 leaves one out. The published ones but for the alignment's (0.1).

    Attributes:
        l2: mean squared error of the picture.
        lpips: its perceptual distance.
        identity: one minus the similarity of face descriptors.
        align: mean absolute error of the aligned map.
    """

    l2: float = 1.0
    lpips: float = 0.8
    identity: float = 0.1
    align: float = 0.5


@dataclass(frozen=True, kw_only=True)
class HFGIConfig:
    """Options of training.

    Attributes:
        steps: optimizer steps (published: 100,000 of 8).
        batch_size: faces a step.
        lr: AdamW's peak rate; falls to a fiftieth.
        bfloat16: where that is exact enough.
    """

    steps: int = 10_000
    batch_size: int = 8
    lr: float = 1e-3
    weights: HFGIWeights = HFGIWeights()
    bfloat16: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "lr")


class HFGITrainer(AveragingTrainer[HFGIConfig, CompactHFGI, torch.Generator]):
    """Alignment and consultation in training; see `toonify.training.core.loop.Trainer`.

    Attributes:
        average: the networks' running average, for use.
    """

    def __init__(
        self,
        model: CompactInversion,
        data: HFGIData,
        config: HFGIConfig,
        *,
        perceptual: PerceptualLoss | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.model, self.data, self.config = model, data, config
        self.perceptual, self.identity = perceptual, identity
        self.device = model.generator.w_avg.device
        model.eval().requires_grad_(False)
        self.begin(model.networks.to(memory_format=torch.channels_last), config.lr)
        self.random = torch.Generator().manual_seed(config.seed)

    def step(self) -> dict[str, Tensor]:
        """Learn from one batch; nothing changes when a loss is not finite."""
        factor = warmup_cosine(self.step_count, self.config.steps, warmup=_WARM_UP, floor=0.02)
        set_rate(self.optimizer, self.config.lr * factor)
        batch = self.data.draw(self.config.batch_size, self.random).to(self.device)
        losses = self._losses(batch)
        return self.learn(losses, self.config.weights, decay=_DECAY)

    def _losses(self, batch: HFGIBatch) -> dict[str, Tensor]:
        weights, model = self.config.weights, self.model
        with torch.no_grad(), self._arithmetic():
            w_plus = model.encode(batch.photos).float()
            edit = w_plus + batch.steps
            shallow, rendering = model.rendered(w_plus)
            source = rendering.float()
            wanted = source
            if bool(batch.edited.any()):
                features, rendering = model.rendered(edit[batch.edited])
                shallow, wanted = shallow.clone(), source.clone()
                shallow[batch.edited], wanted[batch.edited] = features, rendering.float()
        with torch.no_grad():
            distortion = batch.photos - source
            # an inversion's map is warped, so that there is something to align (§3.3)
            both = torch.cat((distortion, source), dim=1)
            both = torch.where(
                batch.edited[:, None, None, None], both, perspective(both, self.random)
            )
            source = both[:, 3:]
            distortion, source = moved_along(both, source, wanted).chunk(2, dim=1)
        with self._arithmetic():
            aligned, _ = model.networks.align(distortion, source, wanted)
            image = model.fused(edit, shallow, aligned, wanted)
        image = image.float()
        losses = {"align": (aligned - (batch.targets - wanted)).abs().mean()}
        losses["l2"] = F.mse_loss(image, batch.targets)
        if weights.lpips and self.perceptual is not None:
            losses["lpips"] = perceptual_loss(self.perceptual, image, batch.targets)
        if weights.identity and self.identity is not None:
            losses["identity"] = identity_loss(self.identity, image, batch.targets)
        return losses

    def _arithmetic(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16)

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Photo, its rendering, its inversion, target and edit of held-out faces (N, 3, S, 5S)."""
        batch = self.data.held_out().to(self.device)
        count = len(batch.photos)
        half = min(SHOWN, count) // 2
        model = CompactInversion(self.average, self.model.generator, self.model.encoder)
        rows = []
        for i in [*range(half), *range(count - half, count)]:
            photo = batch.photos[i : i + 1]
            with self._arithmetic():
                w_plus = model.encode(photo).float()
                edit = w_plus + batch.steps[i : i + 1]
                shown = [
                    photo,
                    model.rendered(w_plus)[1],
                    model.edited(photo, w_plus, w_plus),
                    batch.targets[i : i + 1],
                    model.edited(photo, w_plus, edit),
                ]
            rows.append(torch.cat([picture.float() for picture in shown], dim=3))
        return to_uint8(torch.cat(rows))

    def must_match(self) -> dict[str, Any]:
        return {"network_config": self.network.config()}
