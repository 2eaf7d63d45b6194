"""`toonify distill`: a generator's faces in StyleGAN2's layout, for whole frames."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.common import examples, settings_of
from toonify.cli.config_file import ConfigOption
from toonify.cli.live import KeepOption, steps_display
from toonify.cli.request import takes


class Layout(StrEnum):
    """Which layers are learnt."""

    hybrid = "hybrid"
    stylegan2 = "stylegan2"


EPILOG = examples(
    "toonify distill prior256.safetensors -o runs/face --compile",
    "toonify distill toon.safetensors -o runs/toon --start runs/face/generator.safetensors",
    "toonify distill ffhq-mobile -o runs/whole --layout stylegan2 --resolution 256 --steps 12000",
)


@dataclass(frozen=True, kw_only=True)
class DistillRequest:
    """The command line, an option each."""

    teacher: Annotated[
        str, typer.Argument(help="Generator to learn from: a checkpoint, registry name or bundle.")
    ]
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")]
    layout: Annotated[
        Layout,
        typer.Option(
            help="hybrid: StyleGAN2's layers up to 32x32 are learnt, the compact teacher's own"
            " stay from there on; stylegan2: all are learnt."
        ),
    ] = Layout.hybrid
    start: Annotated[
        str | None,
        typer.Option(help="Go on from a generator of the same layout and W, instead of afresh."),
    ] = None
    steps: Annotated[
        int | None, typer.Option(min=1, help="Batches to learn from: 4000; stylegan2: 8000.")
    ] = None
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Faces a step: 32; stylegan2: 8.")
    ] = None
    lr: Annotated[
        float | None, typer.Option(min=1e-6, help="Adam's peak rate: 5e-3; stylegan2: 4e-3.")
    ] = None
    coarse: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Share of the steps at up to 16x16 (stylegan2: 32x32) alone."
        ),
    ] = None
    width: Annotated[
        int | None, typer.Option(min=16, help="hybrid: channels of the new layers: 320.")
    ] = None
    resolution: Annotated[
        int | None, typer.Option(min=64, help="stylegan2: of the new generator: 256.")
    ] = None
    channel_base: Annotated[
        int | None,
        typer.Option(
            min=512, help="stylegan2: channels at a resolution are this (8192) over it, at most"
        ),
    ] = None
    channel_max: Annotated[
        int | None, typer.Option(min=16, help="this (256); the official one's: 512.")
    ] = None
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="stylegan2: folder of the teacher's faces; filled when it is empty. Without it"
            " faces are rendered as they are needed."
        ),
    ] = None
    pair_count: Annotated[
        int | None,
        typer.Option(min=100, help="Faces to render into an empty --pairs folder: 10000."),
    ] = None
    sharpen: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="stylegan2: weight of a patch discriminator towards the end: 0.05."
        ),
    ] = None
    snapshot: Annotated[int, typer.Option(min=1, help="Steps between snapshots.")] = 250
    keep: KeepOption = 10
    compiled: Annotated[
        bool, typer.Option("--compile", help="Through torch.compile, where there is a compiler.")
    ] = False
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
    ] = False
    config: ConfigOption = None


@takes(DistillRequest)
def distill(ctx: typer.Context, request: DistillRequest) -> None:
    """Teach StyleGAN2's layers what a compact generator computes, in the same W.

    StyleGANEX (invert, edit, video on whole frames) needs StyleGAN2's layout up to 32x32; the
    compact generator that toonify ships has another. By default only those layers are learnt, from
    the teacher's features, and its own layers go on from there: nearly as sharp as the teacher
    after an hour of two CPU cores. Latents, directions and character tables of the teacher serve
    the new one too. Snapshots, metrics.jsonl, previews (teacher beside student), report.html and
    generator.safetensors go into the folder. Ctrl-C finishes the step and keeps a snapshot.
    """
    from toonify.training.distillation.job import DistillJob, distill_generator

    settings = settings_of(ctx)
    job = DistillJob(
        teacher=request.teacher,
        output=request.output,
        layout=request.layout.value,
        start=request.start,
        steps=request.steps,
        batch_size=request.batch_size,
        lr=request.lr,
        coarse_share=request.coarse,
        width=request.width,
        resolution=request.resolution,
        channel_base=request.channel_base,
        channel_max=request.channel_max,
        pairs=request.pairs,
        pair_count=request.pair_count,
        sharpen=request.sharpen,
        snapshot=request.snapshot,
        keep=request.keep,
        compiled=request.compiled,
        resume=request.resume,
        seed=settings.seed,
    )
    done = distill_generator(
        job,
        device=settings.device,
        dtype=settings.dtype,
        display=partial(steps_display, settings, "distill"),
        progress=settings.progress,
    )
    record = {"path": str(done.generator), "report": str(done.report)}
    settings.result(record, f"{done.generator}, {done.report}")
