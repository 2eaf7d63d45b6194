"""Training the compact source encoder on (w+, face) pairs drawn from the generator itself.

Losses: smooth L1 on w+ in units of w's deviation, and on the generator's 16×16 activations, which
are what cross-domain style mixing hands from the photo to the character (levels below 6).
"""

from __future__ import annotations

import json
import math
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.errors import ModelError, UsageError
from toonify.models.compact_encoder import CompactEncoder
from toonify.models.mobile import MobileGenerator
from toonify.training.pairs import PairSet
from toonify.training.photo_augment import augment_photos

Progress = Callable[[dict[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Options of `train_encoder`; the defaults made the default bundle.

    Attributes:
        steps: optimiser steps of `batch` pairs.
        feature_weight: weight of the 16×16 activation loss.
        w_weight: weight of the w+ loss.
        snapshot: steps between checkpoints.
        held_out: pairs kept for validation, from the end of the set.
    """

    steps: int = 2500
    batch: int = 32
    learning_rate: float = 1e-3
    feature_weight: float = 1.0
    w_weight: float = 1.0
    snapshot: int = 250
    held_out: int = 128
    seed: int = 0


def train_encoder(
    encoder: CompactEncoder,
    generator: MobileGenerator,
    pairs: PairSet,
    folder: Path,
    config: EncoderConfig,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> CompactEncoder:
    """Train in place; checkpoints and metrics.jsonl go to `folder`.

    Args:
        generator: frozen; must share w+ with the pairs.
        resume: go on from `folder`'s checkpoint where there is one.
        progress: called every 25 steps with the losses.

    Raises:
        UsageError: too few pairs.
        ModelError: the loss is no longer finite (the last checkpoint stays), or the checkpoint to
            resume from is damaged.
    """
    if len(pairs) < config.held_out + config.batch:
        raise UsageError(
            f"{len(pairs)} pairs are too few for a batch of {config.batch}",
            mend="Sample more pairs or lower the batch.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    encoder.w_mean.copy_(pairs.w_mean)
    encoder.w_std.copy_(pairs.w_std)
    encoder.average_image.copy_(_average_image(encoder, generator))
    encoder.train().to(memory_format=torch.channels_last)
    generator.requires_grad_(False)
    weights = [p for p in encoder.parameters() if p.ndim > 1]
    others = [p for p in encoder.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=(0.9, 0.98),
    )
    random = torch.Generator().manual_seed(config.seed)
    checkpoint = folder / "checkpoint.pt"
    start = 0
    if resume and checkpoint.exists():
        state = _read(checkpoint)
        encoder.load_state_dict(state["encoder"])
        optimizer.load_state_dict(state["optimizer"])
        random.set_state(state["random"])
        torch.set_rng_state(state["torch_random"])
        start = state["step"]
    _forget_after(folder / "metrics.jsonl", start)
    scale = _feature_scale(generator, pairs)
    train_count = len(pairs) - config.held_out
    began = time.monotonic()
    for step in range(start, config.steps):
        rate = 0.5 * (1 + math.cos(math.pi * step / config.steps)) * min(1, (step + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * max(rate, 0.01)
        index = torch.randint(train_count, (config.batch,), generator=random)
        w_plus, images = pairs.batch(index)
        photos = augment_photos(encoder.resample(images), generator=random)
        w_loss, f_loss = encoder_losses(encoder, generator, photos, w_plus, scale)
        loss = config.w_weight * w_loss + config.feature_weight * f_loss
        if not math.isfinite(loss.item()):
            raise ModelError(
                f"the loss is no longer finite at step {step}",
                mend=f"Lower the learning rate; the last checkpoint is {checkpoint}.",
            )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 5.0)
        optimizer.step()
        done = step + 1
        if done % 25 == 0:
            seconds = (time.monotonic() - began) / (done - start)
            row = {"step": done, "w": w_loss.item(), "features": f_loss.item(), "s": seconds}
            if config.held_out and (done % config.snapshot == 0 or done == config.steps):
                row |= validate_encoder(encoder, generator, pairs, config.held_out, scale)
            with (folder / "metrics.jsonl").open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            if progress:
                progress(row)
        if done % config.snapshot == 0 or done == config.steps:
            state = {
                "encoder": encoder.state_dict(),
                "optimizer": optimizer.state_dict(),
                "random": random.get_state(),
                "torch_random": torch.get_rng_state(),
                "step": done,
                "config": asdict(config),
            }
            partial = checkpoint.with_suffix(".tmp")
            try:
                torch.save(state, partial)
                os.replace(partial, checkpoint)
            finally:
                partial.unlink(missing_ok=True)
    return encoder.eval()


def encoder_losses(
    encoder: CompactEncoder,
    generator: MobileGenerator,
    photos: Tensor,
    w_plus: Tensor,
    scale: Tensor,
) -> tuple[Tensor, Tensor]:
    """(w+ loss, 16×16 activation loss) of one residual step."""
    average = encoder.average_image.expand_as(photos)
    with torch.autocast(photos.device.type, torch.bfloat16):
        residual = encoder.residual(photos, average).float()
    target = (w_plus - encoder.w_mean) / encoder.w_std
    w_loss = F.smooth_l1_loss(residual, target)
    predicted = encoder.w_mean + residual * encoder.w_std
    with torch.no_grad(), torch.autocast(photos.device.type, torch.bfloat16):
        wanted = generator.features(generator.styles(w_plus), resolution=16)
    with torch.autocast(photos.device.type, torch.bfloat16):
        got = generator.features(generator.styles(predicted), resolution=16)
    return w_loss, F.smooth_l1_loss(got.float() / scale, wanted.float() / scale)


@torch.no_grad()
def validate_encoder(
    encoder: CompactEncoder,
    generator: MobileGenerator,
    pairs: PairSet,
    held_out: int,
    scale: Tensor,
) -> dict[str, float]:
    """Losses on the last `held_out` pairs, without augmentation."""
    encoder.eval()
    rows = []
    for start in range(len(pairs) - held_out, len(pairs), 32):
        index = torch.arange(start, min(start + 32, len(pairs)))
        w_plus, images = pairs.batch(index)
        losses = encoder_losses(encoder, generator, encoder.resample(images), w_plus, scale)
        rows.append(torch.stack(losses))
    encoder.train()
    mean = torch.stack(rows).mean(0)
    return {"val_w": float(mean[0]), "val_features": float(mean[1])}


def _read(checkpoint: Path) -> dict[str, Any]:
    try:
        return torch.load(checkpoint, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"{checkpoint} can't be read ({error})", mend="Remove it to start again."
        ) from error


def _forget_after(metrics: Path, step: int) -> None:
    """Drop the lines that a killed run wrote after its last checkpoint."""
    if metrics.exists():
        lines = metrics.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        metrics.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


@torch.no_grad()
def _average_image(encoder: CompactEncoder, generator: MobileGenerator) -> Tensor:
    w_plus = generator.w_avg.expand(1, generator.num_ws, -1)
    return encoder.resample(generator(w_plus).clamp(-1, 1))[0]


@torch.no_grad()
def _feature_scale(generator: MobileGenerator, pairs: PairSet) -> Tensor:
    """Standard deviation of each 16×16 channel over 64 pairs, (1, C, 1, 1)."""
    w_plus, _ = pairs.batch(torch.arange(min(64, len(pairs))))
    x = generator.features(generator.styles(w_plus), resolution=16)
    return x.std((0, 2, 3), keepdim=True).clamp_min(1e-3)
