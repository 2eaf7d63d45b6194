"""`toonify align`: drawings brought to the framing that face generators know."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import complain, examples, note_others, settings_of
from toonify.cli.request import takes
from toonify.errors import InputError, ToonifyError, UsageError
from toonify.utils import atomic
from toonify.utils.atomic import writing
from toonify.utils.links import real_path
from toonify.utils.marks import CROP
from toonify.utils.outputs import InputFiles, check_output, is_ours

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EPILOG = examples(
    "toonify align drawings/ -o aligned/",
    "toonify align drawings/ -o aligned/ --size 256 --background '#bcd'",
    "toonify align drawings/ -o aligned/ --anchor eyes.json --overwrite",
)


@dataclass(frozen=True, kw_only=True)
class AlignRequest:
    """The command line, an option each."""

    drawings: Annotated[Path, typer.Argument(help="Folder of drawings, with its sub-folders.")]
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the crops; sub-folders are kept.")
    ]
    size: Annotated[int, typer.Option(min=32, max=2048, help="Side of the crops in px.")] = 512
    anchor: Annotated[
        Path | None,
        typer.Option(
            help="JSON file of eyes and mouths by hand: drawing, pattern or * to"
            ' {"eyes": [[x, y], [x, y]], "mouth": [x, y]}, in px or shares of width and height.'
        ),
    ] = None
    detect: Annotated[
        bool, typer.Option("--detect/--no-detect", help="Look for faces, or go by outlines alone.")
    ] = True
    background: Annotated[
        str, typer.Option(help="Color behind transparent drawings: a name or #rrggbb.")
    ] = "white"
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace crops that toonify made.")
    ] = False
    sheet: Annotated[
        Path | None,
        typer.Option(
            help="Contact sheet (PNG) of all crops.", show_default="beside OUTPUT, -sheet.png"
        ),
    ] = None
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="A JSON line a drawing: how it was placed, and why.",
            show_default="beside OUTPUT, -manifest.jsonl",
        ),
    ] = None


@takes(AlignRequest)
def align(ctx: typer.Context, request: AlignRequest) -> None:
    """Crop drawings so that eyes and mouth are where a face generator expects them.

    Each drawing goes by the first that it has: points given by hand; a face found; the framing
    that the faces found in its folder share; its head's outline (transparent or plain background);
    else the middle of the picture. The sheet shows which, by color: look through it, and give
    points for those that are off. A file that can't be read is named, and the exit status is 1.
    """
    from toonify.faces import MTCNNDetector
    from toonify.media.images import iter_images, write_image
    from toonify.training.data.alignment import METHODS, cut_drawing, place_drawings
    from toonify.training.data.anchors import Anchors
    from toonify.training.data.sheets import Cell, contact_sheet, with_guides

    settings = settings_of(ctx)
    color = parse_color(request.background)
    paths = list(iter_images(existing_folder(request.drawings), recursive=True))
    note_others(request.drawings)
    if not paths:
        raise InputError(f"no image in {request.drawings}", hint="Put PNG or JPEG drawings there.")
    reads = InputFiles([*paths, request.anchor])
    targets = _targets(request.drawings, paths, request.output, request.overwrite, reads)
    beside = real_path(request.output)
    named = {"--sheet": request.sheet, "--manifest": request.manifest}
    sheet = request.sheet or beside.with_name(f"{beside.name}-sheet.png")
    manifest = request.manifest or beside.with_name(f"{beside.name}-manifest.jsonl")
    check_sheet(sheet, "--sheet", request.output)
    for option, path in (("--sheet", sheet), ("--manifest", manifest)):
        check_output(path, reads, option=option, named=named[option] is not None)
    if manifest.exists() and not is_ours(manifest):
        raise UsageError(
            f"{manifest} is there and is no manifest: it stays", hint="Choose another --manifest."
        )
    points = Anchors.read(request.anchor) if request.anchor else None
    names = [path.relative_to(request.drawings).as_posix() for path in paths]
    for key in points.unused(names) if points else ():
        complain(
            f"{request.anchor} has points for {key!r}, which is no drawing of {request.drawings}"
        )

    with settings.progress("looking") as bar:
        placements, failed = place_drawings(
            request.drawings,
            paths,
            detector=MTCNNDetector() if request.detect else None,
            anchors=points,
            background=color,
            progress=bar,
        )
    cells, records = [], []
    with settings.progress("cropping") as bar:
        for done, placement in enumerate(placements):
            bar(done, len(placements))
            try:
                crop = cut_drawing(
                    request.drawings / placement.name, placement.crop, request.size, color
                )
            except ToonifyError as error:
                failed.append((placement.name, error))
                continue
            target = targets[placement.name]
            write_image(target, crop, mark={"kind": CROP})
            record = {**placement.record(), "output": str(target)}
            records.append(record)
            cells.append(Cell(with_guides(crop), placement.name, placement.method))
            if settings.json:
                settings.result(record, "")
    for name, reason in failed:
        complain(f"{name} is left out: {reason}")
        records.append({"name": name, "method": "failed", "note": str(reason)})
        if settings.json:
            settings.result(records[-1], "")
    write_text(manifest, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))
    if not cells:
        raise InputError(f"no usable drawing in {request.drawings}")
    legend = dict(zip(METHODS, COLORS, strict=True))
    write_image(sheet, contact_sheet(cells, title=f"{len(cells)} drawings", legend=legend))
    if not settings.json:
        counts = {m: sum(cell.kind == m for cell in cells) for m in METHODS}
        by = ", ".join(f"{n} by {m}" for m, n in counts.items() if n)
        settings.result(
            {}, f"{len(cells)} drawings -> {request.output} ({by}); look through {sheet}"
        )
    raise typer.Exit(1 if failed else 0)


# of METHODS, from sure to guessed
COLORS = ((60, 90, 220), (40, 160, 70), (120, 190, 60), (240, 170, 20), (220, 50, 50))


def existing_folder(path: Path) -> Path:
    """`path` if it is a folder.

    Raises:
        InputError: it isn't.
    """
    if not path.is_dir():
        raise InputError(f"{path} is not a folder", hint="Name a folder of drawings.")
    return path


def parse_color(text: str) -> NDArray[np.uint8]:
    """A color's name or #rrggbb as (3,) uint8.

    Raises:
        UsageError: neither.
    """
    import numpy as np
    from PIL import ImageColor

    try:
        return np.array(ImageColor.getrgb(text)[:3], np.uint8)
    except ValueError as error:
        raise UsageError(
            f"--background {text!r} is no color", hint="Give a name such as white, or #rrggbb."
        ) from error


def check_sheet(sheet: Path, option: str, images: Path) -> None:
    """Refuse a sheet that would be no PNG, or be taken for a drawing.

    Raises:
        UsageError: it would.
    """
    if sheet.suffix.lower() != ".png":
        raise UsageError(f"{option} {sheet} must be a .png file", hint="Rename it.")
    if real_path(sheet).is_relative_to(real_path(images)):
        raise UsageError(
            f"{option} {sheet} would lie among the drawings of {images}", hint="Put it beside."
        )


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        InputError: it can't be written.
    """
    with writing(path):
        atomic.write_text(path, text)


def _targets(
    folder: Path, paths: list[Path], output: Path, overwrite: bool, reads: InputFiles
) -> dict[str, Path]:
    """The crop's file of each drawing by its name."""
    from toonify.stylize.jobs import mirrored

    inside, outside = real_path(output), real_path(folder)
    if inside == outside or inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise UsageError(f"{output} and {folder} lie in each other", hint="Choose another -o.")
    if output.is_file():
        raise UsageError(f"{output} is a file, not a folder", hint="Choose another -o.")
    jobs = mirrored([(path, path.relative_to(folder)) for path in paths], output)
    targets = {}
    for path, job in zip(paths, jobs, strict=True):
        assert job.target is not None
        targets[path.relative_to(folder).as_posix()] = job.target
        check_output(job.target, reads, folder=output)
    there = next((t for t in targets.values() if t.exists()), None)
    if there and not overwrite:
        raise UsageError(f"{there} is there already", hint="Add --overwrite, or another -o.")
    return targets
