"""`toonify train-stylemap`: StyleMapGAN on any folder of faces."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from toonify.cli.common import complain, examples, note_others, settings_of
from toonify.cli.config_file import ConfigOption
from toonify.cli.live import KeepOption, training_display
from toonify.errors import UsageError
from toonify.utils.links import real_path
from toonify.utils.outputs import InputFiles, check_run_folder

MADE = "stylemap.safetensors"
SIZES = (64, 128, 256, 512)
EPILOG = examples(
    "toonify train-stylemap --photos faces/ -o runs/stylemap",
    "toonify train-stylemap --photos ffhq/ --aligned --design full --size 256 --map-size 8"
    " --mapping --lpips-net vgg --adversarial 1 --l2 1 --adversarial-from 0 --beta1 0 --lr 2e-3"
    " --batch-size 16 --kimg 5000 -o runs/full",
    "toonify local-edit me.jpg --from friend.jpg --part eyes -o eyes.png"
    " --network runs/stylemap/stylemap.safetensors",
)


class Design(StrEnum):
    """How wide the networks are."""

    light = "light"
    small = "small"
    full = "full"


class LPIPSNet(StrEnum):
    """What judges reconstructions."""

    alex = "alex"
    vgg = "vgg"


def _weight(term: str) -> Any:
    return typer.Option(min=0.0, help=f"Weight of {term}; 0 leaves it out.")


def train_stylemap(
    ctx: typer.Context,
    *,
    photos: Annotated[
        Path, typer.Option(help="Folder of photographs; the largest face of each is used.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    aligned: Annotated[
        bool, typer.Option("--aligned", help="The photographs are FFHQ-aligned faces already.")
    ] = False,
    size: Annotated[int, typer.Option(help="Side of the pictures, px: 64, 128, 256, 512.")] = 128,
    map_size: Annotated[
        int,
        typer.Option(
            help="Side of the stylemap, 8, 16 or 32: larger ones reconstruct better and show"
            " seams sooner."
        ),
    ] = 16,
    design: Annotated[
        Design,
        typer.Option(
            help="light: for a CPU. small and full: as published, 4 and 30 times as large."
        ),
    ] = Design.light,
    mapping: Annotated[
        bool,
        typer.Option(
            "--mapping/--no-mapping",
            help="Learn random faces too, as published. Without, the discriminator sees two faces'"
            " mixed stylemaps instead.",
        ),
    ] = False,
    kimg: Annotated[
        float, typer.Option(min=0.001, help="Thousand faces to show; the rate falls over them.")
    ] = 20.0,
    batch_size: Annotated[int, typer.Option(min=2, help="Faces a step.")] = 4,
    lr: Annotated[
        float, typer.Option(min=0.0, help="Adam's rate, of generator and encoder.")
    ] = 5e-3,
    discriminator_lr: Annotated[float, typer.Option(min=0.0, help="Of the discriminator.")] = 2e-3,
    beta1: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="Adam's, of generator and encoder.")
    ] = 0.9,
    adversarial_from: Annotated[
        float,
        typer.Option(min=0.0, help="Thousand faces after which the discriminator takes part."),
    ] = 0.0,
    adversarial: Annotated[float, _weight("both adversarial losses")] = 0.1,
    latent: Annotated[float, _weight("the stylemap's squared error, of sampled pictures")] = 1.0,
    l2: Annotated[float, _weight("the reconstruction's squared error")] = 4.0,
    lpips: Annotated[float, _weight("its LPIPS")] = 1.0,
    lpips_net: Annotated[
        LPIPSNet, typer.Option(help="What LPIPS is measured by; vgg as published.")
    ] = LPIPSNet.alex,
    r1_gamma: Annotated[float, _weight("R1, every 16 steps")] = 10.0,
    augment: Annotated[
        bool,
        typer.Option("--augment", help="Vary exposure and color, for faces from one generator."),
    ] = False,
    snapshot: Annotated[
        float, typer.Option(min=0.001, help="Thousand faces between snapshots.")
    ] = 1.0,
    keep: KeepOption = 10,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Train StyleMapGAN (arXiv 2104.14754): generator, encoder and discriminator together.

    stylemap.safetensors in the run's folder is their running average, for `local-edit --network`.
    Published weights of all losses are 1. Ctrl-C finishes the step and keeps a snapshot.
    """
    import torch

    from toonify.checkpoints.loading import save_network
    from toonify.device import pick_device, pick_dtype
    from toonify.metrics.lpips import PerceptualLoss
    from toonify.training.core.loop import run_trainer
    from toonify.training.core.report import reporting
    from toonify.training.core.runs import RunFolder
    from toonify.training.data.photos import load_photos
    from toonify.training.stylemap import (
        StyleMapConfig,
        StyleMapTrainer,
        StyleMapWeights,
        new_stylemap,
    )

    settings = settings_of(ctx)
    if settings.dtype == "float16":
        raise UsageError("float16 is too coarse to train in", hint="Use --dtype bfloat16.")
    if size not in SIZES or map_size not in (8, 16, 32):
        raise UsageError(
            f"--size {size} with --map-size {map_size} is no StyleMapGAN",
            hint="Choose 64, 128, 256 or 512, and 8, 16 or 32.",
        )
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    plan = StyleMapConfig(
        steps=max(1, round(kimg * 1000 / batch_size)),
        batch_size=batch_size,
        lr=lr,
        discriminator_lr=discriminator_lr,
        beta1=beta1,
        weights=StyleMapWeights(adversarial=adversarial, latent=latent, l2=l2, lpips=lpips),
        r1_gamma=r1_gamma,
        adversarial_from=round(adversarial_from * 1000 / batch_size),
        augment=augment,
        bfloat16=dtype != torch.float32,
        seed=settings.seed,
    )
    check_run_folder(output, InputFiles([photos]))
    run = RunFolder(output)
    run.start(resume=resume)  # before minutes of preparation: is it free?
    note_others(photos)
    with settings.progress("photographs") as bar:
        faces = load_photos(photos, output, size=size, aligned=aligned, progress=bar)
    for name, reason in faces.skipped:
        complain(f"{name} is left out: {reason}")
    network = new_stylemap(
        size=size, map_size=map_size, design=design.value, mapping=mapping, seed=settings.seed
    )
    perceptual = None
    if lpips:
        perceptual = PerceptualLoss(lpips_net.value, dtype=dtype).to(device)
    trainer = StyleMapTrainer(network.to(device), faces, plan, perceptual=perceptual)
    made = output / MADE

    def write(path: Path) -> None:
        save_network(trainer.average, path, metadata={"kimg": f"{trainer.kimg:g}"})

    facts = {"network": network.config(), "faces": len(faces), "device": device}
    title = f"train-stylemap: {real_path(output).name}"
    with (
        reporting(output, title=title, config=asdict(plan), facts=facts) as refresh,
        training_display(settings) as show,
    ):

        def report(row: dict[str, float]) -> None:
            show("stylemap", int(row["step"]), plan.steps, row)
            refresh()
            if settings.json:
                settings.result(row, "")

        run_trainer(
            trainer,
            run,
            steps=plan.steps,
            snapshot=max(1, round(snapshot * 1000 / batch_size)),
            resume=resume,
            progress=report,
            kept=lambda: write(made),
            keep=keep,
            model=MADE,
        )
    page = output / "report.html"
    record = {"path": str(made), "kimg": trainer.kimg, "report": str(page)}
    settings.result(record, f"{made}, {page}")
