"""A compact generator's faces in StyleGAN2's layout, from files into a folder."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from toonify.bundle import locate, model_files
from toonify.checkpoints import load_generator, save_generator
from toonify.device import pick_device, training_dtype
from toonify.errors import UsageError
from toonify.metrics import lpips
from toonify.models.base import Generator
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.generators.stylegan2 import StyleGAN2Layers
from toonify.training.core.loop import Progress as Report
from toonify.training.core.report import REPORT, Display, no_display, reported
from toonify.training.core.runs import RunFolder
from toonify.training.data.latent_samples import LatentSamples, write_samples
from toonify.training.distillation.distill import (
    DistillConfig,
    check_student,
    distill,
    new_student,
)
from toonify.training.distillation.feature_distillation import (
    FeatureDistillConfig,
    check_hybrid,
    distill_features,
    new_hybrid,
)
from toonify.training.distillation.least_squares_init import init_least_squares
from toonify.training.encoders.data import FreshSamples, LatentSource, StoredSamples
from toonify.utils.arguments import check_choice
from toonify.utils.outputs import InputFiles, check_run_folder
from toonify.utils.progress import Progress, no_progress

log = logging.getLogger(__name__)

MADE = "generator.safetensors"
HELD_OUT = 12  # faces of a preview

Layout = Literal["hybrid", "stylegan2"]
_OWN = {  # options of one layout
    "hybrid": ("width",),
    "stylegan2": (
        *("resolution", "channel_base", "channel_max"),
        *("pairs", "pair_count", "sharpen"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class DistillJob:
    """What is learnt of which teacher; None is the layout's own default.

    Attributes:
        teacher: generator to learn from: a file, registry name or bundle.
        output: folder of the run.
        layout: "hybrid" learns StyleGAN2's layers up to 32×32, under the compact teacher's own;
            "stylegan2" learns all.
        start: a generator of the same layout and W to go on from.
        steps: batches to learn from (4000; stylegan2: 8000).
        batch_size: faces a step (32; 8).
        lr: Adam's peak rate (5e-3; 4e-3).
        coarse_share: of the steps, at up to 16×16 (stylegan2: 32×32) alone, 0..1.
        width: of hybrid: channels of the new layers (320).
        resolution, channel_base, channel_max: of stylegan2: the new generator's (256, 8192, 256).
        pairs: of stylegan2: folder of the teacher's faces, filled with `pair_count` (10,000) where
            it is empty; None renders them as they are needed.
        sharpen: of stylegan2: weight of a patch discriminator towards the end (0.05).
        snapshot: steps between snapshots; `keep`: so many of them stay.
        compiled: through torch.compile.
        resume: go on from the last snapshot in the folder.
        seed: of everything random.
    """

    teacher: str
    output: Path
    layout: Layout = "hybrid"
    start: str | None = None
    steps: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    coarse_share: float | None = None
    width: int | None = None
    resolution: int | None = None
    channel_base: int | None = None
    channel_max: int | None = None
    pairs: Path | None = None
    pair_count: int | None = None
    sharpen: float | None = None
    snapshot: int = 250
    keep: int = 0
    compiled: bool = False
    resume: bool = False
    seed: int = 0

    def check(self) -> None:
        """UsageError for options of the other layout."""
        known = get_args(Layout)
        check_choice("layout", self.layout, known)
        other = known[1 - known.index(self.layout)]
        for name in _OWN[other]:
            if getattr(self, name) is not None:
                raise UsageError(f"`{name}` is of `layout` {other}", hint="Leave it out.")


@dataclass(frozen=True, kw_only=True)
class DistillResult:
    """What a run left in its folder."""

    generator: Path
    report: Path


@dataclass(frozen=True, kw_only=True)
class _Training:
    """One layout's training, ready to begin."""

    config: FeatureDistillConfig | DistillConfig
    learn: Callable[[Report], StyleGAN2Layers]


