"""`toonify finetune`: a cartoon copy of a face generator from a few drawings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.common import complain, examples, settings_of
from toonify.cli.projecting import EncoderOption

EPILOG = examples(
    "toonify finetune --data drawings/ --base prior.safetensors --encoder default -o runs/cast",
    "toonify finetune --data drawings/ --base prior.safetensors -o runs/cast --steps 3000 --resume",
    "toonify finetune --data drawings/ --base ffhq-mobile -o runs/cast --objective both --kimg 40",
)


class ObjectiveName(StrEnum):
    """How to learn from the drawings."""

    paired = "paired"
    adversarial = "adversarial"
    both = "both"


def finetune(
    ctx: typer.Context,
    data: Annotated[
        Path, typer.Option(help="Folder of drawings; each sub-folder is one character.")
    ],
    base: Annotated[
        str, typer.Option(help="Face generator: a checkpoint, a registry name, or a bundle.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    objective: Annotated[
        ObjectiveName,
        typer.Option(
            help="paired: each drawing with the face it could be of, minutes on a laptop;"
            " adversarial: StyleGAN2-ADA's recipe, for a GPU; both: one after the other."
        ),
    ] = ObjectiveName.paired,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps on pairs.", show_default="1500")
    ] = None,
    kimg: Annotated[
        float | None,
        typer.Option(min=0.0, help="Thousand images of adversarial.", show_default="20"),
    ] = None,
    encoder: EncoderOption = None,
    snapshot: Annotated[
        float, typer.Option(min=0.001, help="Thousand images between snapshots and previews.")
    ] = 0.5,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Drawings a step.", show_default="4 on pairs, 8 adversarial"),
    ] = None,
    freeze_below: Annotated[
        int, typer.Option(help="Layers of a lower resolution stay: the swap replaces them.")
    ] = 32,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
    ] = False,
) -> None:
    """Fine-tune a face generator on drawings.

    Snapshots, metrics.jsonl and previews go into the folder's pairs/ and adversarial/, the result
    is its generator.safetensors. Ctrl-C finishes the step and keeps a snapshot.
    """
    from toonify.bundle_writing import locate
    from toonify.checkpoints import load_encoder, load_generator
    from toonify.cli.projecting import starting_codes
    from toonify.device import pick_device, pick_dtype
    from toonify.errors import UsageError
    from toonify.training.adversarial import FinetuneConfig
    from toonify.training.data import load_drawings
    from toonify.training.finetune import finetune as run
    from toonify.training.paired import PairedConfig
    from toonify.training.perceptual import PerceptualLoss

    import torch  # isort: skip

    settings = settings_of(ctx)
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    if settings.dtype == "float16":
        raise UsageError("float16 is too coarse to train in", mend="Use --dtype bfloat16.")
    for option, given, without in (
        ("--steps", steps, ObjectiveName.adversarial),
        ("--encoder", encoder, ObjectiveName.adversarial),
        ("--kimg", kimg, ObjectiveName.paired),
    ):
        if given is not None and objective == without:
            raise UsageError(
                f"{option} has no part in --objective {without}", mend="Choose --objective both."
            )
    pairs, images = batch_size or PairedConfig.batch_size, batch_size or FinetuneConfig.batch_size
    paired = PairedConfig(
        steps=steps or PairedConfig.steps,
        batch_size=pairs,
        freeze_below=freeze_below,
        snapshot=max(1, round(snapshot * 1000 / pairs)),
        seed=settings.seed,
    )
    adversarial = FinetuneConfig(
        kimg=FinetuneConfig.kimg if kimg is None else kimg,
        batch_size=images,
        freeze_below=freeze_below,
        snapshot_kimg=snapshot,
        seed=settings.seed,
        bfloat16=dtype != torch.float32,
    )
    generator = load_generator(locate(base, "generator"), device=device)
    drawings = load_drawings(data, generator.resolution)
    for name, reason in drawings.skipped:
        complain(f"{name} is left out: {reason}")
    perceptual, encode = None, None
    if objective != ObjectiveName.adversarial:
        perceptual = PerceptualLoss(dtype=torch.bfloat16).to(device)
        if encoder is not None:
            reader = load_encoder(locate(encoder, "encoder"), device=device)
            encode = starting_codes(reader, generator)
    with settings.progress(objective.value) as bar:

        def report(stage: str, done: int, total: int, metrics: dict[str, float]) -> None:
            bar(done, total)
            if settings.json and (stage != "pairs" or done % 10 == 0):
                settings.result({"stage": stage, "done": done, "total": total, **metrics}, "")

        run(
            generator,
            drawings,
            output,
            objective=objective.value,
            paired=paired,
            adversarial=adversarial,
            perceptual=perceptual,
            encode=encode,
            resume=resume,
            progress=report,
        )
    path = output / "generator.safetensors"
    settings.result({"path": str(path), "objective": objective.value}, str(path))
