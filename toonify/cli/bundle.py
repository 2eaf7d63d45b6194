"""`toonify bundle`: put a generator, an encoder and a table into one folder to ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.common import examples, settings_of
from toonify.errors import UsageError

EPILOG = examples(
    "toonify bundle --generator swapped.safetensors --table cast.safetensors -o my-bundle",
    "toonify stylize me.jpg -o toon.png --bundle my-bundle",
)


def bundle(
    ctx: typer.Context,
    generator: Annotated[Path, typer.Option(help="Layer-swapped generator.")],
    table: Annotated[Path, typer.Option(help="Character table made with it.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="New folder.")],
    encoder: Annotated[
        str, typer.Option(help="Encoder's checkpoint, or a bundle whose encoder is taken.")
    ] = "default",
    licence: Annotated[str, typer.Option(help="Licence to note in the manifest.")] = "unknown",
) -> None:
    """Put a bundle together to ship.

    The parts are checked against each other first. `stylize --bundle FOLDER` then runs on it.
    """
    from toonify.bundle_writing import write_bundle

    if output.exists() and any(output.iterdir() if output.is_dir() else [output]):
        raise UsageError(f"{output} exists already", mend="Choose another -o.")
    names = write_bundle(output, generator=generator, encoder=encoder, table=table, licence=licence)
    record = {"path": str(output), "characters": list(names)}
    settings_of(ctx).result(record, f"{output}: {', '.join(names)}")
