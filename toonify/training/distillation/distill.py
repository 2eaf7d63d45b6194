"""Distilling a generator into StyleGAN2's layout, so that it shares the teacher's W.

What StyleGANEX refactors is StyleGAN2's layout; a compact generator (arXiv 2104.04767) becomes one
by learning the teacher's picture of every latent, at every resolution from the partial sums of the
tRGB layers. Coarse resolutions alone go first, which is quick; a patch discriminator makes the
last part crisp.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.checkpoints import save_generator
from toonify.errors import UsageError
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.base import Generator
from toonify.models.generators.stylegan2 import StyleGAN2Generator, StyleGAN2Layers, channel_table
from toonify.models.layers import EqualLinear
from toonify.training.core.loop import Progress, require_positive, run_trainer
from toonify.training.core.patches import new_patches, patch_losses
from toonify.training.core.resumption import Parts, ResumableTrainer
from toonify.training.core.runs import RunFolder
from toonify.training.core.schedule import ema_decay, set_rate, update_ema, warmup_cosine
from toonify.training.encoders.data import LatentSource
from toonify.training.finetune.paired_step import drawing_losses, random_crop
from toonify.utils.tensors import to_uint8

COARSE = 32  # resolution of the first part
SAME_W = 0.02  # by which mean latents may differ, of checkpoints in float16
_MATCHING = 4.0  # feature matching against the adversarial loss


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Options of `distill`.

    Attributes:
        steps: optimizer steps.
        batch_size: images a step at full resolution.
        coarse_share: of the steps, taken at up to 32×32 with `coarse_batch` images each.
        lr: Adam's peak rate; falls to a fiftieth.
        perceptual_size: side of the pictures and crops that LPIPS compares.
        sharpen: weight of the patch discriminator; 0 is without.
        sharpen_share: of the steps, the last ones, in which it counts.
        compiled: through `torch.compile`.
        bfloat16: where that is exact enough; else float32.
        snapshot: steps between snapshots.
        keep: so many snapshots are kept, beside their previews.
    """

    steps: int = 8000
    batch_size: int = 8
    coarse_share: float = 0.25
    coarse_batch: int = 32
    lr: float = 4e-3
    perceptual_size: int = 128
    sharpen: float = 0.05
    sharpen_share: float = 0.4
    compiled: bool = False
    bfloat16: bool = True
    ema: float = 0.998
    snapshot: int = 250
    keep: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "coarse_batch", "lr", "snapshot")

    @property
    def coarse_steps(self) -> int:
        """Steps of the first part."""
        return round(self.steps * self.coarse_share)


def new_student(
    teacher: Generator, *, resolution: int, channel_base: int, channel_max: int, seed: int = 0
) -> StyleGAN2Layers:
    """A fresh StyleGAN2 with the teacher's mapping network.

    Args:
        channel_base, channel_max: as of `channel_table`.

    Raises:
        UsageError: the resolution is the teacher's double or more, or no such network can be.
    """
    if resolution < 8 or resolution & (resolution - 1):
        raise UsageError(f"a resolution of {resolution} is no power of two from 8 on")
    if channel_base < resolution:
        raise UsageError(
            f"{channel_base} over {resolution} leaves no channel", hint="Raise `channel_base`."
        )
    if resolution > teacher.resolution:
        raise UsageError(
            f"a teacher of {teacher.resolution}x{teacher.resolution} can't teach {resolution}",
            hint="Choose a smaller `resolution`.",
        )
    mapping = list(teacher.mapping_weights())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = StyleGAN2Generator(
            resolution=resolution,
            channels=channel_table(resolution, channel_base=channel_base, channel_max=channel_max),
            w_dim=teacher.w_dim,
            z_dim=mapping[0][0].shape[1],
            mapping_layers=len(mapping),
        )
    copy_mapping(student, teacher)
    return student.to(teacher.w_avg.device)


@torch.no_grad()
def copy_mapping(student: StyleGAN2Layers, teacher: Generator) -> None:
    """The teacher's mapping network and mean of w into one of the same shape."""
    for layer, (weight, bias) in zip(student.mapper, teacher.mapping_weights(), strict=True):
        layer = cast(EqualLinear, layer)
        layer.weight.copy_(weight / layer.weight_gain)
        layer.bias.copy_(bias / layer.lr_multiplier)
    student.w_avg.copy_(teacher.w_avg)


