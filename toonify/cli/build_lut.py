"""`toonify build-lut`: a folder of folders of drawings → a character table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.common import complain, examples, make_parent, settings_of
from toonify.cli.projecting import (
    BatchOption,
    EncoderOption,
    GeneratorOption,
    KOption,
    StepsOption,
    load_projector,
)
from toonify.errors import UsageError

EPILOG = examples(
    "toonify build-lut drawings/ --generator swapped.safetensors -o cast.safetensors",
    "toonify build-lut drawings/ --generator swapped.safetensors --encoder default --k 20"
    " -o cast.safetensors",
)


def build_lut(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="One sub-folder of drawings a character.")],
    generator: GeneratorOption,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Table to write, or to add to if it is there.")
    ],
    encoder: EncoderOption = None,
    k: KOption = 50,
    steps: StepsOption = 300,
    batch_size: BatchOption = 8,
    only: Annotated[
        list[str] | None, typer.Option(help="Build this character alone; may be repeated.")
    ] = None,
) -> None:
    """Build a table of characters.

    Projects every character's drawings, averages their codes and writes the table with a sheet
    of projections beside it (.png). Finished characters are kept in OUT.inversions: run again,
    the command goes on where it stopped, adds what is new and replaces what changed.
    """
    from toonify.training.table import build_table

    settings = settings_of(ctx)
    if output.suffix != ".safetensors":
        raise UsageError(f"a table is a .safetensors file, not {output}", mend="Rename it.")
    make_parent(output)
    projector = load_projector(settings, generator, encoder, steps, batch_size)
    with settings.progress("projecting") as progress:

        def report(name: str, done: int, of: int, step: int, steps: int, loss: float) -> None:
            progress(done * steps + step * min(batch_size, of - done), of * steps)

        built = build_table(
            folder,
            projector.generator,
            output,
            loss=projector.loss,
            k=k,
            settings=projector.settings,
            encoder=projector.encode,
            encoder_hash=projector.encoder_hash,
            only=only or None,
            progress=report,
        )
    for name in built.built + built.reused:
        character = built.table[name]
        status = "built" if name in built.built else "reused"
        record = {"name": name, "status": status, "k": character.k} | character.provenance
        loss = character.provenance["mean_loss"]
        settings.result(record, f"{name}: {character.k} drawings, mean loss {loss} ({status})")
    for name, reason in built.failed:
        complain(f"{name}: {reason}")
        if settings.json:
            settings.result({"name": name, "status": "failed", "error": reason}, "")
    settings.result({"path": str(output), "sheet": str(built.sheet)}, f"{output}, {built.sheet}")
    raise typer.Exit(1 if built.failed else 0)
