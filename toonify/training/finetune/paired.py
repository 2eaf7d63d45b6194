"""Fine-tuning on pairs: a face's latent in, a drawing of the same pose and expression out.

JoJoGAN's idea (arXiv 2112.11641) with the split of cross-domain style mixing: the rows of w+ below
`level` come from a face, the rest from the character's own latent, so that the network learns to
take pose and expression from the first and everything drawn from the second.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from toonify.checkpoints import save_generator
from toonify.errors import UsageError
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.base import Generator
from toonify.training.core.loop import Progress, run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.finetune.paired_step import (
    PairedConfig,
    PairedTrainer,
    PairSource,
    drawing_losses,
)

__all__ = ["PairSource", "PairedConfig", "drawing_losses", "finetune_paired"]

G = TypeVar("G", bound=Generator)


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
    trainer.average.eval()
    return trainer.average
