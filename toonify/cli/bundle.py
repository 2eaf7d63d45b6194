"""`toonify bundle`: put a generator, an encoder and a table into one folder to ship."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from toonify.bundle import write_bundle
from toonify.cli.common import examples, settings_of
from toonify.cli.request import takes
from toonify.errors import UsageError

EPILOG = examples(
    "toonify bundle --generator swapped.safetensors --table cast.safetensors -o my-bundle",
    "toonify stylize me.jpg -o toon.png --bundle my-bundle",
)


@dataclass(frozen=True, kw_only=True)
class BundleRequest:
    """The command line, an option each."""

    generator: Annotated[Path, typer.Option(help="Layer-swapped generator.")]
    table: Annotated[Path, typer.Option(help="Character table made with it.")]
    output: Annotated[Path, typer.Option("-o", "--output", help="New folder.")]
    encoder: Annotated[
        str, typer.Option(help="Encoder's checkpoint, or a bundle whose encoder is taken.")
    ] = "default"
    frame_generator: Annotated[
        Path | None, typer.Option(help="Of whole frames: StyleGAN2 that draws the characters.")
    ] = None
    frame_encoder: Annotated[
        Path | None, typer.Option(help="Its encoder, of `train-encoder --task video-toonify`.")
    ] = None
    inversion_generator: Annotated[
        Path | None, typer.Option(help="StyleGAN2 of faces, for `invert` and `edit`.")
    ] = None
    inversion_encoder: Annotated[
        Path | None, typer.Option(help="Its encoder, of `train-encoder --task inversion`.")
    ] = None
    hfgi: Annotated[
        Path | None,
        typer.Option(help="What keeps details in inversions, of `train-encoder --task hfgi`."),
    ] = None
    drawing_encoder: Annotated[
        Path | None,
        typer.Option(help="What reads sketches and masks, of `train-encoder --task drawing`."),
    ] = None
    restoration: Annotated[
        Path | None,
        typer.Option(help="What enlarges small faces, of the inversion generator."),
    ] = None
    fusion: Annotated[
        Path | None,
        typer.Option(
            help="What keeps backgrounds behind edited heads, of `train-encoder --task fusion`."
        ),
    ] = None
    style_network: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="A style and the network that draws it, of `finetune --objective pix2pix`; repeat"
            " it for several.",
        ),
    ] = None
    stylemap: Annotated[
        Path | None,
        typer.Option(help="What `local-edit` mixes faces by, of `train-stylemap`."),
    ] = None
    license: Annotated[
        str, typer.Option("--license", "--licence", help="License to note in the manifest.")
    ] = "unknown"


@takes(BundleRequest)
def bundle(ctx: typer.Context, request: BundleRequest) -> None:
    """Put a bundle together to ship.

    The parts are checked against each other first. `stylize --bundle FOLDER` then runs on it.
    """
    if request.output.is_symlink() and not request.output.exists():
        raise UsageError(
            f"{request.output} is a link that leads nowhere", hint="Choose another -o."
        )
    if request.output.exists() and any(
        request.output.iterdir() if request.output.is_dir() else [request.output]
    ):
        raise UsageError(f"{request.output} exists already", hint="Choose another -o.")
    given: dict[str, Path | None] = {
        "frame_generator": request.frame_generator,
        "frame_encoder": request.frame_encoder,
        "inversion_generator": request.inversion_generator,
        "inversion_encoder": request.inversion_encoder,
        "hfgi": request.hfgi,
        "drawing_encoder": request.drawing_encoder,
        "fusion": request.fusion,
        "restoration": request.restoration,
        "stylemap": request.stylemap,
    }
    for kind in ("frame", "inversion"):
        if (given[f"{kind}_generator"] is None) != (given[f"{kind}_encoder"] is None):
            raise UsageError(
                f"--{kind}-generator and --{kind}-encoder go together", hint="Give both."
            )
    for part in ("hfgi", "fusion", "drawing_encoder", "restoration"):
        if given[part] is not None and request.inversion_generator is None:
            raise UsageError(
                f"--{part.replace('_', '-')} is of one inversion generator",
                hint="Give --inversion-generator too.",
            )
    given |= _style_networks(request.style_network or [])
    names = write_bundle(
        request.output,
        generator=request.generator,
        encoder=request.encoder,
        table=request.table,
        license=request.license,
        extras={part: path for part, path in given.items() if path is not None},
    )
    record = {"path": str(request.output), "characters": list(names)}
    settings_of(ctx).result(record, f"{request.output}: {', '.join(names)}")


def _style_networks(entries: list[str]) -> dict[str, Path | None]:
    """Parts of a bundle by what --style-network says."""
    from toonify.portrait.catalog import network_part

    parts: dict[str, Path | None] = {}
    for entry in entries:
        name, _, file = entry.partition("=")
        if not name.isidentifier() or not file:
            raise UsageError(
                f"--style-network {entry!r} is no NAME=FILE",
                hint="Give studio=runs/studio/style.safetensors, a name of letters and digits.",
            )
        if network_part(name) in parts:
            raise UsageError(f"--style-network names {name} twice", hint="Leave one out.")
        parts[network_part(name)] = Path(file)
    return parts
