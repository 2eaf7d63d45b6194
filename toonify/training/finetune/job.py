"""Fine-tuning from files: what `toonify finetune` does, as a function."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from toonify.bundle import locate, model_files
from toonify.checkpoints import load_discriminator, load_encoder, load_generator
from toonify.device import pick_device
from toonify.errors import UsageError
from toonify.faces import MTCNNDetector
from toonify.faces.subject import Domain, check_domain
from toonify.metrics import lpips
from toonify.training.characters.projecting import starting_latents
from toonify.training.core.distributed import World, joined, launch
from toonify.training.core.report import reporting
from toonify.training.data import check
from toonify.training.data.drawings import Drawings, load_drawings
from toonify.training.finetune import run
from toonify.training.finetune.adversarial import AdversarialConfig
from toonify.training.finetune.paired import PairedConfig
from toonify.utils.arguments import check_choice, check_range
from toonify.utils.links import real_path
from toonify.utils.outputs import InputFiles, check_run_folder
from toonify.utils.progress import Progress as Bars
from toonify.utils.progress import no_progress

log = logging.getLogger(__name__)

LOWEST = 4  # resolution of a generator's first layers

# opens a display of the training, given its first line
Display = Callable[[str], AbstractContextManager[run.Progress]]


@contextmanager
def no_display(opening: str) -> Iterator[run.Progress]:
    """Progress goes nowhere."""
    yield lambda stage, done, total, metrics: None


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """What a run left in its folder.

    Attributes:
        generator: generator.safetensors, for `load_generator`.
        report: report.html.
    """

    generator: Path
    report: Path


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What each process of a run has to know."""

    data: Path
    base: str
    output: Path
    objective: run.Objective
    encoder: str | None
    discriminator: str | None
    paired: PairedConfig
    adversarial: AdversarialConfig
    domain: Domain
    resume: bool
    device: str
    display: Display
    progress: Bars


def finetune(
    data: str | os.PathLike[str],
    base: str,
    output: str | os.PathLike[str],
    *,
    objective: run.Objective = "paired",
    encoder: str | None = None,
    discriminator: str | None = None,
    paired: PairedConfig | None = None,
    adversarial: AdversarialConfig | None = None,
    domain: Domain = "faces",
    resume: bool = False,
    processes: int = 1,
    device: str = "auto",
    display: Display = no_display,
    progress: Bars = no_progress,
) -> FinetuneResult:
    """Fine-tune a face generator on a folder of drawings.

    "paired" inverts the drawings and learns to draw them from faces of the prior (minutes);
    "adversarial" is StyleGAN2-ADA's training (Karras et al., 2020); "both" goes from one to the
    other. Snapshots, metrics.jsonl and previews go into the folder's pairs/ and adversarial/;
    report.html shows how it goes.

    Args:
        data: folder of drawings; each sub-folder is one character.
        base: face generator: a checkpoint's file, a registry name, or a bundle.
        output: folder of the run.
        objective: "paired", "adversarial" or "both", one after the other.
        encoder: whose latents inversions start from; None: from the average latent.
        discriminator: for the adversarial stage to start from; a fresh one when None.
        paired: options of that stage; its defaults when None.
        adversarial: likewise.
        domain: "faces", or "any" for a generator and pictures of something else: no face is looked
            for, and the defaults of both stages train all resolutions.
        resume: go on from the last snapshot in the folder.
        processes: that share the adversarial stage on this machine; on CUDA one a GPU.
        device: where networks compute: "auto", "cpu", "cuda", "cuda:1" or "mps".
        display: opens a display, given its first line, and gives what is called with (stage, done,
            total, metrics). With several processes it must be picklable.
        progress: opens a bar for what is named, and is given what is done of how much.

    Raises:
        UsageError: options that don't fit, or a run in the folder without `resume`.
        InputError: no drawings.
        ModelError: networks that can't be loaded.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Examples:
        >>> done = finetune("drawings/", "ffhq-mobile", "runs/cast", encoder="default")
        >>> generator = load_generator(done.generator)
    """
    check_choice("objective", objective, run.OBJECTIVES)
    check_range("processes", processes, 1, whole=True)
    check_domain(domain)
    pick_device(device)
    frozen = LOWEST if domain == "any" else PairedConfig.freeze_below
    job = _Job(
        data=Path(data),
        base=base,
        output=Path(output),
        objective=objective,
        encoder=encoder,
        discriminator=discriminator,
        paired=paired or PairedConfig(freeze_below=frozen),
        adversarial=adversarial or AdversarialConfig(freeze_below=frozen),
        domain=domain,
        resume=resume,
        device=device,
        display=display,
        progress=progress,
    )
    reads = InputFiles([job.data, *model_files(base, encoder, discriminator)])
    check_run_folder(job.output, reads)
    if objective != "paired" and job.adversarial.batch_size % processes:
        raise UsageError(
            f"a batch of {job.adversarial.batch_size} can't be shared by {processes} processes",
            hint=f"Give a `batch_size` that {processes} divides.",
        )
    if processes > 1:
        launch(_work, processes, job)
    else:
        _work(job)
    return FinetuneResult(
        generator=job.output / "generator.safetensors", report=job.output / "report.html"
    )


