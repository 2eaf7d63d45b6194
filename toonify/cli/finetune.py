"""`toonify finetune`: a cartoon copy of a face generator from a few drawings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.common import complain, examples, settings_of

EPILOG = examples(
    "toonify finetune --data drawings/ --base ffhq-mobile -o runs/cast --kimg 40",
    "toonify finetune --data drawings/ --base default -o runs/cast --kimg 80 --resume",
)


def finetune(
    ctx: typer.Context,
    data: Annotated[Path, typer.Option(help="Folder of drawings, sub-folders included.")],
    base: Annotated[
        str, typer.Option(help="Face generator: a checkpoint, a registry name, or a bundle.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    kimg: Annotated[float, typer.Option(min=0.0, help="Thousand images to train on.")] = 20.0,
    snapshot: Annotated[
        float, typer.Option(min=0.0, help="Thousand images between snapshots and previews.")
    ] = 1.0,
    batch_size: Annotated[int, typer.Option(min=1, help="Drawings a step.")] = 8,
    freeze_below: Annotated[
        int, typer.Option(help="Layers of a lower resolution stay: the swap replaces them.")
    ] = 32,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
    ] = False,
) -> None:
    """Fine-tune a face generator on drawings.

    StyleGAN2-ADA's recipe. Snapshots, metrics.jsonl and preview grids go into the folder, and
    generator.safetensors at the end. Ctrl-C finishes the step and keeps a snapshot.
    """
    from toonify.bundle_writing import locate
    from toonify.checkpoints import load_generator, save_generator
    from toonify.device import pick_device, pick_dtype
    from toonify.errors import UsageError
    from toonify.training.adversarial import FinetuneConfig, finetune_adversarial
    from toonify.training.data import load_drawings

    import torch  # isort: skip

    settings = settings_of(ctx)
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    if settings.dtype == "float16":
        raise UsageError("float16 is too coarse to train in", mend="Use --dtype bfloat16.")
    config = FinetuneConfig(
        kimg=kimg,
        batch_size=batch_size,
        freeze_below=freeze_below,
        snapshot_kimg=snapshot,
        seed=settings.seed,
        bfloat16=dtype != torch.float32,
    )
    generator = load_generator(locate(base, "generator"), device=device)
    drawings = load_drawings(data, generator.resolution)
    for name, reason in drawings.skipped:
        complain(f"{name} is left out: {reason}")
    with settings.progress("kimg") as bar:

        def report(metrics: dict[str, float]) -> None:
            bar(int(metrics["kimg"] * 1000), int(kimg * 1000))
            if settings.json:
                settings.result(metrics, "")

        trained = finetune_adversarial(
            config, generator, drawings.images, output, resume=resume, progress=report
        )
    path = output / "generator.safetensors"
    save_generator(trained, path, metadata={"base": base, "kimg": str(kimg)})
    settings.result({"path": str(path), "kimg": kimg}, str(path))
