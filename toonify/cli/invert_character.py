"""`toonify invert-character`: one character's averaged code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from torch import Tensor

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
    from toonify.checkpoints import generator_hash
    from toonify.cli.lut import save_table
    from toonify.lut import CharacterTable
    from toonify.training.projection import invert_character as invert
    from toonify.training.table import make_character

    settings = settings_of(ctx)
    if name is None and not (len(images) == 1 and images[0].is_dir()):
        raise UsageError("single drawings have no character's name", mend="Add --name NAME.")
    projector = load_projector(settings, generator, encoder, steps, batch_size)
    identity = generator_hash(projector.generator)  # type: ignore[arg-type]
    table = CharacterTable(generator_hash=identity)
    if output.exists():
        table = CharacterTable.load(output)
        table.check(identity)
    drawings = read_drawings(images, projector.generator.resolution)
    with settings.progress(name or "projecting") as progress:
        inversion = invert(
            drawings,
            projector.generator,
            loss=projector.loss,
            k=k,
            settings=projector.settings,
            encoder=projector.encode,
            progress=lambda done, step, of, loss: progress(
                done * of + step * batch_size, len(drawings[:k]) * of
            ),
        )
    provenance = {
        "drawings": len(inversion.codes),
        "mean_loss": round(float(inversion.losses.mean()), 4),
        "steps": steps,
        "started_from": "average" if encoder is None else "encoder",
    }
    character = make_character(
        name or images[0].resolve().name,
        inversion.w_plus,
        len(inversion.codes),
        projector.generator,
        provenance,
    )
    table.add(character)
    save_table(table, output)
    record = {"path": str(output), "name": character.name, "k": character.k} | provenance
    line = f"{output}: {character.name}, {character.k} drawings"
    settings.result(record, f"{line}, mean loss {provenance['mean_loss']}")


def read_drawings(paths: list[Path], size: int) -> Tensor:
    """A folder's drawings, or single files, as (N, 3, size, size) uint8."""
    import torch

    from toonify.media.images import read_image
    from toonify.training.data import load_drawings, prepare

    if len(paths) == 1 and paths[0].is_dir():
        return load_drawings(paths[0], size).images
    arrays = []
    for path in paths:
        image = read_image(path)
        arrays.append(torch.tensor(prepare(image.rgb, image.alpha, size)).permute(2, 0, 1))
    return torch.stack(arrays)
