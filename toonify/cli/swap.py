"""`toonify swap`: coarse layers of one generator, fine layers of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toonify.bundle import locate, model_files
from toonify.cli.common import complain, examples, make_parent, settings_of
from toonify.errors import UsageError
from toonify.utils.outputs import InputFiles, check_output

EPILOG = examples(
    "toonify swap ffhq-mobile runs/cast/generator.safetensors -o swapped.safetensors",
    "toonify swap stylegan2-ffhq toon.pt -o swapped.safetensors --resolution 64",
    "toonify swap ffhq-mobile toon.safetensors -o soft.safetensors --resolution 32 --blend 0.5",
)


def swap(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="Face generator: gives the coarse layers.")],
    toon: Annotated[str, typer.Argument(help="Its fine-tuned copy: gives the fine layers.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Generator to write.")],
    resolution: Annotated[
        int, typer.Option(help="First resolution taken from the fine-tuned copy.")
    ] = 32,
    blend: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Change gradually, over so many doublings of the resolution on either side"
            " (a logistic curve: at the width 0.5 the layers at --resolution are 73 % the copy's,"
            " those below it 27 %); 0 changes at once.",
        ),
    ] = 0.0,
) -> None:
    """Swap layers of two generators.

    Poses and shapes come from the face generator, looks from its fine-tuned copy. The mapping
    network and the average latent are the face generator's. What is odd about the two is reported.
    """
    from toonify.checkpoints import generator_hash, load_generator, save_generator
    from toonify.models.layer_swap import compare_parents, layer_swap, toon_share

    if output.suffix != ".safetensors":
        raise UsageError(f"a generator is written as .safetensors, not {output}", hint="Rename it.")
    check_output(output, InputFiles(model_files(source, toon)), named=True)
    parents = [load_generator(locate(name, "generator")) for name in (source, toon)]
    swapped = layer_swap(*parents, resolution=resolution, blend=blend)
    notes = compare_parents(*parents)
    make_parent(output)
    made_from = {"source": source, "toon": toon, "swap_resolution": str(resolution)}
    line = f"{output}: {source} below {resolution}, {toon} from there"
    record: dict[str, object] = {"path": str(output), "notes": notes}
    if blend:
        made_from["swap_blend"] = f"{blend:g}"
        sizes = sorted({layer.resolution for layer in swapped.layers})
        shares = {size: round(toon_share(size, resolution, blend), 3) for size in sizes}
        record["toon_shares"] = shares
        listed = ", ".join(f"{share:.0%} at {size}" for size, share in shares.items())
        line = f"{output}: {source}, and of {toon} {listed}"
    save_generator(swapped, output, metadata=made_from)
    record["generator_hash"] = generator_hash(swapped)  # type: ignore[arg-type]
    settings = settings_of(ctx)
    if not settings.quiet:
        for note in notes:
            complain(f"note: {note}")
    settings.result(record | made_from, line)