def check_student(found: Generator, teacher: Generator) -> StyleGAN2Layers:
    """`found`, if it can learn further from `teacher`.

    Raises:
        UsageError: no StyleGAN2, of another W, or larger than the teacher.
    """
    if not isinstance(found, StyleGAN2Layers):
        raise UsageError(
            f"a {type(found).__name__} is not of StyleGAN2's layout", hint="Leave `start` out."
        )
    if found.resolution > teacher.resolution or found.w_dim != teacher.w_dim:
        raise UsageError(
            f"the student renders {found.resolution}x{found.resolution} from {found.w_dim}"
            f" numbers, its teacher {teacher.resolution}x{teacher.resolution} from"
            f" {teacher.w_dim}",
            hint="Leave `start` out.",
        )
    if not torch.allclose(found.w_avg, teacher.w_avg, atol=SAME_W):
        raise UsageError(
            "the student's latents are not its teacher's: their mapping networks differ",
            hint="Leave `start` out.",
        )
    return found


class DistillTrainer(ResumableTrainer[DistillConfig]):
    """The student, its running average, the patch discriminator, and their optimizers.

    Attributes:
        student, average: in training, and the running average of it.
    """

    def __init__(
        self,
        config: DistillConfig,
        student: StyleGAN2Layers,
        pairs: LatentSource,
        perceptual: PerceptualLoss,
    ) -> None:
        self.config, self.pairs, self.perceptual = config, pairs, perceptual
        self.device = student.w_avg.device
        self.student = student.train().requires_grad_(True).to(memory_format=torch.channels_last)
        student.mapper.requires_grad_(False)  # W is the teacher's
        self.free = {n: p for n, p in student.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.Adam(self.free.values(), lr=config.lr, betas=(0.9, 0.99))
        self.average = copy.deepcopy(student).eval().requires_grad_(False)
        self._averages = dict(self.average.named_parameters())
        self.random = torch.Generator().manual_seed(config.seed)
        self.patches, self.patch_optimizer = new_patches(config.seed, self.device)
        self._render, self._coarse = self._images, self._coarse_images
        if config.compiled:
            self._render = torch.compile(self._images)
            self._coarse = torch.compile(self._coarse_images)
            self.perceptual = perceptual.compiled()

    def _images(self, w_plus: Tensor) -> list[Tensor]:
        return self.student.partial_images(self.student.styles(w_plus))

    def _coarse_images(self, w_plus: Tensor) -> list[Tensor]:
        styles = self.student.styles(w_plus)
        return self.student.partial_images(styles, resolution=COARSE)

    @property
    def kimg(self) -> float:
        """Thousand pictures learnt from."""
        coarse = min(self.step_count, self.config.coarse_steps)
        fine = self.step_count - coarse
        return (coarse * self.config.coarse_batch + fine * self.config.batch_size) / 1000

    def step(self) -> dict[str, Tensor]:
        """Learn from one batch; nothing changes when a loss is not finite."""
        config = self.config
        self._set_rate()
        if self.step_count < config.coarse_steps and self.student.resolution > COARSE:
            losses = self._coarse_step()
        else:
            losses = self._full_step()
        loss = losses["loss"]
        if not bool(torch.isfinite(loss)):
            return losses
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.free.values(), 1.0)
        self.optimizer.step()
        update_ema(self._averages, self.free, ema_decay(self.step_count, config.ema))
        self.step_count += 1
        return {name: value.detach() for name, value in losses.items()}

    def _draw(self, count: int, size: int) -> tuple[Tensor, Tensor]:
        w_plus, images = self.pairs.draw(count, self.random)
        if images.shape[-1] > size:
            images = F.adaptive_avg_pool2d(images, size)
        return w_plus.to(self.device), images.to(self.device)

    def _coarse_step(self) -> dict[str, Tensor]:
        w_plus, targets = self._draw(self.config.coarse_batch, COARSE)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            images = self._coarse(w_plus)
        losses = drawing_losses(images[-1].float(), targets, self.perceptual, size=COARSE)
        losses["partial"] = partial_loss(images[:-1], targets)
        losses["loss"] = torch.stack(list(losses.values())).sum()
        return losses

    def _full_step(self) -> dict[str, Tensor]:
        config = self.config
        w_plus, targets = self._draw(config.batch_size, self.student.resolution)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            images = self._render(w_plus)
        image = images[-1].float()
        place = random_crop(image.shape[-1], config.perceptual_size, self.random)
        crops = image[:, :, *place], targets[:, :, *place]
        # layout and detail in turn: LPIPS costs more than the student
        whole = self.step_count % 2 == 0
        seen = (image, targets) if whole else crops
        losses = drawing_losses(*seen, self.perceptual, size=config.perceptual_size)
        losses["partial"] = partial_loss(images[:-1], targets)
        loss = torch.stack(list(losses.values())).sum()
        sharpened = self.step_count >= config.steps * (1 - config.sharpen_share)
        if config.sharpen and sharpened:
            generated, real = crops
            metrics = patch_losses(
                self.patches, self.patch_optimizer, real, generated, bfloat16=config.bfloat16
            )
            losses |= metrics
            # its first opinions don't steer: it learns as the weight rises
            weight = config.sharpen * min(1.0, self._sharpened_for() / 200)
            loss = loss + weight * (metrics["patches"] + _MATCHING * metrics["matching"])
        losses["loss"] = loss
        return losses

    def _sharpened_for(self) -> float:
        return self.step_count - self.config.steps * (1 - self.config.sharpen_share)

    def _set_rate(self) -> None:
        """A hundred steps of warm-up, then a cosine down to a fiftieth."""
        factor = warmup_cosine(self.step_count, self.config.steps, warmup=100, floor=0.02)
        set_rate(self.optimizer, self.config.lr * factor)

    def finite(self) -> bool:
        """Whether every weight in training is."""
        return all(bool(torch.isfinite(p).all()) for p in self.free.values())

    @torch.no_grad()
    def preview(self, count: int = 12) -> Tensor:
        """Held-out pictures of the teacher beside the average's, (N, 3, R, 2R) uint8."""
        w_plus, targets = (x[:count].to(self.device) for x in self.pairs.held_out())
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            images = self.average(w_plus).float()
        if images.shape[-1] != targets.shape[-1]:
            targets = F.interpolate(targets, size=images.shape[-2:], mode="area")
        return to_uint8(torch.cat([targets, images], dim=3))

    def parts(self) -> Parts:
        return {
            "student": self.student,
            "average": self.average,
            "optimizer": self.optimizer,
            "patches": self.patches,
            "patch_optimizer": self.patch_optimizer,
            "random": self.random,
        }


