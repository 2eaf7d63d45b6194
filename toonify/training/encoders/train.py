"""Training CDSM's source encoder: pSp, ReStyle over pSp, or the compact one.

Every residual step is learnt from by itself, its reconstruction handed on without gradient, as
ReStyle does (arXiv 2104.02699). Inputs are spoilt as cameras and detectors spoil them
(`photo_augment`), targets are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toonify.checkpoints import save_encoder
from toonify.errors import Diverged, ToonifyError, UsageError
from toonify.models.encoders.trainable import TrainableEncoder
from toonify.training.core.loop import require_positive, same_batches
from toonify.training.core.pace import Pace, snapshots_left
from toonify.training.core.runs import RunFolder, interruptible
from toonify.training.core.schedule import set_rate, warmup_cosine
from toonify.training.data.photo_augment import augment_photos
from toonify.training.encoders.data import EncoderData
from toonify.training.encoders.losses import EncoderLoss, EncoderWeights
from toonify.training.encoders.validation import validate
from toonify.training.encoders.variants import inputs
from toonify.utils.arguments import check_range

Progress = Callable[[dict[str, float]], None]
_WARM_UP = 100  # optimizer steps


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Options of `train_encoder`.

    Attributes:
        kimg: thousand faces to show; the rate falls to nothing over them.
        batch_size: faces a step.
        lr: AdamW's learning rate; see `encoder_variants.learning_rate`.
        augment: spoil the inputs.
        snapshot_kimg: thousand faces between snapshots, validations and previews.
        keep: encoders of so many previews are kept, as encoder-KIMG.safetensors.
        log_every: steps between lines of metrics.
    """

    kimg: float = 80.0
    batch_size: int = 32
    lr: float = 1e-3
    augment: bool = True
    snapshot_kimg: float = 8.0
    keep: int = 0
    log_every: int = 25
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "kimg", "batch_size", "lr", "snapshot_kimg", "log_every")
        check_range("keep", self.keep, 0, whole=True)
        check_range("seed", self.seed, whole=True)

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return max(1, math.ceil(self.kimg * 1000 / self.batch_size))


def train_encoder(
    encoder: TrainableEncoder,
    data: EncoderData,
    folder: Path,
    config: EncoderConfig,
    *,
    loss: EncoderLoss,
    resume: bool = False,
    progress: Progress | None = None,
) -> TrainableEncoder:
    """Train in place; snapshot.pt, encoder.safetensors, metrics.jsonl and previews in `folder`.

    On Ctrl-C the running step is finished and a snapshot written before KeyboardInterrupt rises.
    On the CPU a resumed run ends with the weights of an uninterrupted one.

    Args:
        encoder: on the generator's device; its w+ must be the generator's.
        loss: what is minimized; its generator is the one to invert, and stays as it is.
        resume: go on from `folder`'s snapshot where there is one.
        progress: called with each line of metrics: step, kimg, loss, its terms, images_per_second
            and seconds_left, and with the validation's where there was one.

    Raises:
        UsageError: nothing that the losses could learn from, a run in `folder` without `resume`,
            or a resumption of something else.
        Diverged: the loss or a weight is no longer finite; the last snapshot stays.
        ModelError: the snapshot is damaged.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.
    """
    _check(loss.weights, data)
    generator = loss.generator
    run = RunFolder(folder)
    state = run.start(resume=resume)
    encoder.train().requires_grad_(True).to(memory_format=torch.channels_last)
    if isinstance(generator, nn.Module):
        generator.eval().requires_grad_(False)
    optimizer = _optimizer(encoder, config)
    random = torch.Generator().manual_seed(config.seed)
    start = 0
    if state is not None:
        start = _restore(state, encoder, optimizer, random, run, config)
        run.forget_after(start * config.batch_size / 1000)
    else:
        run.metrics.unlink(missing_ok=True)
    first = encoder.first_guess(generator)
    every = max(1, round(config.snapshot_kimg * 1000 / config.batch_size))

    def snapshot(step: int) -> dict[str, float]:
        if not all(bool(torch.isfinite(p).all()) for p in encoder.parameters()):
            raise _diverged(run, step, config)
        kimg = step * config.batch_size / 1000
        # first: a run killed after its last snapshot has its result
        save_encoder(encoder, run.path / "encoder.safetensors", metadata={"kimg": f"{kimg:g}"})
        run.save(
            {
                "encoder": encoder.state_dict(),
                "encoder_config": encoder.config(),
                "optimizer": optimizer.state_dict(),
                "random": random.get_state(),
                "step": step,
                "config": asdict(config),
            }
        )
        run.keep("encoder.safetensors", kimg, config.keep)
        metrics, tiles = validate(encoder, loss, data)
        run.preview(tiles, kimg)
        return metrics

    pace = Pace()
    with interruptible() as interrupt:
        for step in range(start, config.steps):
            factor = warmup_cosine(step, config.steps, warmup=_WARM_UP)
            set_rate(optimizer, config.lr * max(factor, 0.01))
            optimizer.zero_grad()
            row = _learn(encoder, loss, data, config, random, first)
            if not math.isfinite(row["loss"]):
                raise _diverged(run, step, config)
            nn.utils.clip_grad_norm_(encoder.parameters(), 5.0)
            optimizer.step()
            done = step + 1
            pace.stepped()
            speed = config.batch_size / pace.seconds
            kimg = done * config.batch_size / 1000
            row = {"step": done, "kimg": kimg, "images_per_second": speed, **row}
            # read once: Ctrl-C between saving and leaving must not skip the snapshot
            stop = interrupt.requested
            due = done % every == 0 or done == config.steps or stop
            if due:
                row |= snapshot(done)
                pace.saved()
            row["seconds_left"] = pace.left(
                config.steps - done, snapshots_left(done, config.steps, every)
            )
            if due or done % config.log_every == 0:
                run.log(row)
                if progress:
                    progress(row)
            if stop:
                raise KeyboardInterrupt
    return encoder.eval()


