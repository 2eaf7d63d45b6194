"""`toonify invert-character`: one character's averaged latent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from toonify.bundle import model_files
from toonify.cli.common import complain, examples, note_others, settings_of
from toonify.cli.lut import save_table
from toonify.cli.projecting import ProjectionRequest
from toonify.cli.request import takes
from toonify.errors import UsageError
from toonify.utils.links import real_path
from toonify.utils.outputs import InputFiles, check_output

EPILOG = examples(
    "toonify invert-character drawings/mina --generator swapped.safetensors -o cast.safetensors",
    "toonify invert-character a.png b.png --name otto --generator my-bundle -o otto.safetensors",
    "toonify invert-character drawings/mina --generator swapped.safetensors --encoder default"
    " --start both -o cast.safetensors",
)


@dataclass(frozen=True, kw_only=True)
class CharacterRequest(ProjectionRequest):
    """The command line, an option each."""

    images: Annotated[list[Path], typer.Argument(help="A folder of drawings, or drawings.")]
    name: Annotated[
        str | None, typer.Option(help="Character's name; the folder's when left out.")
    ] = None


@takes(CharacterRequest)
def invert_character(ctx: typer.Context, request: CharacterRequest) -> None:
    """Average the latents of a character's drawings.

    Each drawing is projected into the generator first. The projections are kept in
    OUT.inversions, with every drawing's loss (NAME.json) and reconstruction (NAME.png).
    """
    from toonify.checkpoints import generator_hash
    from toonify.lut import CharacterTable, check_name
    from toonify.training.characters.build import make_character, provenance_of, store_of
    from toonify.training.characters.jobs import project_drawings
    from toonify.training.characters.projecting import read_drawings

    settings, images, output = settings_of(ctx), request.images, request.output
    note_others(*images)
    if request.name is None and not (len(images) == 1 and images[0].is_dir()):
        raise UsageError("single drawings have no character's name", hint="Add --name NAME.")
    name = request.name or real_path(images[0]).name
    check_name(name)
    options = request.options(settings)
    reads = InputFiles([*images, *model_files(request.generator, request.encoder)])
    check_output(output, reads, named=True)
    projector = options.load()
    identity = generator_hash(projector.generator)  # type: ignore[arg-type]
    table = CharacterTable(generator_hash=identity)
    if output.exists():
        table = CharacterTable.load(output)
        table.check(identity)
    drawings = read_drawings(images, projector.generator.resolution)
    for file, reason in drawings.skipped:
        complain(f"{file} is left out: {reason}")
    store = store_of(output)
    with request.display(settings, projector) as report:
        stored, fresh = project_drawings(
            projector, name, drawings, store, identity=identity, progress=report
        )
    about = provenance_of(stored, steps=request.steps, skipped=len(drawings.skipped))
    count = len(stored.latents)
    table.add(make_character(name, stored.w_plus(), count, projector.generator, about))
    save_table(table, output)
    losses = {n: round(float(v), 5) for n, v in zip(stored.names, stored.losses, strict=True)}
    sheet = store / f"{name}.png"
    record = {"path": str(output), "name": name, "k": count, "reused": not fresh}
    record |= {**about, "losses": losses, "sheet": str(sheet)}
    line = f"{output}: {name}, {count} drawings, mean loss {about['mean_loss']}"
    settings.result(record, f"{line}; {sheet}")