def partial_loss(images: list[Tensor], targets: Tensor) -> Tensor:
    """Mean absolute difference of partial sums to the picture at their resolutions, averaged."""
    differences = [
        (image.float() - F.adaptive_avg_pool2d(targets, image.shape[-1])).abs().mean()
        for image in images
    ]
    return torch.stack(differences).mean()


def distill(
    student: StyleGAN2Layers,
    pairs: LatentSource,
    folder: Path,
    config: DistillConfig,
    *,
    perceptual: PerceptualLoss,
    resume: bool = False,
    progress: Progress | None = None,
) -> StyleGAN2Layers:
    """Train the student; returns its running average. Snapshots and previews go to `folder`.

    Args:
        student: `new_student`'s, or one to go on from; of the pairs' w+.
        progress: called after every step with the losses.

    Raises:
        UsageError: pairs smaller than the student's pictures, a run in `folder` without `resume`,
            or a resumption of something else.
        Diverged: the loss or a weight is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.
    """
    side = pairs.held_out()[1].shape[-1]
    if side < student.resolution:
        raise UsageError(
            f"the pairs are {side}x{side}, the student's pictures"
            f" {student.resolution}x{student.resolution}",
            hint="Sample larger ones, or leave `pairs` out.",
        )
    trainer = DistillTrainer(config, student, pairs, perceptual)
    run_trainer(
        trainer,
        RunFolder(folder),
        steps=config.steps,
        snapshot=config.snapshot,
        resume=resume,
        progress=progress,
        keep=config.keep,
        model="generator.safetensors",
        write=lambda path: save_generator(trainer.average, path),
    )
    return trainer.average
