"""`toonify train-stylemap`: StyleMapGAN on any folder of faces."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from toonify.cli.common import examples, note_others, settings_of
from toonify.cli.config_file import ConfigOption
from toonify.cli.live import KeepOption, steps_display
from toonify.cli.request import takes

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
    """The network that compares reconstructions."""

    alex = "alex"
    vgg = "vgg"


def _weight(term: str) -> Any:
    return typer.Option(min=0.0, help=f"Weight of {term}; 0 leaves it out.")


@dataclass(frozen=True, kw_only=True)
class StyleMapRequest:
    """The command line, an option each."""

    photos: Annotated[
        Path, typer.Option(help="Folder of photographs; the largest face of each is used.")
    ]
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")]
    aligned: Annotated[
        bool, typer.Option("--aligned", help="The photographs are FFHQ-aligned faces already.")
    ] = False
    size: Annotated[int, typer.Option(help="Side of the pictures, px: 64, 128, 256, 512.")] = 128
    map_size: Annotated[
        int,
        typer.Option(
            help="Side of the stylemap, 8, 16 or 32: larger ones reconstruct better and show"
            " seams sooner."
        ),
    ] = 16
    design: Annotated[
        Design,
        typer.Option(
            help="light: for a CPU. small and full: as published, 4 and 30 times as large."
        ),
    ] = Design.light
    mapping: Annotated[
        bool,
        typer.Option(
            "--mapping/--no-mapping",
            help="Learn random faces too, as published. Without, the discriminator sees two faces'"
            " mixed stylemaps instead.",
        ),
    ] = False
    kimg: Annotated[
        float, typer.Option(min=0.001, help="Thousand faces to show; the rate falls over them.")
    ] = 20.0
    batch_size: Annotated[int, typer.Option(min=2, help="Faces a step.")] = 4
    lr: Annotated[float, typer.Option(min=0.0, help="Adam's rate, of generator and encoder.")] = (
        5e-3
    )
    discriminator_lr: Annotated[float, typer.Option(min=0.0, help="Of the discriminator.")] = 2e-3
    beta1: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="Adam's, of generator and encoder.")
    ] = 0.9
    adversarial_from: Annotated[
        float,
        typer.Option(min=0.0, help="Thousand faces after which the discriminator takes part."),
    ] = 0.0
    adversarial: Annotated[float, _weight("both adversarial losses")] = 0.1
    latent: Annotated[float, _weight("the stylemap's squared error, of sampled pictures")] = 1.0
    l2: Annotated[float, _weight("the reconstruction's squared error")] = 4.0
    lpips: Annotated[float, _weight("its LPIPS")] = 1.0
    lpips_net: Annotated[
        LPIPSNet, typer.Option(help="What LPIPS is measured by; vgg as published.")
    ] = LPIPSNet.alex
    r1_gamma: Annotated[float, _weight("R1, every 16 steps")] = 10.0
    augment: Annotated[
        bool,
        typer.Option("--augment", help="Vary exposure and color, for faces from one generator."),
    ] = False
    snapshot: Annotated[
        float, typer.Option(min=0.001, help="Thousand faces between snapshots.")
    ] = 1.0
    keep: KeepOption = 10
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last snapshot in the folder.")
    ] = False
    config: ConfigOption = None


@takes(StyleMapRequest)
def train_stylemap(ctx: typer.Context, request: StyleMapRequest) -> None:
    """Train StyleMapGAN (arXiv 2104.14754): generator, encoder and discriminator together.

    stylemap.safetensors in the run's folder is their running average, for `local-edit --network`.
    Published weights of all losses are 1. Ctrl-C finishes the step and keeps a snapshot.
    """
    from toonify.training.stylemap.job import StyleMapJob
    from toonify.training.stylemap.job import train_stylemap as train
    from toonify.training.stylemap.step import StyleMapConfig, StyleMapWeights

    settings = settings_of(ctx)
    job = StyleMapJob(
        photos=request.photos,
        output=request.output,
        aligned=request.aligned,
        size=request.size,
        map_size=request.map_size,
        design=request.design.value,
        mapping=request.mapping,
        lpips_net=request.lpips_net.value,
        config=StyleMapConfig(
            steps=max(1, round(request.kimg * 1000 / request.batch_size)),
            batch_size=request.batch_size,
            lr=request.lr,
            discriminator_lr=request.discriminator_lr,
            beta1=request.beta1,
            weights=StyleMapWeights(
                adversarial=request.adversarial,
                latent=request.latent,
                l2=request.l2,
                lpips=request.lpips,
            ),
            r1_gamma=request.r1_gamma,
            adversarial_from=round(request.adversarial_from * 1000 / request.batch_size),
            augment=request.augment,
            seed=settings.seed,
        ),
        snapshot=max(1, round(request.snapshot * 1000 / request.batch_size)),
        keep=request.keep,
        resume=request.resume,
    )
    job.check()
    note_others(request.photos)
    done = train(
        job,
        device=settings.device,
        dtype=settings.dtype,
        display=partial(steps_display, settings, "stylemap"),
        progress=settings.progress,
    )
    record = {"path": str(done.network), "kimg": done.kimg, "report": str(done.report)}
    settings.result(record, f"{done.network}, {done.report}")
