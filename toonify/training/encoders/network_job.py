"""A training of one network beside a generator that stays as it is: its options, its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toonify.checkpoints.loading import Configured, save_network
from toonify.training.core.loop import Trainer, run_trainer
from toonify.training.core.report import Display, reported
from toonify.training.core.runs import RunFolder
from toonify.training.encoders.job import EncoderResult


@dataclass(frozen=True, kw_only=True)
class NetworkJob:
    """What a network is trained for.

    Attributes:
        generator: compact, which stays: a file, registry name or bundle.
        output: folder of the run.
        start: network to go on from, a file or a bundle.
        kimg, batch_size, lr: thousand faces (of FusionNet: pairs of them), so many a step, AdamW's
            learning rate.
        snapshot_kimg: thousand faces between snapshots; `keep`: so many networks stay.
        resume: go on from the last snapshot in the folder.
        seed: of everything random.
    """

    generator: str
    output: Path
    start: str | None = None
    kimg: float
    batch_size: int = 8
    lr: float | None = None
    snapshot_kimg: float
    keep: int = 0
    resume: bool = False
    seed: int = 0

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self._steps(self.kimg)

    @property
    def snapshot(self) -> int:
        """Steps between snapshots."""
        return self._steps(self.snapshot_kimg)

    def _steps(self, kimg: float) -> int:
        return max(1, round(kimg * 1000 / self.batch_size))


class NetworkTrainer(Trainer, Protocol):
    """A trainer whose running average is what comes of it."""

    @property
    def average(self) -> Configured: ...


def run_job(
    job: NetworkJob,
    trainer: NetworkTrainer,
    architecture: str,
    *,
    config: Mapping[str, object],
    facts: Mapping[str, object],
    display: Display,
) -> EncoderResult:
    """Train; ARCHITECTURE.safetensors, previews and report.html go into the job's folder.

    Args:
        architecture: what is trained, as `train-encoder` names it.
        config, facts: for the report.
        display: opens a display of the training.

    Raises:
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.
    """
    made = job.output / f"{architecture}.safetensors"
    with reported(
        job.output,
        command=f"train-encoder, {architecture}",
        steps=job.steps,
        config=config,
        facts=facts,
        display=display,
    ) as report:
        run_trainer(
            trainer,
            RunFolder(job.output),
            steps=job.steps,
            snapshot=job.snapshot,
            resume=job.resume,
            progress=report,
            kept=lambda: save_network(
                trainer.average, made, metadata={"kimg": f"{trainer.kimg:g}"}
            ),
            keep=job.keep,
            model=made.name,
        )
    return EncoderResult(encoder=made, report=job.output / "report.html", architecture=architecture)
