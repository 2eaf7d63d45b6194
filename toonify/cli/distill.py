"""`toonify distill`: a generator's faces in StyleGAN2's layout, for whole frames."""

from __future__ import annotations

import copy
import itertools
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import Settings, complain, examples, settings_of
from toonify.cli.live import training_display
from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.models.protocol import Generator
    from toonify.models.stylegan2 import StyleGAN2Generator

EPILOG = examples(
    "toonify distill ffhq-mobile -o runs/face --resolution 256",
    "toonify distill prior.safetensors -o runs/face --pairs runs/faces --steps 12000 --compile",
    "toonify distill prior.safetensors -o runs/more --start face.safetensors --lr 1e-3",
)


def distill(
    ctx: typer.Context,
    teacher: Annotated[
        str, typer.Argument(help="Generator to learn from: a checkpoint, registry name or bundle.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    resolution: Annotated[
        int, typer.Option(min=64, help="Of the new generator; at most the teacher's.")
    ] = 256,
    channel_base: Annotated[
        int, typer.Option(min=512, help="Channels at a resolution are this over it, at most")
    ] = 8192,
    channel_max: Annotated[int, typer.Option(min=16, help="this; the official one's: 512.")] = 256,
    start: Annotated[
        str | None,
        typer.Option(help="Go on from a StyleGAN2 of the same W, instead of afresh."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the teacher's faces; filled when it is empty. Without it faces are"
            " rendered as they are needed."
        ),
    ] = None,
    pair_count: Annotated[
        int, typer.Option(min=100, help="Faces to render into an empty --pairs folder.")
    ] = 10000,
    steps: Annotated[int, typer.Option(min=1, help="Batches to learn from.")] = 8000,
    batch_size: Annotated[int, typer.Option(min=1, help="Faces a step.")] = 8,
    lr: Annotated[float, typer.Option(min=1e-6, help="Adam's peak rate.")] = 4e-3,
    coarse: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the steps at up to 32x32 alone.")
    ] = 0.3,
    sharpen: Annotated[
        float, typer.Option(min=0.0, help="Say of a patch discriminator towards the end.")
    ] = 0.05,
    snapshot: Annotated[int, typer.Option(min=1, help="Steps between snapshots.")] = 250,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Through torch.compile, where there is a compiler.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
    ] = False,
) -> None:
    """Teach a StyleGAN2 of any width what another generator renders, in the same W.

    StyleGANEX (invert, edit, video on whole frames) needs StyleGAN2's layout; the compact
    generator that toonify ships is no such. Codes, directions and character tables of the teacher
    serve the new one too. Snapshots, metrics.jsonl, previews (teacher beside student), report.html
    and generator.safetensors go into the folder. Ctrl-C finishes the step and keeps a snapshot.
    """
    import torch

    from toonify.bundle_writing import locate
    from toonify.checkpoints import load_generator, save_generator
    from toonify.device import pick_device, training_dtype
    from toonify.training.distill import DistillConfig, check_student, new_student
    from toonify.training.distill import distill as run
    from toonify.training.encoder_data import FreshPairs, Pairs, StoredPairs
    from toonify.training.pairs import PairSet, sample_pairs
    from toonify.training.perceptual import PerceptualLoss
    from toonify.training.report import reporting
    from toonify.training.runs import RunFolder

    settings = settings_of(ctx)
    device, precision = pick_device(settings.device), training_dtype(settings.dtype)
    config = DistillConfig(
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        coarse_share=0.0 if start else coarse,
        sharpen=sharpen,
        compiled=compiled,
        bfloat16=precision == torch.bfloat16,
        snapshot=snapshot,
        seed=settings.seed,
    )
    RunFolder(output).start(resume=resume)  # before minutes of preparation: is it free?
    master = load_generator(locate(teacher, "generator"), device=device)
    if start is None:
        student = new_student(
            master,
            resolution=resolution,
            channel_base=channel_base,
            channel_max=channel_max,
            seed=settings.seed,
        )
        if not resume:
            student = _begun(settings, master, student)
    else:
        found = load_generator(locate(start, "inversion_generator"), device=device)
        student = check_student(found, master)
    faces: Pairs
    if pairs is None:
        faces = FreshPairs(master, held_out=12, size=student.resolution)
    else:
        if not any(pairs.glob("*")):
            with settings.progress("faces") as bar:
                sample_pairs(
                    master,
                    pairs,
                    pair_count,
                    size=student.resolution,
                    seed=settings.seed,
                    progress=lambda done: bar(done, pair_count),
                )
        stored = PairSet.load(pairs, num_ws=student.num_ws, w_dim=student.w_dim, generator=master)
        faces = StoredPairs(stored, held_out=12)
    options = {"teacher": teacher, "start": start, "pairs": pairs, **asdict(config)}
    facts = {"generator": student.config()["channels"], "device": device}
    title = f"distill: {output.resolve().name}"
    with (
        reporting(output, title=title, config=options, facts=facts) as refresh,
        training_display(settings) as show,
    ):

        def report(row: dict[str, float]) -> None:
            show("distill", int(row["step"]), steps, row)
            refresh()
            if settings.json:
                settings.result(row, "")

        average = run(
            student,
            faces,
            output,
            config,
            perceptual=PerceptualLoss("vgg", dtype=precision).to(device),
            resume=resume,
            progress=report,
        )
    path, page = output / "generator.safetensors", output / "report.html"
    save_generator(average, path, metadata={"source": teacher})
    settings.result({"path": str(path), "report": str(page)}, f"{path}, {page}")


def _begun(
    settings: Settings, teacher: Generator, student: StyleGAN2Generator
) -> StyleGAN2Generator:
    """The student with what can be had of a compact teacher's weights."""
    from toonify.models.mobile import MobileGenerator
    from toonify.training.transplant import transplant

    if not isinstance(teacher, MobileGenerator):
        complain("the teacher is no compact generator: the student begins from noise")
        return student
    device = student.w_avg.device
    begun = student.cpu()
    layers = 3 * len(begun.channels) - 2  # a block has two convolutions and tRGB, the first one
    done = itertools.count(1)
    try:
        with settings.progress("layers") as bar:
            transplant(
                copy.deepcopy(teacher).cpu(),
                begun,
                seed=settings.seed,
                progress=lambda *_: bar(next(done), layers),
            )
    except UsageError as error:
        complain(f"{error}: the student begins from noise")
    return begun.to(device)
