"""Teaching StyleGAN2's layers up to 32×32 what a compact generator computes there.

The generator that comes of it (`toonify.models.generators.hybrid`) keeps the teacher's later
layers, so all there is to learn is a few small feature maps, which say far more of each latent than
its picture does: FitNets' hints (arXiv 1412.6550). Latents are drawn afresh for every batch.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from toonify.errors import UsageError
from toonify.models.base import Generator
from toonify.models.generators.hybrid import JUNCTION, HybridGenerator
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.layers import EqualConv2d
from toonify.training.core.loop import Progress, require_positive, run_trainer
from toonify.training.core.optim import rms_scaled_adam
from toonify.training.core.resumption import Parts, ResumableTrainer
from toonify.training.core.runs import RunFolder
from toonify.training.core.schedule import ema_decay, update_ema, warmup_cosine
from toonify.training.data.latent_samples import sample_w_plus
from toonify.training.distillation.distill import SAME_W, copy_mapping
from toonify.training.distillation.least_squares_init import (
    PICTURES,
    Fitter,
    Stream,
    init_least_squares,
    on_cpu,
    teacher_images,
)
from toonify.utils.tensors import to_uint8

COARSE = 16  # resolution of the first part
HINTS = (8, 16)  # resolutions whose features are read off on the way
_WEIGHTS = {8: 0.25, 16: 0.5, 32: 1.0}
_LEAST = 1e-6  # of a tensor's RMS, where its rate is scaled by it
_EVEN = 0.3  # of every channel alike, beside the weight that the next layer gives it
_HELD_OUT = 12
_MEASURED = 192  # latents from which features' means and deviations are taken


@dataclass(frozen=True, kw_only=True)
class FeatureDistillConfig:
    """Options of `distill_features`.

    Attributes:
        steps: optimizer steps.
        coarse_share: of the steps, the first ones, with layers up to 16×16 alone.
        coarse_batch, batch_size: latents a step in that part and in the other.
        lr: Adam's peak rate; falls in each part to a hundredth.
        ema: of the weights' running average.
        compiled: through `torch.compile`.
        bfloat16: where that is exact enough; else float32.
        snapshot: steps between snapshots.
        keep: so many snapshots are kept, beside their previews.
    """

    steps: int = 4000
    coarse_share: float = 0.5
    coarse_batch: int = 64
    batch_size: int = 32
    lr: float = 5e-3
    ema: float = 0.998
    compiled: bool = False
    bfloat16: bool = True
    snapshot: int = 250
    keep: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "coarse_batch", "batch_size", "lr", "snapshot")

    @property
    def coarse_steps(self) -> int:
        """Steps of the first part."""
        return round(self.steps * self.coarse_share)


def new_hybrid(teacher: Generator, *, width: int = 320, seed: int = 0) -> HybridGenerator:
    """The teacher's mapping network and later layers over fresh ones up to 32×32.

    Args:
        width: channels of the fresh layers.

    Raises:
        UsageError: the teacher is no compact generator, or has no layers to keep.
    """
    if not isinstance(teacher, MobileGenerator) or teacher.resolution < 4 * JUNCTION:
        raise UsageError(
            "later layers can be kept of a compact generator of 128x128 or more",
            hint="Choose `layout` stylegan2.",
        )
    mapping = list(teacher.mapping_weights())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = HybridGenerator(
            resolution=teacher.resolution,
            channels={4 * 2**i: width for i in range(4)},
            junction=teacher.channels[3],
            deep=teacher.channels[4:],
            w_dim=teacher.w_dim,
            z_dim=mapping[0][0].shape[1],
            mapping_layers=len(mapping),
        )
    copy_mapping(student, teacher)
    for i, block in enumerate(student.deep):
        block.load_state_dict(teacher.blocks[3 + i].state_dict())
    student.to_img.load_state_dict(teacher.to_img.state_dict())
    return student.to(teacher.w_avg.device)


def check_hybrid(found: Generator, teacher: Generator) -> HybridGenerator:
    """`found`, over the teacher's own later layers, if it can learn further from `teacher`.

    Raises:
        UsageError: no hybrid, of another W, or of other later layers.
    """
    if not isinstance(found, HybridGenerator) or not isinstance(teacher, MobileGenerator):
        raise UsageError(
            "only a hybrid generator can go on from a compact one", hint="Leave `start` out."
        )
    if not torch.allclose(found.w_avg, teacher.w_avg, atol=SAME_W):
        raise UsageError(
            "the student's latents are not its teacher's: their mapping networks differ",
            hint="Leave `start` out.",
        )
    fresh = new_hybrid(teacher, width=found.channels[4])
    own = ("mapper", "deep", "to_img")  # the teacher's, which may be of another resolution
    learnt = {k: v for k, v in found.state_dict().items() if not k.startswith(own)}
    try:
        fresh.load_state_dict(fresh.state_dict() | learnt)
    except RuntimeError as error:
        raise UsageError(
            "the student is not of its teacher's widths", hint="Leave `start` out."
        ) from error
    return fresh


class FeatureDistillTrainer(ResumableTrainer[FeatureDistillConfig]):
    """The student, its running average, and 1×1 convolutions that read the teacher's features.

    Attributes:
        student, average: in training, and the running average of it.
    """

    def __init__(
        self, config: FeatureDistillConfig, student: HybridGenerator, teacher: Generator
    ) -> None:
        if not isinstance(teacher, MobileGenerator):
            raise TypeError(f"a {type(teacher).__name__} has no features to teach")
        self.config, self.teacher = config, teacher.eval().requires_grad_(False)
        self.device = teacher.w_avg.device
        self.student = student.train().requires_grad_(False)
        for name, parameter in student.named_parameters():
            learns = name.startswith(("const", "conv1", "blocks", "bridge"))
            parameter.requires_grad_(learns and "to_rgb" not in name)
        self.student.to(memory_format=torch.channels_last)
        self.random = torch.Generator().manual_seed(config.seed)
        self._measure()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.readers = nn.ModuleDict(
                {
                    str(size): EqualConv2d(
                        student.channels[size], len(self._deviations[size]), 1, activate=False
                    )
                    for size in HINTS
                }
            ).to(self.device)
        self.free = {n: p for n, p in student.named_parameters() if p.requires_grad}
        self.optimizer = self._optimizer()
        self.average = copy.deepcopy(student).eval().requires_grad_(False)
        self._averages = dict(self.average.named_parameters())
        self._taught, self._answers = self._teach, self._answer
        if config.compiled:
            self._taught = torch.compile(self._teach)
            self._answers = torch.compile(self._answer)

    @torch.no_grad()
    def _measure(self) -> None:
        w_plus = perturbed_latents(self.teacher, _MEASURED, torch.Generator().manual_seed(0))
        features = [self._teach(part, JUNCTION) for part in w_plus.to(self.device).split(32)]
        found = {size: torch.cat([f[size].float() for f in features]) for size in features[0]}
        self._means = {size: x.mean((0, 2, 3)) for size, x in found.items()}
        self._deviations = {size: x.std((0, 2, 3)) + 1e-4 for size, x in found.items()}

    def _optimizer(self) -> torch.optim.Adam:
        # activations shrink from layer to layer, and biases with them, to thousandths
        learning = [*self.free.values(), *self.readers.parameters()]
        return rms_scaled_adam(learning, lr=self.config.lr, floor=_LEAST)

    @torch.no_grad()
    def _deepen(self) -> None:
        """From the first part to the second: the last block begins anew on what is below it."""
        self.student.load_state_dict(self.average.state_dict())
        init_least_squares(self.teacher, self.student, seed=self.config.seed, from_block=len(HINTS))
        self.average.load_state_dict(self.student.state_dict())
        self.optimizer = self._optimizer()

    def _teach(self, w_plus: Tensor, last: int) -> dict[int, Tensor]:
        styles = self.teacher.styles(w_plus)
        x = self.teacher.features(styles, resolution=4)
        found = {}
        for index, size in enumerate((*HINTS, JUNCTION)):
            if size <= last:
                x = found[size] = self.teacher.run_blocks(x, styles, index, index + 1)
        return found

    def _answer(self, w_plus: Tensor, last: int) -> dict[int, Tensor]:
        found = {}
        for size, x, _ in self.student.stages(self.student.styles(w_plus)):
            if size == JUNCTION:
                found[size] = self.student.bridge(x)
            elif size in HINTS:
                found[size] = self.readers[str(size)](x)
            if size == last:
                break
        return found

    @property
    def kimg(self) -> float:
        """Thousand latents learnt from."""
        coarse = min(self.step_count, self.config.coarse_steps)
        fine = self.step_count - coarse
        return (coarse * self.config.coarse_batch + fine * self.config.batch_size) / 1000

    def step(self) -> dict[str, Tensor]:
        """Learn from one batch; nothing changes when a loss is not finite."""
        coarse = self.step_count < self.config.coarse_steps
        last = COARSE if coarse else JUNCTION
        if self.config.coarse_steps and self.step_count == self.config.coarse_steps:
            self._deepen()
        self._set_rate(coarse)
        count = self.config.coarse_batch if coarse else self.config.batch_size
        with torch.no_grad():
            w_plus = perturbed_latents(self.teacher, count, self.random)
        losses = self._losses(w_plus, last, self._taught, self._answers)
        loss = losses["loss"]
        if not bool(torch.isfinite(loss)):
            return losses
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*self.free.values(), *self.readers.parameters()], 1.0)
        self.optimizer.step()
        update_ema(self._averages, self.free, ema_decay(self.step_count, self.config.ema))
        self.step_count += 1
        return {name: value.detach() for name, value in losses.items()}

    def _losses(self, w_plus: Tensor, last: int, teach: Any, answers: Any) -> dict[str, Tensor]:
        """Shares of the features' variance that are not explained, and their weighted sum."""
        w_plus = w_plus.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            with torch.no_grad():
                wanted = teach(w_plus, last)
                weights = self.teacher.styles(w_plus)[_after(JUNCTION)].float()[:, :, None, None]
            found = answers(w_plus, last)
        losses, total = {}, torch.zeros((), device=self.device)
        for size, features in found.items():
            target = wanted[size].float()
            missed = features.float() - target
            even = (missed / self._deviations[size][:, None, None]).square().mean()
            share = even
            if size == JUNCTION:
                away = (target - self._means[size][:, None, None]) * weights
                share = (missed * weights).square().mean() / away.square().mean()
                total = total + _EVEN * even
            losses[f"missed{size}"] = share
            total = total + _WEIGHTS[size] * share
        return losses | {"loss": total}

    def _set_rate(self, coarse: bool) -> None:
        """A hundred steps of warm-up, then a cosine down to a hundredth, in each part."""
        begun = 0 if coarse else self.config.coarse_steps
        ends = self.config.coarse_steps if coarse else self.config.steps
        factor = warmup_cosine(self.step_count - begun, ends - begun, warmup=100, floor=0.01)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor

    def finite(self) -> bool:
        """Whether every weight in training is."""
        return all(bool(torch.isfinite(p).all()) for p in self.free.values())

    @torch.no_grad()
    def preview(self) -> Tensor:
        """The teacher's pictures beside the average's, (N, 3, R, 2R) uint8."""
        w_plus = sample_w_plus(self.teacher, _HELD_OUT, torch.Generator().manual_seed(1))
        w_plus = w_plus.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            images = [self.teacher(w_plus).float(), self._picture(w_plus).float()]
        return to_uint8(torch.cat(images, dim=3))

    def _picture(self, w_plus: Tensor) -> Tensor:
        """The average's; in the first part the teacher finishes it."""
        if self.step_count > self.config.coarse_steps:
            return self.average(w_plus)
        styles = self.teacher.styles(w_plus)
        x = self.average.features(self.average.styles(w_plus), resolution=COARSE)
        return self.teacher.from_features(self.readers[str(COARSE)](x), styles)

    def parts(self) -> Parts:
        return {
            "student": self.student,
            "average": self.average,
            "readers": self.readers,
            "optimizer": self.optimizer,
            "random": self.random,
        }


