"""Fine-tuning on pairs: a face's code in, a drawing of the same pose and expression out.

JoJoGAN's idea (arXiv 2112.11641) with the split of cross-domain style mixing: the rows of w+ below
`level` come from a face, the rest from the character's own code, so that the network learns to take
pose and expression from the first and everything drawn from the second.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import ModelError, UsageError
from toonify.models.protocol import Generator
from toonify.training.optim import rms_scaled_adam
from toonify.training.perceptual import PerceptualLoss
from toonify.training.projection import to_uint8
from toonify.training.runs import RunFolder, interruptible
from toonify.training.swap import tensor_resolutions

G = TypeVar("G", bound=Generator)
Progress = Callable[[dict[str, float]], None]


class PairSource(Protocol):
    """Pairs to learn from."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Face codes and style codes, both (B, num_ws, w_dim), and drawings (B, 3, R, R)."""
        ...


@dataclass(frozen=True, kw_only=True)
class PairedConfig:
    """Options of `finetune_paired`.

    Attributes:
        steps: optimiser steps of `batch_size` pairs.
        lr: learning rate; on the compact generator multiplied by each tensor's RMS.
        freeze_below: layers of a lower resolution keep their weights.
        level: rows of w+ from here on are the style's.
        style_jitter: deviation of the noise on the style's rows, in deviations of w.
        perceptual_size: side of the downsampled picture that LPIPS compares.
        detail_crops: compare a random crop of that side at full resolution too.
        snapshot: steps between snapshots.
    """

    steps: int = 1500
    batch_size: int = 4
    lr: float = 2e-3
    freeze_below: int = 32
    level: int = 6
    style_jitter: float = 0.1
    perceptual_size: int = 128
    detail_crops: bool = False
    ema: float = 0.995
    snapshot: int = 100
    seed: int = 0


