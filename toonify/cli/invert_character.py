"""`toonify invert-character`: one character's averaged latent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.bundle import model_files
from toonify.cli.common import complain, examples, note_others, settings_of
from toonify.cli.live import training_display
from toonify.cli.lut import save_table
from toonify.cli.projecting import (
    BatchOption,
    EncoderOption,
    GeneratorOption,
    KOption,
    LrOption,
    NoiseOption,
    PatienceOption,
    StartOption,
    StepsOption,
    projector_options,
)
from toonify.errors import UsageError
from toonify.utils.links import real_path
from toonify.utils.outputs import InputFiles, check_output

if TYPE_CHECKING:
    pass

EPILOG = examples(
    "toonify invert-character drawings/mina --generator swapped.safetensors -o cast.safetensors",
    "toonify invert-character a.png b.png --name otto --generator my-bundle -o otto.safetensors",
    "toonify invert-character drawings/mina --generator swapped.safetensors --encoder default"
    " --start both -o cast.safetensors",
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
    start: StartOption = None,
    k: KOption = 50,
    steps: StepsOption = 300,
    batch_size: BatchOption = 8,
    lr: LrOption = 0.25,
    patience: PatienceOption = 50,
    noise: NoiseOption = True,
) -> None:
    """Average the latents of a character's drawings.

    Each drawing is projected into the generator first. The projections are kept in
    OUT.inversions, with every drawing's loss (NAME.json) and reconstruction (NAME.png).
    """
    from toonify.checkpoints import generator_hash
    from toonify.lut import CharacterTable, check_name
    from toonify.training.characters.build import make_character, provenance_of, store_of
    from toonify.training.characters.jobs import project_drawings
    from toonify.training.characters.projecting import read_drawings

    settings = settings_of(ctx)
    note_others(*images)
    if name is None and not (len(images) == 1 and images[0].is_dir()):
        raise UsageError("single drawings have no character's name", hint="Add --name NAME.")
    name = name or real_path(images[0]).name
    check_name(name)
    options = projector_options(
        settings,
        generator=generator,
        encoder=encoder,
        start=start,
        k=k,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        patience=patience,
        noise=noise,
    )
    check_output(output, InputFiles([*images, *model_files(generator, encoder)]), named=True)
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
    opening = projector.loss.source
    with training_display(settings, unit="projections", opening=opening) as show:

        def report(who: str, done: int, of: int, step: int, steps: int, loss: float) -> None:
            now = done + (step + 1) / steps * min(batch_size, of - done)
            show(who, round(now), of, {"loss": loss})

        stored, fresh = project_drawings(
            projector, name, drawings, store, identity=identity, progress=report
        )
    about = provenance_of(stored, steps=steps, skipped=len(drawings.skipped))
    count = len(stored.latents)
    table.add(make_character(name, stored.w_plus(), count, projector.generator, about))
    save_table(table, output)
    losses = {n: round(float(v), 5) for n, v in zip(stored.names, stored.losses, strict=True)}
    sheet = store / f"{name}.png"
    record = {"path": str(output), "name": name, "k": count, "reused": not fresh}
    record |= {**about, "losses": losses, "sheet": str(sheet)}
    line = f"{output}: {name}, {count} drawings, mean loss {about['mean_loss']}"
    settings.result(record, f"{line}; {sheet}")
