"""`toonify lut`: look at and edit character tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.bundle import bundle_folder, part_path, read_manifest
from toonify.cli.common import examples, make_parent, settings_of
from toonify.errors import UsageError
from toonify.utils.outputs import InputFiles, check_output

if TYPE_CHECKING:
    from toonify.lut import CharacterTable

app = typer.Typer(
    name="lut",
    help="Character tables: list, show, merge, remove.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Table = Annotated[
    str, typer.Option("--table", help="A table (.safetensors), or a bundle's name or folder.")
]


def table_path(table: str) -> Path:
    """File of a table, given itself or the bundle it is part of."""
    if Path(table).is_file() or table.endswith(".safetensors"):
        return Path(table)
    folder = bundle_folder(table)
    return part_path(folder, read_manifest(folder), "characters")


def load_table(table: str) -> CharacterTable:
    """The table at a file or of a bundle."""
    from toonify.lut import CharacterTable

    return CharacterTable.load(table_path(table))


@app.command("list", epilog=examples("toonify lut list", "toonify lut list --table my.safetensors"))
def list_characters(ctx: typer.Context, table: Table = "default") -> None:
    """List a table's characters."""
    settings = settings_of(ctx)
    for character in load_table(table):
        record = {"name": character.name, "k": character.k, "provenance": character.provenance}
        settings.result(record, f"{character.name:<20}{character.k:>3} drawings")


@app.command(
    epilog=examples(
        "toonify lut show", "toonify lut show mina -o mina.png", "toonify lut show -o all.png"
    )
)
def show(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Characters; all when left out.")
    ] = None,
    table: Table = "default",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the previews to this picture.")
    ] = None,
) -> None:
    """Show where characters come from, and their previews."""
    from toonify.media.images import write_image
    from toonify.reports.sheet import preview_sheet

    settings = settings_of(ctx)
    loaded = load_table(table)
    chosen = [loaded[name] for name in names or loaded.names]
    if output:
        previews = [(item.name, item.preview) for item in chosen if item.preview is not None]
        if not previews:
            raise UsageError("these characters have no previews", hint="Leave -o out.")
        check_output(output, InputFiles([table_path(table)]), named=True)
        write_image(output, preview_sheet(previews))
    for item in chosen:
        record = {
            "name": item.name,
            "k": item.k,
            "w_plus": list(item.w_plus.shape),
            "generator": loaded.generator_hash,
            "provenance": item.provenance,
        }
        lines = [item.name, f"  generator: {loaded.generator_hash[:12]}", f"  k: {item.k}"]
        lines += [f"  {key}: {value}" for key, value in item.provenance.items() if key != "k"]
        settings.result(record, "\n".join(lines))


@app.command(epilog=examples("toonify lut merge a.safetensors b.safetensors -o both.safetensors"))
def merge(
    ctx: typer.Context,
    tables: Annotated[list[str], typer.Argument(help="Tables or bundles of one generator.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Table to write.")],
) -> None:
    """Put several tables into one; of equal names the last one stays."""
    check_output(output, InputFiles([table_path(table) for table in tables]), named=True)
    merged = load_table(tables[0])
    for other in tables[1:]:
        merged.merge(load_table(other))
    save_table(merged, output)
    record = {"path": str(output), "characters": list(merged.names)}
    settings_of(ctx).result(record, f"{output}: {', '.join(merged.names)}")


@app.command(
    epilog=examples(
        "toonify lut remove mina --table my.safetensors",
        "toonify lut remove mina -o without-mina.safetensors",
    )
)
def remove(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(help="Characters to take out.")],
    table: Table = "default",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Table to write; the same one when left out."),
    ] = None,
) -> None:
    """Take characters out of a table."""
    path = table_path(table)
    if output is None and (path.parent / "manifest.json").exists():
        raise UsageError(
            f"{path} belongs to a bundle, whose manifest has its hash", hint="Give -o FILE."
        )
    if output is not None:
        check_output(output, InputFiles([path]), named=True)
    loaded = load_table(table)
    for name in names:
        loaded.remove(name)
    target = output or path
    save_table(loaded, target)
    record = {"path": str(target), "characters": list(loaded.names)}
    settings_of(ctx).result(record, f"{target}: {', '.join(loaded.names) or 'empty'}")


def save_table(table: CharacterTable, path: Path) -> None:
    """Write a table, its folder made first.

    Raises:
        UsageError: not a .safetensors path.
        InputError: it can't be written.
    """
    if path.suffix != ".safetensors":
        raise UsageError(f"a table is a .safetensors file, not {path}", hint="Rename it.")
    make_parent(path)
    table.save(path)
