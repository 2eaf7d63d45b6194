"""`toonify train-style`: a decoder of style transfer from two folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.common import examples, settings_of
from toonify.cli.config_file import ConfigOption

EPILOG = examples(
    "toonify train-style --content photos/ --style paintings/ -o runs/style",
    "toonify train-style --content photos/ --style paintings/ --encoder adain/ -o runs/style"
    " --resume",
    "toonify stylize me.jpg -o painted.png --style-image painting.jpg"
    " --style-network runs/style/style.safetensors",
)


def train_style(
    ctx: typer.Context,
    *,
    content: Annotated[Path, typer.Option(help="Folder of photos.")],
    style: Annotated[Path, typer.Option(help="Folder of pictures whose manners are learnt.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    encoder: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the published vgg_normalised.pth.",
            show_default="VGG-16 as of LPIPS, normalized",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1)] = 160_000,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs a step.")] = 8,
    crop: Annotated[int, typer.Option(min=32, help="Side of the crops, px.")] = 256,
    lr: Annotated[float, typer.Option(help="Adam's peak rate.")] = 1e-4,
    style_weight: Annotated[float, typer.Option(help="Of the style loss.")] = 10.0,
    snapshot: Annotated[int, typer.Option(min=1, help="Steps between snapshots.")] = 1000,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run.")] = False,
    config: ConfigOption = None,
) -> None:
    """Train AdaIN's decoder (arXiv 1703.06868) on any photos and any pictures.

    style.safetensors in the run's folder is written at every snapshot, for --style-network.
    """
    from toonify.training.style_transfer import StyleTrainSettings
    from toonify.training.style_transfer_job import train_style_network

    settings = settings_of(ctx)
    with settings.progress("steps") as bar:
        done = train_style_network(
            content,
            style,
            output,
            settings=StyleTrainSettings(
                steps=steps,
                batch_size=batch_size,
                crop=crop,
                lr=lr,
                style_weight=style_weight,
                seed=settings.seed,
            ),
            encoder=encoder,
            snapshot=snapshot,
            resume=resume,
            device=settings.device,
            progress=lambda row: bar(int(row["step"]), steps),
        )
    record = {"output": str(done.network), "steps": done.steps}
    settings.result(record, f"{done.steps} steps -> {done.network}")