def distill_generator(
    options: DistillJob,
    *,
    device: str = "auto",
    dtype: str = "auto",
    display: Display = no_display,
    progress: Progress = no_progress,
) -> DistillResult:
    """Teach StyleGAN2's layers what a compact generator computes, in the same W.

    Snapshots, metrics.jsonl, previews, report.html and generator.safetensors go into the folder.

    Args:
        display: opens a display of the training.

    Raises:
        UsageError: options that don't go together, or a run in the folder without `resume`.
        ModelError: networks that can't be loaded.
        InputError: pairs that can't be read.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Examples:
        >>> job = DistillJob(teacher="ffhq-mobile", output=Path("runs/face"))
        >>> distill_generator(job).generator
    """
    options.check()
    reads = InputFiles([options.pairs, *model_files(options.teacher, options.start)])
    check_run_folder(options.output, reads)
    RunFolder(options.output).start(resume=options.resume)  # before minutes of preparation
    place = pick_device(device)
    teacher = load_generator(locate(options.teacher, "generator"), device=place)
    start = None
    if options.start is not None:
        start = load_generator(locate(options.start, "inversion_generator"), device=place)
    prepare = _hybrid if options.layout == "hybrid" else _stylegan2
    training = prepare(options, teacher, start, training_dtype(dtype, place), progress)
    listed = {name: getattr(options, name) for name in ("teacher", "layout", "start", "pairs")}
    with reported(
        options.output,
        command="distill",
        steps=training.config.steps,
        config=listed | asdict(training.config),
        facts={"device": place},
        display=display,
    ) as report:
        average = training.learn(report)
    made = options.output / MADE
    save_generator(average, made, metadata={"source": options.teacher})
    return DistillResult(generator=made, report=options.output / REPORT)


def _hybrid(
    options: DistillJob,
    teacher: Generator,
    start: Generator | None,
    dtype: torch.dtype,
    progress: Progress,
) -> _Training:
    """The layers up to 32×32."""
    config = FeatureDistillConfig(**_shared(options, dtype))
    if start is not None:
        student = check_hybrid(start, teacher)
    else:
        student = new_hybrid(teacher, width=options.width or 320, seed=options.seed)
        if not options.resume:
            _initialize(student, teacher, options.seed, progress)
    run = RunFolder(options.output)
    return _Training(
        config=config,
        learn=lambda report: distill_features(
            student, teacher, run, config, resume=options.resume, progress=report
        ),
    )


def _stylegan2(
    options: DistillJob,
    teacher: Generator,
    start: Generator | None,
    dtype: torch.dtype,
    progress: Progress,
) -> _Training:
    """All layers."""
    shared = _shared(options, dtype)
    if options.sharpen is not None:
        shared["sharpen"] = options.sharpen
    config = DistillConfig(**shared)
    if start is not None:
        student = check_student(start, teacher)
    else:
        student = new_student(
            teacher,
            resolution=options.resolution or 256,
            channel_base=options.channel_base or 8192,
            channel_max=options.channel_max or 256,
            seed=options.seed,
        )
        if not options.resume:
            _initialize(student, teacher, options.seed, progress)
    pairs = _pairs(options, teacher, student, progress)
    return _Training(
        config=config,
        learn=lambda report: distill(
            student,
            pairs,
            options.output,
            config,
            perceptual=lpips.PerceptualLoss("vgg", dtype=dtype).to(student.w_avg.device),
            resume=options.resume,
            progress=report,
        ),
    )


def _shared(options: DistillJob, dtype: torch.dtype) -> dict[str, Any]:
    """Options of both layouts' configs."""
    numbers = {
        name: getattr(options, name) for name in ("steps", "batch_size", "lr", "coarse_share")
    }
    if options.start is not None and options.coarse_share is None:
        numbers["coarse_share"] = 0.0
    return {
        **{name: value for name, value in numbers.items() if value is not None},
        "compiled": options.compiled,
        "bfloat16": dtype == torch.bfloat16,
        "snapshot": options.snapshot,
        "keep": options.keep,
        "seed": options.seed,
    }


def _pairs(
    options: DistillJob, teacher: Generator, student: StyleGAN2Layers, progress: Progress
) -> LatentSource:
    """The teacher's faces with their latents: stored ones, or rendered as they are needed."""
    folder, count = options.pairs, options.pair_count or 10_000
    if folder is None:
        return FreshSamples(teacher, held_out=HELD_OUT, size=student.resolution)
    if not any(folder.glob("*")):
        with progress("faces") as bar:
            write_samples(
                teacher,
                folder,
                count,
                size=student.resolution,
                seed=options.seed,
                progress=lambda done: bar(done, count),
            )
    stored = LatentSamples.load(
        folder, num_ws=student.num_ws, w_dim=student.w_dim, generator=teacher
    )
    return StoredSamples(stored, held_out=HELD_OUT)


def _initialize(
    student: StyleGAN2Layers, teacher: Generator, seed: int, progress: Progress
) -> None:
    """Give the student what can be had of a compact teacher's weights."""
    if not isinstance(teacher, MobileGenerator):
        log.warning("the teacher is no compact generator: the student begins from noise")
        return
    layers = 3 * len(student.channels) - 2  # two convolutions and tRGB a block, the first one
    done = itertools.count(1)
    try:
        with progress("layers") as bar:
            init_least_squares(
                teacher, student, seed=seed, progress=lambda *_: bar(next(done), layers)
            )
    except UsageError as error:
        log.warning("%s: the student begins from noise", error)