def finetune_paired(
    generator: G,
    source: PairSource,
    folder: Path,
    config: PairedConfig,
    *,
    perceptual: PerceptualLoss,
    resume: bool = False,
    progress: Progress | None = None,
) -> G:
    """Return the fine-tuned copy (its running average); snapshots and previews go to `folder`.

    Noise maps of the trained layers are set to zero: a drawing has none. On the CPU a resumed run
    ends with the weights of an uninterrupted one.

    Args:
        progress: called after every step with the losses.

    Raises:
        UsageError: no pairs, no layer to train, a run in `folder` without `resume`, or a
            resumption of something else.
        ModelError: the loss or a weight is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.
    """
    if len(source) == 0:
        raise UsageError("there are no pairs to learn from")
    trained = copy.deepcopy(generator)
    module = cast(nn.Module, trained)
    module.train().requires_grad_(False).to(memory_format=torch.channels_last)
    resolutions = tensor_resolutions(trained)
    free = {n: p for n, p in module.named_parameters() if resolutions[n] >= config.freeze_below}
    if not free:
        raise UsageError(
            f"freezing below {config.freeze_below} leaves no layer to train",
            mend=f"Choose at most {generator.resolution}.",
        )
    for parameter in free.values():
        parameter.requires_grad_(True)
    for name, buffer in module.named_buffers():
        if "noise" in name and resolutions[name] >= config.freeze_below:
            buffer.zero_()
    if generator.config()["architecture"] == "mobile":
        optimizer = rms_scaled_adam(free.values(), lr=config.lr, betas=(0.5, 0.99))
    else:
        optimizer = torch.optim.Adam(free.values(), lr=config.lr, betas=(0.5, 0.99))
    run = RunFolder(folder)
    state = run.start(resume=resume)
    rates = [group["lr"] for group in optimizer.param_groups]
    average = copy.deepcopy(trained)
    averages = dict(cast(nn.Module, average).named_parameters())
    random = torch.Generator().manual_seed(config.seed)
    start = 0
    device = generator.w_avg.device
    if state:
        try:
            module.load_state_dict(state["generator"])
            cast(nn.Module, average).load_state_dict(state["average"])
            optimizer.load_state_dict(state["optimizer"])
            random.set_state(state["random"])
            start, deviation = state["step"], state["deviation"].to(device)
        except (KeyError, RuntimeError, ValueError) as error:
            raise UsageError(
                f"{run.snapshot} is of another run (of another generator, say, or with other "
                "frozen layers)",
                mend="Repeat its options, or start a new run elsewhere.",
            ) from error
        run.forget_after(start * config.batch_size / 1000)
    else:
        run.metrics.unlink(missing_ok=True)
        deviation = _deviation(generator, torch.randn(512, generator.w_dim, generator=random))

    def batch(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        faces, styles, targets = source.batch(index)
        return faces.to(device), styles.to(device), targets.to(device)

    preview = torch.linspace(0, len(source) - 1, min(12, len(source))).long()

    def save(step: int) -> None:
        if not all(bool(torch.isfinite(p).all()) for p in free.values()):
            raise _diverged(run, step)
        run.save(
            {
                "generator": module.state_dict(),
                "average": cast(nn.Module, average).state_dict(),
                "optimizer": optimizer.state_dict(),
                "random": random.get_state(),
                "deviation": deviation,
                "step": step,
                "config": asdict(config),
            }
        )
        with torch.no_grad():
            faces, styles, targets = batch(preview)
            with torch.autocast(device.type, torch.bfloat16):
                drawn = average.synthesize(average.styles(_join(faces, styles, config.level)))
            shown = torch.cat([targets, drawn.float()], dim=3)
            run.preview(to_uint8(shown), step * config.batch_size / 1000)

    began = time.monotonic()
    with interruptible() as interrupt:
        for step in range(start, config.steps):
            factor = min(1.0, (step + 1) / 20) * max(
                0.05, 0.5 * (1 + math.cos(math.pi * step / config.steps))
            )
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            index = torch.randint(len(source), (config.batch_size,), generator=random)
            faces, styles, targets = batch(index)
            styles = styles + config.style_jitter * deviation * torch.randn(
                styles.shape, generator=random
            ).to(styles)
            with torch.autocast(device.type, torch.bfloat16):
                images = trained.synthesize(trained.styles(_join(faces, styles, config.level)))
            losses = drawing_losses(
                images.float(),
                targets,
                perceptual,
                size=config.perceptual_size,
                crops=random if config.detail_crops else None,
            )
            loss = losses["pixels"] + losses["edges"] + losses["lpips"]
            if not math.isfinite(loss.item()):
                raise _diverged(run, step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decay = min(config.ema, (step + 1) / (step + 10))
            with torch.no_grad():
                for name, parameter in free.items():
                    averages[name].lerp_(parameter, 1 - decay)
            done = step + 1
            row = {
                "step": done,
                "kimg": done * config.batch_size / 1000,
                **{k: v.item() for k, v in losses.items()},
                "seconds": (time.monotonic() - began) / (done - start),
            }
            if done % 10 == 0:
                run.log(row)
            if progress:
                progress(row)
            # read once: Ctrl-C between saving and leaving must not skip the snapshot
            stop = interrupt.requested
            if done % config.snapshot == 0 or done == config.steps or stop:
                save(done)
            if stop:
                raise KeyboardInterrupt
    cast(nn.Module, average).eval()
    return average


def drawing_losses(
    images: Tensor,
    targets: Tensor,
    perceptual: PerceptualLoss,
    *,
    size: int,
    crops: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Pixel, edge and perceptual distance of (B, 3, R, R) images in [-1, 1], each a scalar.

    LPIPS sees the whole picture at `size` and, where `crops` is given, one random crop of that
    size at full resolution: layout and line quality at a fraction of the full picture's cost.
    """
    difference = images - targets
    pixels = difference.abs().mean() + F.avg_pool2d(difference, 8).abs().mean()
    # gradients of the error: a line in the wrong place costs, a flat offset doesn't
    edges = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
    side = images.shape[-1]
    views = [(F.interpolate(x, size=(size, size), mode="area")) for x in (images, targets)]
    if crops is not None and side > size:
        # most of a portrait's detail is in the middle three quarters
        low, high = side // 8, side - side // 8 - size
        top, left = (
            int(torch.randint(low, max(low + 1, high), (), generator=crops)) for _ in range(2)
        )
        views = [
            torch.cat((view, x[:, :, top : top + size, left : left + size]))
            for view, x in zip(views, (images, targets), strict=True)
        ]
    with torch.no_grad():
        wanted = perceptual.features(views[1])
    lpips = perceptual.distance(perceptual.features(views[0]), wanted).mean()
    return {"pixels": pixels, "edges": edges, "lpips": lpips}


def _diverged(run: RunFolder, step: int) -> ModelError:
    kept = f" and resume: {run.snapshot} is good" if run.snapshot.is_file() else ""
    return ModelError(
        f"the training is no longer finite at step {step}", mend=f"Lower the learning rate{kept}."
    )


def _join(faces: Tensor, styles: Tensor, level: int) -> Tensor:
    return torch.cat((faces[:, :level], styles[:, level:]), dim=1)


@torch.no_grad()
def _deviation(generator: Generator, z: Tensor) -> Tensor:
    return generator.mapping(z.to(generator.w_avg)).std(0)
