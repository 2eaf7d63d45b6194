"""The options by which `stylize` draws in the manner of any picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.cli.engines import EngineName
from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.cli.common import Settings
    from toonify.engines.base import Engine


REGIONS = ("person", "background", "face")

StyleImageOption = Annotated[
    list[Path],
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
    engine: EngineName,
    images: list[Path],
    alpha: float,
    preserve_color: bool,
    network: Path | None,
    weights: list[float] | None = None,
    region: str | None = None,
    segment: bool = False,
    max_size: int | None = None,
    landmarks: str = "auto",
) -> Engine:
    """The engine that these options describe.

    Raises:
        UsageError: options that don't go together.
        InputError: an unusable picture or mask.
        ModelError: no such network.
    """
    from toonify.engines.registry import load_engine

    if segment and engine is not EngineName.wct2:
        raise UsageError("--segment is of wct2", hint="Add --engine wct2, or take --region.")
    if engine is EngineName.wct2 and len(images) > 1:
        raise UsageError("wct2 takes one style picture", hint="Give one --style-image.")
    return load_engine(
        "wct2" if engine is EngineName.wct2 else "adain",
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
