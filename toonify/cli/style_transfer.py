"""The options by which `stylize` draws in the manner of any picture."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.errors import ModelError, UsageError

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
    from toonify.checkpoints.style_networks import PARTS, load_style_network
    from toonify.device import pick_device
    from toonify.engines.regions import person_labels, region_mask
    from toonify.engines.style_transfer import StyleTransferEngine
    from toonify.media.images import read_image
    from toonify.utils.hashing import file_sha256

    if weights and len(weights) != len(images):
        raise UsageError(
            f"{len(weights)} weights for {len(images)} style pictures", hint="Give one each."
        )
    if weights and not sum(weights) > 0:
        raise UsageError("all weights are 0", hint="Give one that isn't.")
    kind = engine or TransferKind.adain
    if kind is TransferKind.wct2 and len(images) > 1:
        raise UsageError("wct2 takes one style picture", hint="Give one --style-image.")
    if segment and kind is not TransferKind.wct2:
        raise UsageError("--segment is of wct2", hint="Add --engine wct2, or take --region.")
    styles = [read_image(path).rgb for path in images]
    path = network or _part(bundle, PARTS[kind.value])
    loaded = load_style_network(path)
    made = StyleTransferEngine(
        loaded,
        styles,
        shares=weights,
        alpha=alpha,
        preserve_color=preserve_color,
        region=region_mask(region, bundle, landmarks=landmarks) if region else None,
        labels=person_labels(bundle) if segment else None,
        max_size=max_size,
        device=pick_device(settings.device),
        about={
            "network": file_sha256(path) if path.is_file() else str(path.resolve()),
            "styles": [file_sha256(image) for image in images],
            "region": region,
        },
    )
    if made.kind != kind.value:
        raise ModelError(f"{path} is a network for --engine {made.kind}", hint="Name that engine.")
    return made


def _part(bundle: str, part: str) -> Path:
    from toonify.bundle import bundle_folder, check_part, part_path, read_manifest

    folder = bundle_folder(bundle)
    manifest = read_manifest(folder)
    if part not in (manifest.get("files") or {}):
        raise ModelError(
            f"the bundle {bundle} has no network for style pictures",
            hint="Leave --bundle out, or give --style-network.",
        )
    check_part(folder, manifest, part)
    return part_path(folder, manifest, part)
