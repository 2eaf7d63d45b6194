"""Training a StyleGANEX encoder (arXiv 2303.06146, section 4), and its generator where wanted."""

from __future__ import annotations

from pathlib import Path

from toonify.checkpoints import save_encoder, save_generator
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.encoders.styleganex import StyleGANEXEncoder
from toonify.models.generators.stylegan2 import StyleGAN2Layers
from toonify.models.identity import Identity
from toonify.training.core.loop import Progress, run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.styleganex.batch import FrameConfig, FrameSource
from toonify.training.styleganex.step import FrameTrainer
from toonify.training.styleganex.tasks import Task


def train_frames(
    task: Task,
    encoder: StyleGANEXEncoder,
    generator: StyleGAN2Layers,
    source: FrameSource,
    folder: Path,
    config: FrameConfig,
    *,
    perceptual: PerceptualLoss | None = None,
    identity: Identity | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> tuple[StyleGANEXEncoder, StyleGAN2Layers]:
    """Train; returns the running averages, which are in `encoder.safetensors` and, where layers
    of the generator learn, `generator.safetensors` too.

    Args:
        encoder, generator: of the same w+; they are trained in place.
        progress: called after every step with the losses.

    Raises:
        UsageError: no layer to train, a run in `folder` without `resume`, or a resumption of
            something else.
        Diverged: the loss or a weight is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.
    """
    trainer = FrameTrainer(
        config, task, encoder, generator, source, perceptual=perceptual, identity=identity
    )
    run = RunFolder(folder)

    def keep() -> None:
        about = {"task": task.name, "kimg": f"{trainer.kimg:g}"}
        save_encoder(trainer.average, run.path / "encoder.safetensors", metadata=about)
        if config.train_from is not None:
            path = run.path / "generator.safetensors"
            save_generator(trainer.base_average, path, metadata=about)

    run_trainer(
        trainer,
        run,
        steps=config.steps,
        snapshot=config.snapshot,
        resume=resume,
        progress=progress,
        kept=keep,
        keep=config.keep,
        model="encoder.safetensors",
    )
    return trainer.average, trainer.base_average
