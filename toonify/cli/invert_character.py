"""`toonify invert-character`: one character's averaged code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.common import examples, settings_of
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
    "toonify invert-character drawings/mina --generator swapped.safetensors -o cast.safetensors",
    "toonify invert-character a.png b.png --name otto --generator my-bundle -o otto.safetensors",
)


def invert_character(
    ctx: typer.Context,
    images: Annotated[list[Path], typer.Argument(help="A folder of drawings, or drawings.")],
    generator: GeneratorOption,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Table to write; the character joins one there."),
    ],
    name: Annotated[
        str | None, typer.Option(help="Character's name; the folder's when left out.")
    ] = None,
    encoder: EncoderOption = None,
    k: KOption = 50,
    steps: StepsOption = 300,
    batch_size: BatchOption = 8,
) -> None:
    """Average the codes of a character's drawings.

    Each drawing is projected into the generator first.
    """
    from toonify.cli.lut import save_table
    from toonify.training.tables import check_name, gather_drawings, open_table

    settings = settings_of(ctx)
    if name is None and not (len(images) == 1 and images[0].is_dir()):
        raise UsageError("single drawings have no character's name", mend="Add --name NAME.")
    chosen = check_name(name or images[0].resolve().name)
    projector = load_projector(settings, generator, encoder, k, steps, batch_size)
    table = open_table(output, projector.generator)
    drawings = gather_drawings(images, projector.generator.resolution)
    with settings.progress(chosen) as progress:
        character = projector.character(chosen, drawings, progress)
    table.add(character)
    save_table(table, output)
    record = {"path": str(output), "name": chosen, "k": character.k} | character.provenance
    loss = character.provenance["loss_mean"]
    settings.result(record, f"{output}: {chosen}, {character.k} drawings, mean loss {loss}")
