"""Training of `DrawingEncoder`: generated faces and sketches or masks of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from toonify.inversion.translation import SAMPLED_FROM
from toonify.models.base import Generator
from toonify.models.encoders.drawing import (
    FEATURE_RESOLUTION,
    LABELS,
    SIZE,
    DrawingEncoder,
    mask_planes,
    sketch_planes,
    structure_features,
)
from toonify.training.core.loop import require_positive
from toonify.training.core.optim import descend
from toonify.training.core.resumption import AveragingTrainer
from toonify.training.core.schedule import ema_decay, set_rate, update_ema, warmup_cosine
from toonify.training.drawings.pairs import DrawnFaces
from toonify.training.drawings.sketches import askew, coarsened, draw_sketch, enlarged
from toonify.utils.tensors import to_uint8

LABELED = 2 * FEATURE_RESOLUTION  # px of label maps, each way
SHOWN = 6  # faces of a preview
MASKS = 0.35  # share of masks among the drawings
RENDERED = 12  # drawings of a batch whose activations are rendered


@dataclass(frozen=True, kw_only=True)
class DrawingSettings:
    """Options of `DrawingTrainer`.

    Attributes:
        steps: optimizer steps.
        batch_size: drawings a step.
        lr: Adam's peak rate; falls to a fiftieth.
        features: weight of the activations' squared error, relative to their variance; w's, that
            is measured likewise, has the weight 1.
        labels: of the cross-entropies.
        rendered_share: of the steps, the last ones, in which activations are rendered.
    """

    steps: int = 3000
    batch_size: int = 32
    lr: float = 1e-3
    features: float = 1.0
    labels: float = 0.5
    rendered_share: float = 0.1
    bfloat16: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "lr", "features", "labels")


@dataclass(frozen=True)
class DrawingBatch:
    """Drawings (B, 20, 128, 128), labels under them (B, 64, 64), aligned labels (B, 64, 64),
    and w+ (B, num_ws, w_dim)."""

    drawings: Tensor
    seen: Tensor
    labels: Tensor
    w_plus: Tensor


def draw_batch(
    faces: DrawnFaces, index: NDArray[np.int64], random: np.random.Generator
) -> DrawingBatch:
    """Sketches or masks of faces, afresh each time."""
    drawings = np.zeros((len(index), 1 + LABELS, SIZE, SIZE), np.float32)
    seen = np.zeros((len(index), LABELED, LABELED), np.int64)
    labels = np.zeros_like(seen)
    for row, number in enumerate(index):
        face, parts, points = faces[int(number)]
        size = face.shape[0]
        matrix = askew(size, random)
        large = enlarged(parts, size)
        moved = np.asarray(
            cv2.warpAffine(large, matrix, (size, size), flags=cv2.INTER_NEAREST), np.uint8
        )
        seen[row] = enlarged(moved, LABELED)
        labels[row] = enlarged(parts, LABELED)
        if random.random() < MASKS:
            drawings[row] = mask_planes(coarsened(enlarged(moved, SIZE), random))
            continue
        sketch = draw_sketch(face, parts, points, random)
        sketch = np.asarray(
            cv2.warpAffine(sketch, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE), np.uint8
        )
        drawings[row] = sketch_planes(sketch)
    w_plus = faces.latents(index)
    return DrawingBatch(
        torch.from_numpy(drawings), torch.from_numpy(seen), torch.from_numpy(labels), w_plus
    )


class DrawingTrainer(AveragingTrainer[DrawingSettings, DrawingEncoder, np.random.Generator]):
    """Trains the encoder; see `toonify.training.core.loop.Trainer`.

    Args:
        generator: whose faces they are; frozen.
        faces: the last `SHOWN` are held out.
        metric: of w, see `fit_labels_and_metric`; that has made `network.from_features`, too.
    """

    def __init__(
        self,
        network: DrawingEncoder,
        generator: Generator,
        faces: DrawnFaces,
        metric: Tensor,
        config: DrawingSettings,
    ) -> None:
        self.network, self.generator, self.config = network, generator, config
        self.faces = faces
        self.average = DrawingEncoder(**_arguments(network))
        self.average.load_state_dict(network.state_dict())
        self.average.requires_grad_(False)
        network.from_features.requires_grad_(False)
        self.learnt = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.learnt, lr=config.lr, betas=(0.9, 0.99))
        self.device = next(network.parameters()).device
        self.average.to(self.device)
        self.random = np.random.default_rng(config.seed)
        self.metric = metric.to(self.device)
        shown = np.arange(len(faces) - SHOWN, len(faces))
        self._shown = draw_batch(faces, shown, np.random.default_rng(config.seed + 1))

    def must_match(self) -> dict[str, Any]:
        return {"architecture": self.network.config()}

    def step(self) -> dict[str, Tensor]:
        config = self.config
        index = self.random.integers(0, len(self.faces) - SHOWN, config.batch_size)
        batch = draw_batch(self.faces, index, self.random)
        drawings, w_plus = batch.drawings.to(self.device), batch.w_plus.to(self.device)
        rendering = self.step_count >= config.steps * (1 - config.rendered_share)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.bfloat16):
            w, logits = self.network(drawings.contiguous(memory_format=torch.channels_last))
        missed = (w.float()[:, None] - w_plus[:, :SAMPLED_FROM]) @ self.metric.T
        seen = F.interpolate(logits.float(), scale_factor=2, mode="bilinear")
        losses = {
            "latent": missed.square().sum(2).mean(),
            "seen": F.cross_entropy(seen, batch.seen.to(self.device)),
        }
        if rendering:
            losses |= self._rendered(batch, w)
        total = (
            losses["latent"]
            + config.labels * losses["seen"]
            + config.labels * losses.get("rendered", torch.zeros(()).to(w))
            + config.features * losses.get("features", torch.zeros(()).to(w))
        )
        rate = warmup_cosine(self.step_count, config.steps, warmup=100, floor=0.02)
        set_rate(self.optimizer, config.lr * rate)
        self.step_count += 1
        if descend(total, self.optimizer, self.learnt, most=2.0):
            update_ema(
                dict(self.average.named_parameters()),
                dict(self.network.named_parameters()),
                ema_decay(self.step_count, 0.995),
            )
        return {name: value.detach() for name, value in losses.items()}

    def _rendered(self, batch: DrawingBatch, w: Tensor) -> dict[str, Tensor]:
        """The same faces' activations and labels, of a part of the batch."""
        w_plus = batch.w_plus[:RENDERED].to(self.device)
        reading = w_plus.clone()
        reading[:, :SAMPLED_FROM] = w[:RENDERED, None].to(reading)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            with torch.no_grad():
                wanted = structure_features(self.generator, w_plus).float()
            found = structure_features(self.generator, reading).float()
            again = self.network.label(found)
        variance = wanted.var((0, 2, 3), keepdim=True) + 1e-4
        labels = batch.labels[:RENDERED].to(self.device)
        return {
            "features": ((found - wanted).square() / variance).mean(),
            "rendered": F.cross_entropy(again.float(), labels),
        }

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Held-out drawings, the faces they were made of and what is predicted from them, uint8."""
        batch = self._shown
        drawings = batch.drawings.to(self.device)
        w, _ = self.average(drawings)
        reading = batch.w_plus.to(self.device).clone()
        reading[:, :SAMPLED_FROM] = w[:, None]
        images = [
            self.generator.synthesize(self.generator.styles(w_plus))
            for w_plus in (batch.w_plus.to(self.device), reading)
        ]
        rows = torch.cat([seen_drawings(drawings, images[0].shape[-1]), *images])
        return to_uint8(rows.float().clamp(-1, 1)).cpu()


def seen_drawings(drawings: Tensor, size: int) -> Tensor:
    """Drawings (B, 20, 128, 128) as pictures (B, 3, size, size) in [-1, 1]: ink, or gray parts."""
    ink = 1 - 2 * drawings[:, :1]
    number = drawings[:, 1:].argmax(1, keepdim=True) / (LABELS - 1) * 2 - 1
    masked = drawings[:, 1:].amax((1, 2, 3), keepdim=True) > 0
    return F.interpolate(torch.where(masked, number, ink), size=(size, size)).expand(-1, 3, -1, -1)


def _arguments(network: DrawingEncoder) -> dict[str, Any]:
    return {name: value for name, value in network.config().items() if name != "architecture"}
