"""Adversarial fine-tuning of either generator family on a few drawings (StyleGAN2-ADA's recipe).

Non-saturating logistic loss, lazy R1, optional path-length regularisation, ADA, EMA with ramp-up
(arXiv 2006.06676). The mapping network, the constant input and the layers below a resolution
stay as they are, since the layer swap takes them from the face generator anyway.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from toonify.checkpoints import save_generator
from toonify.errors import ToonifyError, UsageError
from toonify.models.discriminator import StyleGAN2Discriminator
from toonify.models.protocol import Generator
from toonify.training.adversarial_step import AdversarialTrainer, FinetuneConfig
from toonify.training.runs import RunFolder, interruptible

G = TypeVar("G", bound=Generator)
Progress = Callable[[dict[str, float]], None]

__all__ = ["Diverged", "FinetuneConfig", "finetune_adversarial"]


class Diverged(ToonifyError):
    """A loss became NaN or infinite; the last snapshot is good. Exit status 1."""


def finetune_adversarial(
    config: FinetuneConfig,
    generator: G,
    drawings: Tensor,
    out: str | Path,
    *,
    discriminator: StyleGAN2Discriminator | None = None,
    codes: Tensor | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> G:
    """Fine-tune a copy of `generator` on drawings; returns the averaged copy, in eval mode.

    Writes to `out`: snapshot.pt (everything a resumption needs), generator.safetensors (the
    averaged copy, so far), metrics.jsonl and preview grids.
    On Ctrl-C the running step is finished and a snapshot written before KeyboardInterrupt
    rises. On the CPU a resumed run ends with the weights of an uninterrupted one.

    Args:
        generator: the face generator (or an earlier result); its device is used.
        drawings: (N, 3, R, R) uint8 at the generator's resolution.
        discriminator: to start from; fresh weights by the config's widths when None.
        codes: characters' codes (K, num_ws, w_dim), for the config's `code_share`.
        resume: go on from the snapshot in `out`, if there is one.
        progress: called with each line of metrics: kimg, images_per_second, loss_g, loss_d,
            r1, r_t, p and seconds_left.

    Raises:
        UsageError: drawings or discriminator of another size, a run in `out` without `resume`,
            or a resumption with other options.
        Diverged: a loss is no longer finite.
    """
    _check(config, generator, drawings, discriminator, codes)
    folder = RunFolder(out)
    state = folder.start(resume=resume)
    if state is not None:
        arguments = dict(state["discriminator_config"])
        del arguments["architecture"]
        discriminator = StyleGAN2Discriminator(**arguments)
    trainer = AdversarialTrainer(config, generator, drawings, discriminator, codes)
    if state is not None:
        trainer.load_state_dict(state)
        folder.forget_after(trainer.images / 1000)
    else:
        folder.metrics.unlink(missing_ok=True)
        folder.preview(trainer.preview(), 0.0)
    kept = trainer.images  # images shown when the last snapshot was written

    def snapshot() -> None:
        folder.save(trainer.state_dict())
        target = folder.path / "generator.safetensors"
        save_generator(trainer.average, target, metadata={"kimg": f"{trainer.images / 1000:g}"})
        folder.preview(trainer.preview(), trainer.images / 1000)

    with interruptible() as interrupt:
        began, shown = time.perf_counter(), trainer.images
        while trainer.images < config.kimg * 1000:
            metrics = trainer.step()
            # Read once: Ctrl-C between saving and leaving must not skip the snapshot.
            stop = interrupt.requested
            due = stop or trainer.images - kept >= config.snapshot_kimg * 1000
            finite = all(math.isfinite(value) for value in metrics.values())
            if not finite or (due and not trainer.finite()):
                raise Diverged(
                    f"the training diverged at {trainer.images / 1000:.2f} kimg",
                    mend=f"Lower the rate (now {config.lr:g}) or raise R1's weight; the snapshot "
                    f"at {kept / 1000:.2f} kimg is good.",
                )
            if trainer.steps % config.log_every == 0:
                speed = (trainer.images - shown) / (time.perf_counter() - began)
                line = {
                    "kimg": trainer.images / 1000,
                    "images_per_second": speed,
                    **metrics,
                    "seconds_left": max(0.0, config.kimg * 1000 - trainer.images) / speed,
                }
                folder.log(line)
                if progress:
                    progress(line)
            if due:
                snapshot()
                kept = trainer.images
            if stop:
                raise KeyboardInterrupt
    if kept != trainer.images:
        snapshot()
    return trainer.average


def _check(
    config: FinetuneConfig,
    generator: Generator,
    drawings: Tensor,
    discriminator: StyleGAN2Discriminator | None,
    codes: Tensor | None,
) -> None:
    size = generator.resolution
    if drawings.ndim != 4 or drawings.shape[1:] != (3, size, size) or not len(drawings):
        raise UsageError(
            f"the generator makes {size}x{size} images, the drawings are {tuple(drawings.shape)}",
            mend="Load the drawings at the generator's resolution.",
        )
    if discriminator is not None and discriminator.resolution != size:
        raise UsageError(
            f"the discriminator is for {discriminator.resolution} pixels, not {size}",
            mend="Leave it out to train a fresh one.",
        )
    if config.code_share and codes is None:
        raise UsageError("a code share needs characters' codes", mend="Give a table.")
    if codes is not None and codes.shape[1:] != (generator.num_ws, generator.w_dim):
        raise UsageError(
            f"the codes are {tuple(codes.shape[1:])}, the generator takes "
            f"({generator.num_ws}, {generator.w_dim})",
            mend="Use a table made for this generator.",
        )
    if not any(layer.resolution >= config.freeze_below for layer in generator.layers):
        raise UsageError(
            f"freezing below {config.freeze_below} leaves no layer to train",
            mend=f"Choose at most {size}.",
        )
