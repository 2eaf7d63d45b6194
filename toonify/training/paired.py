"""Fine-tuning on pairs: a face's code in, a drawing of the same pose and expression out.

JoJoGAN's idea (arXiv 2112.11641) with the split of cross-domain style mixing: the rows of w+ below
`level` come from a face, the rest from the character's own code, so that the network learns to take
pose and expression from the first and everything drawn from the second.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from torch import nn

from toonify.errors import Diverged, UsageError
from toonify.models.protocol import Generator
from toonify.training.paired_step import PairedConfig, PairedTrainer, PairSource, drawing_losses
from toonify.training.perceptual import PerceptualLoss
from toonify.training.runs import RunFolder, interruptible

__all__ = ["PairSource", "PairedConfig", "drawing_losses", "finetune_paired"]

G = TypeVar("G", bound=Generator)
Progress = Callable[[dict[str, float]], None]


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
        Diverged: the loss or a weight is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.
    """
    if len(source) == 0:
        raise UsageError("there are no pairs to learn from")
    trainer = PairedTrainer(config, generator, source, perceptual)
    run = RunFolder(folder)
    state = run.start(resume=resume)
    if state:
        try:
            trainer.load_state_dict(state)
        except (KeyError, RuntimeError, ValueError) as error:
            raise UsageError(
                f"{run.snapshot} is of another run (of another generator, say, or with other "
                "frozen layers)",
                mend="Repeat its options, or start a new run elsewhere.",
            ) from error
        run.forget_after(trainer.step_count * config.batch_size / 1000)
    else:
        run.metrics.unlink(missing_ok=True)
    start = trainer.step_count

    def save() -> None:
        if not trainer.finite():
            raise _diverged(run, trainer.step_count)
        run.save(trainer.state_dict())
        run.preview(trainer.preview(), trainer.step_count * config.batch_size / 1000)

    began = time.monotonic()
    with interruptible() as interrupt:
        while trainer.step_count < config.steps:
            losses = {k: v.item() for k, v in trainer.step().items()}
            done = trainer.step_count
            if not all(math.isfinite(value) for value in losses.values()):
                raise _diverged(run, done)
            row = {
                "step": done,
                "kimg": done * config.batch_size / 1000,
                **losses,
                "seconds": (time.monotonic() - began) / (done - start),
            }
            if done % 10 == 0:
                run.log(row)
            if progress:
                progress(row)
            # read once: Ctrl-C between saving and leaving must not skip the snapshot
            stop = interrupt.requested
            if done % config.snapshot == 0 or done == config.steps or stop:
                save()
            if stop:
                raise KeyboardInterrupt
    cast(nn.Module, trainer.average).eval()
    return trainer.average


def _diverged(run: RunFolder, step: int) -> Diverged:
    kept = f" and resume: {run.snapshot} is good" if run.snapshot.is_file() else ""
    return Diverged(
        f"the training is no longer finite at step {step}", mend=f"Lower the learning rate{kept}."
    )
