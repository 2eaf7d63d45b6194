"""The options by which `stylize` draws in the manner of any picture."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.cli.common import Settings
    from toonify.engines.style_transfer import StyleTransferEngine


class TransferKind(StrEnum):
    """What draws in the manner of a picture."""

    adain = "adain"
    wct2 = "wct2"


REGIONS = ("person", "background", "face")

EngineOption = Annotated[
    TransferKind | None,
    typer.Option(
        "--engine",
        help="adain draws in the manner of --style-image; wct2 takes a photo's colors and light"
        " over and keeps every edge.",
        show_default="adain with --style-image",
    ),
]
StyleImageOption = Annotated[
    list[Path] | None,
    typer.Option(help="Picture whose manner or mood is taken; adain mixes several."),
]
StyleWeightOption = Annotated[
    list[float] | None,
    typer.Option(min=0.0, help="Share of each --style-image, in their order. Default: equal."),
]
AlphaOption = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="How much of the --style-image's manner.")
]
PreserveColorOption = Annotated[
    bool, typer.Option("--preserve-color", help="Keep the photo's colors, take the manner alone.")
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        help="Where the --style-image acts: person, background, face, or a picture, white where.",
        show_default="everywhere",
    ),
]
SegmentOption = Annotated[
    bool,
    typer.Option("--segment", help="With wct2: person to person, background to background."),
]
StyleNetworkOption = Annotated[
    Path | None,
    typer.Option(
        help="Network for --style-image: a file of `toonify train-style`, or a folder of published"
        " AdaIN or WCT2 weights.",
        show_default="the bundle's",
    ),
]


def refuse_transfer_options(**given: Any) -> None:
    """UsageError where options of style transfer are given without a picture."""
    for name, value in given.items():
        if value:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} is of a style picture", hint="Add --style-image PICTURE.")


def transfer_engine(
    settings: Settings,
    bundle: str,
    *,
    engine: TransferKind | None,
    images: list[Path],
    weights: list[float] | None,
    alpha: float,
    preserve_color: bool,
    region: str | None,
    segment: bool,
    network: Path | None,
    max_size: int | None,
    landmarks: str,
) -> StyleTransferEngine:
    """The engine that these options describe.

    Raises:
        UsageError: options that don't go together. InputError: an unusable picture or mask.
        ModelError: no such network.
    """
    from toonify.engines.registry import load_engine
    from toonify.engines.style_transfer import StyleTransferEngine

    if segment and engine is not TransferKind.wct2:
        raise UsageError("--segment is of wct2", hint="Add --engine wct2, or take --region.")
    if engine is TransferKind.wct2 and len(images) > 1:
        raise UsageError("wct2 takes one style picture", hint="Give one --style-image.")
    made = load_engine(
        (engine or TransferKind.adain).value,
        bundle,
        images=images,
        weights=weights,
        alpha=alpha,
        preserve_color=preserve_color,
        region=region,
        segment=segment,
        network=network,
        max_size=max_size,
        landmarks=landmarks,
        device=settings.device,
    )
    assert isinstance(made, StyleTransferEngine)
    return made