def _learn(
    encoder: TrainableEncoder,
    loss: EncoderLoss,
    data: EncoderData,
    config: EncoderConfig,
    random: torch.Generator,
    first: tuple[Tensor, Tensor],
) -> dict[str, float]:
    """Gradients of one batch over all residual steps; returns the last one's loss and terms."""
    w_plus, seen = first
    batch = data.draw(config.batch_size, random).to(w_plus.device)
    targets = loss.targets(batch)
    photos = inputs(encoder, batch.images)
    if config.augment:
        photos = augment_photos(photos, generator=random)
    seen = seen.expand_as(photos)
    row: dict[str, float] = {}
    for remaining in reversed(range(encoder.steps)):
        with torch.autocast(photos.device.type, torch.bfloat16, enabled=loss.bfloat16):
            w_plus = encoder.refine(photos, seen, w_plus)
        total, terms, image = loss(w_plus, targets)
        total.backward()
        row = {"loss": total.item(), **{name: value.item() for name, value in terms.items()}}
        w_plus = w_plus.detach()
        if remaining:
            with torch.no_grad():
                seen = encoder.seen(loss.render(w_plus) if image is None else image)
    return row


def _check(weights: EncoderWeights, data: EncoderData) -> None:
    known = weights.latent or weights.features
    if data.photo_share and not weights.images:
        raise UsageError(
            "photographs are learnt from by L2, LPIPS and identity, all of weight 0",
            hint="Raise one, or train on pairs alone.",
        )
    if not (weights.images or known):
        raise UsageError("every loss has weight 0", hint="Raise one.")


def _optimizer(encoder: TrainableEncoder, config: EncoderConfig) -> torch.optim.AdamW:
    weights = [p for p in encoder.parameters() if p.ndim > 1]
    others = [p for p in encoder.parameters() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": weights, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}],
        lr=config.lr,
        betas=(0.9, 0.98),
    )


def _restore(
    state: dict[str, Any],
    encoder: TrainableEncoder,
    optimizer: torch.optim.Optimizer,
    random: torch.Generator,
    run: RunFolder,
    config: EncoderConfig,
) -> int:
    try:
        if state["encoder_config"] != encoder.config():
            raise ValueError
        same_batches(state["config"], config.batch_size)
        encoder.load_state_dict(state["encoder"])
        optimizer.load_state_dict(state["optimizer"])
        random.set_state(state["random"])
        return state["step"]
    except ToonifyError:
        raise
    except (KeyError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"{run.snapshot} is of another run (of another variant or size, say)",
            hint="Repeat its options, or start a new run elsewhere.",
        ) from error


def _diverged(run: RunFolder, step: int, config: EncoderConfig) -> Diverged:
    kept = f" and resume: {run.snapshot} is good" if run.snapshot.is_file() else ""
    return Diverged(
        f"the training is no longer finite at step {step}",
        hint=f"Lower the learning rate (now {config.lr:g}){kept}.",
    )
