"""`toonify build-lut`: a folder of folders of drawings → a character table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from toonify.bundle import model_files
from toonify.cli.common import (
    complain,
    examples,
    make_parent,
    note_others,
    settings_of,
)
from toonify.cli.projecting import ProjectionRequest
from toonify.cli.request import takes
from toonify.errors import UsageError
from toonify.utils.outputs import InputFiles, check_output

EPILOG = examples(
    "toonify build-lut drawings/ --generator swapped.safetensors -o cast.safetensors",
    "toonify build-lut drawings/ --generator swapped.safetensors --encoder default --k 20"
    " -o cast.safetensors",
    "toonify build-lut drawings/ --generator swapped.safetensors --encoder default --start both"
    " --photos people/ --workers 2 -o cast.safetensors",
)


@dataclass(frozen=True, kw_only=True)
class TableRequest(ProjectionRequest):
    """The command line, an option each."""

    folder: Annotated[Path, typer.Argument(help="One sub-folder of drawings a character.")]
    only: Annotated[
        list[str] | None, typer.Option(help="Build this character alone; may be repeated.")
    ] = None
    photos: Annotated[
        Path | None,
        typer.Option(
            help="Photos of people: the sheets show the first three as each character (needs"
            " --encoder). Without it they show faces sampled from the generator."
        ),
    ] = None
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes that project different characters at once; each has its own copy of"
            " the networks, on the CPU its share of the cores.",
        ),
    ] = 1


@takes(TableRequest)
def build_lut(ctx: typer.Context, request: TableRequest) -> None:
    """Build a table of characters.

    Projects every character's drawings, averages their latents and writes the table, with sheets of
    all characters beside it (.png and .html). Finished characters are kept in OUT.inversions with
    each drawing's loss: run again, the command goes on where it stopped, adds what is new and
    replaces what changed.
    """
    from toonify.training.characters.build import build_table
    from toonify.training.characters.projecting import sample_photos
    from toonify.training.characters.sheet import sampled_faces

    settings = settings_of(ctx)
    if request.output.suffix != ".safetensors":
        raise UsageError(f"a table is a .safetensors file, not {request.output}", hint="Rename it.")
    reads = InputFiles(
        [request.folder, request.photos, *model_files(request.generator, request.encoder)]
    )
    check_output(request.output, reads, named=True)
    for suffix in (".png", ".html"):
        check_output(request.output.with_suffix(suffix), reads)
    note_others(request.folder, request.photos)
    options = request.options(settings)
    make_parent(request.output)
    projector = options.load()
    if request.photos is None:
        samples = sampled_faces(projector.generator, seed=settings.seed)
    else:
        samples = sample_photos(request.photos, projector)
    with request.display(settings, projector) as report:
        built = build_table(
            request.folder,
            projector.generator,
            request.output,
            loss=projector.loss,
            k=request.k,
            settings=projector.settings,
            encoder=projector.encoder,
            encoder_hash=projector.encoder_hash,
            start=projector.start,
            only=request.only or None,
            samples=samples,
            workers=request.workers,
            load=options.load,
            progress=report,
        )
    for file, reason in built.skipped:
        complain(f"{file} is left out: {reason}")
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
    page = built.sheet.with_suffix(".html")
    record = {"path": str(request.output), "sheet": str(built.sheet), "report": str(page)}
    settings.result(record, f"{request.output}, {built.sheet}, {page}")
    raise typer.Exit(1 if built.failed else 0)