def _after(resolution: int) -> int:
    """Index of the style with which a compact generator goes on from features of this size."""
    return 3 * (int(math.log2(resolution)) - 2) + 1


def perturbed_latents(teacher: MobileGenerator, count: int, random: torch.Generator) -> Tensor:
    """Rows of w+ (count, num_ws, w_dim): of one latent, of two, or each a little off, as encoders'.

    Of the last kind are a third, drawn towards another face by up to 0.35, each row by its own
    share.
    """
    w_plus = sample_w_plus(teacher, count, random, mixed=0.5)
    off = count // 3
    if off:
        others = sample_w_plus(teacher, off, random)[:, :1]
        far = 0.35 * torch.rand(off, 1, 1, generator=random)
        each = torch.rand(off, w_plus.shape[1], 1, generator=random)
        w_plus[:off] = w_plus[:off].lerp(others, (far * each).to(w_plus))
    return w_plus


def distill_features(
    student: HybridGenerator,
    teacher: Generator,
    folder: RunFolder,
    config: FeatureDistillConfig,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> HybridGenerator:
    """Train the layers up to 32×32; returns the running average. Snapshots go to `folder`.

    Args:
        student: `new_hybrid`'s, or `check_hybrid`'s.
        teacher: the compact generator that they took.
        progress: called after every step with the losses: shares of variance that are missed.

    Raises:
        UsageError: a run in `folder` without `resume`, or a resumption of something else.
        Diverged: the loss or a weight is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.
    """
    trainer = FeatureDistillTrainer(config, student, teacher)
    run_trainer(
        trainer,
        folder,
        steps=config.steps,
        snapshot=config.snapshot,
        resume=resume,
        progress=progress,
        keep=config.keep,
    )
    fit_to_rgb(trainer.average, trainer.teacher)
    return trainer.average


@torch.no_grad()
def fit_to_rgb(student: HybridGenerator, teacher: MobileGenerator, *, seed: int = 0) -> None:
    """Least squares of the teacher's pictures, averaged down, for the tRGB layers up to 32×32."""
    device, teacher = student.w_avg.device, on_cpu(teacher)
    student.cpu()
    random = torch.Generator().manual_seed(seed)
    w_plus = sample_w_plus(teacher, PICTURES, random, mixed=0.5)
    images = teacher_images(teacher, w_plus, student.resolution)
    fitter, image = Fitter(student, w_plus, random, None), None
    names = ["to_rgb1", *(f"blocks.{i}.to_rgb" for i in range(len(student.blocks)))]
    styles = student.styles(w_plus)
    for name, (_, x, _) in zip(names, student.stages(styles), strict=True):
        stream = Stream(x, x, torch.arange(x.shape[1]))
        image = fitter.to_rgb(name, stream, image, images)
    student.to(device)