def _work(job: _Job) -> None:
    """The run, in each of its processes."""
    with joined(pick_device(job.device)) as (world, device):
        if not world.first:
            job = replace(job, display=no_display, progress=no_progress)
        generator = load_generator(locate(job.base, "generator"), device=device)
        drawings = load_drawings(job.data, generator.resolution)
        discriminator = None
        if job.discriminator is not None:
            discriminator = load_discriminator(job.discriminator, device=device)
        options: dict[str, Any] = {
            "objective": job.objective,
            "paired": job.paired,
            "adversarial": job.adversarial,
            "discriminator": discriminator,
            "resume": job.resume,
            "world": world,
        }
        # the look at every drawing takes minutes
        run.check_finetune(generator, drawings, job.output, **options)
        if world.first:
            _look_through(job, generator.resolution)
        perceptual, encode = None, None
        if job.objective != "adversarial":
            perceptual, encode = _of_pairs(job, generator, world, device)
        opening = perceptual.source if perceptual else ""
        keep = _reporting(job, drawings, device) if world.first else nullcontext(lambda: None)
        with keep as refresh, job.display(opening) as show:

            def report(stage: str, done: int, total: int, metrics: dict[str, float]) -> None:
                show(stage, done, total, metrics)
                refresh()

            run.finetune(
                generator,
                drawings,
                job.output,
                perceptual=perceptual,
                encode=encode,
                progress=report,
                **options,
            )


def _of_pairs(
    job: _Job, generator: Any, world: World, device: torch.device
) -> tuple[lpips.PerceptualLoss, Any]:
    """The loss of the paired stage, and what its inversions start from."""
    if world.first and world.size > 1:
        log.info("the pairs are one process's work; the others wait for the next stage")
    dtype = torch.bfloat16 if job.paired.bfloat16 else torch.float32
    perceptual = lpips.PerceptualLoss(dtype=dtype).to(device)
    if job.encoder is None:
        return perceptual, None
    reader = load_encoder(locate(job.encoder, "encoder"), device=device)
    return perceptual, starting_latents(reader, generator)


def _reporting(
    job: _Job, drawings: Drawings, device: torch.device
) -> AbstractContextManager[Callable[[], None]]:
    options: dict[str, Any] = {"data": job.data, "base": job.base, "encoder": job.encoder}
    if job.objective != "adversarial":
        options["paired"] = asdict(job.paired)
    if job.objective != "paired":
        options["discriminator"] = job.discriminator
        options["adversarial"] = asdict(job.adversarial)
    facts = {"drawings": len(drawings.names), "left out": len(drawings.skipped), "device": device}
    title = f"finetune --objective {job.objective}: {real_path(job.output).name}"
    return reporting(job.output, title=title, config=options, facts=facts)


def _look_through(job: _Job, size: int) -> None:
    """Say what is odd about the drawings, before hours are spent on them."""
    with job.progress("checking") as bar:
        detector = None if job.resume or job.domain == "any" else MTCNNDetector()
        report = check.check_drawings(job.data, size, detector=detector, progress=bar)
    for finding in report.warnings:
        if finding.severity == "error":  # a file that is left out
            log.warning("%s", finding.text)
        elif not job.resume:  # else it was said when the run began
            log.info("%s", finding.text)
    if not job.resume:
        log.info("%s See `toonify check %s`.", report.headline(), job.data)
