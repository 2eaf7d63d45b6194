"""`toonify train-style`: a network of style transfer from two folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from toonify.cli.common import examples, settings_of
from toonify.cli.config_file import ConfigOption

EPILOG = examples(
    "toonify train-style --content photos/ --style paintings/ -o runs/style",
    "toonify train-style --content photos/ --style paintings/ --encoder adain/ -o runs/style"
    " --resume",
    "toonify train-style --content photos/ --style paintings/ --compact -o runs/small",
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
    compact: Annotated[
        bool,
        typer.Option(
            "--compact",
            help="Train a small network whole, that takes a style's statistics at every layer:"
            " the bundle's kind, quick to learn and to draw.",
        ),
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, show_default="160000; 4000 with --compact")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Pairs a step.", show_default="8; 3 with --compact"),
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(min=32, help="Side of the crops, px.", show_default="256; 160 with --compact"),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="Adam's peak rate.", show_default="1e-4; 1e-3 with --compact"),
    ] = None,
    style_weight: Annotated[
        float | None,
        typer.Option(help="Of the style loss.", show_default="10; 3 with --compact"),
    ] = None,
    snapshot: Annotated[int, typer.Option(min=1, help="Steps between snapshots.")] = 1000,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run.")] = False,
    config: ConfigOption = None,
) -> None:
    """Train AdaIN's decoder (arXiv 1703.06868), or a small network, on any photos and pictures.

    style.safetensors in the run's folder is written at every snapshot, for --style-network.
    """
    from toonify.training.style_transfer.decoder import StyleTrainSettings
    from toonify.training.style_transfer.job import train_style_network
    from toonify.training.style_transfer.layerwise import LayerwiseSettings

    settings = settings_of(ctx)
    given: dict[str, Any] = {
        "steps": steps,
        "batch_size": batch_size,
        "crop": crop,
        "lr": lr,
        "style_weight": style_weight,
    }
    kind = LayerwiseSettings if compact else StyleTrainSettings
    chosen = kind(
        seed=settings.seed, **{name: value for name, value in given.items() if value is not None}
    )
    with settings.progress("steps") as bar:
        done = train_style_network(
            content,
            style,
            output,
            settings=chosen,
            encoder=encoder,
            snapshot=snapshot,
            resume=resume,
            device=settings.device,
            progress=lambda row: bar(int(row["step"]), chosen.steps),
        )
    record = {"output": str(done.network), "steps": done.steps}
    settings.result(record, f"{done.steps} steps -> {done.network}")
