"""`toonify build-lut`: a folder of folders of drawings → a character table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.common import complain, examples, settings_of
from toonify.cli.projecting import (
    BatchOption,
    EncoderOption,
    GeneratorOption,
    KOption,
    StepsOption,
    load_projector,
)
from toonify.errors import ToonifyError

EPILOG = examples(
    "toonify build-lut drawings/ --generator swapped.safetensors -o cast.safetensors",
    "toonify build-lut drawings/ --generator swapped.safetensors --encoder default"
    " --workers 4 -o cast.safetensors",
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
    workers: Annotated[int, typer.Option(min=1, help="Characters projected side by side.")] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Project again what is up to date.")
    ] = False,
) -> None:
    """Build a table of characters.

    Projects every character's drawings and writes their table and a sheet of previews.

    The table is saved after every character; run again, the command adds what is new, replaces
    what changed and leaves the rest. The previews are beside the table, as a .png.
    """
    from toonify.cli.lut import save_table
    from toonify.media.images import write_image
    from toonify.sheet import preview_sheet
    from toonify.training.tables import build_table, character_folders, open_table

    settings = settings_of(ctx)
    folders = character_folders(folder)
    projector = load_projector(settings, generator, encoder, k, steps, batch_size)
    table = open_table(output, projector.generator)
    failed = 0
    with settings.progress("projecting") as progress:
        built = build_table(
            folders, table, projector, workers=workers, force=force, progress=progress
        )
        for path, character in built:
            if isinstance(character, ToonifyError):
                failed += 1
                complain(f"{path.name}: {character}")
                settings_record = {"name": path.name, "status": "failed", "error": str(character)}
                if settings.json:
                    settings.result(settings_record, "")
            elif character is None:
                settings.result({"name": path.name, "status": "current"}, f"{path.name}: current")
            else:
                save_table(table, output)
                record = {"name": path.name, "status": "ok"} | character.provenance
                loss = character.provenance["loss_mean"]
                line = f"{path.name}: {character.k} drawings, mean loss {loss}"
                settings.result(record, line)
    previews = [(item.name, item.preview) for item in table if item.preview is not None]
    if previews:
        write_image(output.with_suffix(".png"), preview_sheet(previews))
    raise typer.Exit(1 if failed else 0)
