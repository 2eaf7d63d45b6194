"""`toonify swap`: coarse layers of one generator, fine layers of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.common import examples, make_parent, settings_of
from toonify.errors import UsageError

EPILOG = examples(
    "toonify swap ffhq-mobile runs/cast/generator.safetensors -o swapped.safetensors",
    "toonify swap stylegan2-ffhq toon.pt -o swapped.safetensors --resolution 64",
)


def swap(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="Face generator: gives the coarse layers.")],
    toon: Annotated[str, typer.Argument(help="Its fine-tuned copy: gives the fine layers.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Generator to write.")],
    resolution: Annotated[
        int, typer.Option(help="First resolution taken from the fine-tuned copy.")
    ] = 32,
) -> None:
    """Swap layers of two generators.

    Poses and shapes come from the face generator, looks from its fine-tuned copy.
    """
    from toonify.bundle_writing import locate
    from toonify.checkpoints import generator_hash, load_generator, save_generator
    from toonify.training.swap import layer_swap

    if output.suffix != ".safetensors":
        raise UsageError(f"a generator is written as .safetensors, not {output}", mend="Rename it.")
    parents = [load_generator(locate(name, "generator")) for name in (source, toon)]
    swapped = layer_swap(*parents, resolution=resolution)
    make_parent(output)
    made_from = {"source": source, "toon": toon, "swap_resolution": str(resolution)}
    save_generator(swapped, output, metadata=made_from)
    digest = generator_hash(swapped)  # type: ignore[arg-type]
    record = {"path": str(output), "generator_hash": digest} | made_from
    settings_of(ctx).result(record, f"{output}: {source} below {resolution}, {toon} from there")
