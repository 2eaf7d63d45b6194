"""`toonify stylize`: photographs in, drawn characters out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import (
    BatchSizeOption,
    BundleOption,
    ColorOption,
    LevelOption,
    TrgbOption,
    batch_size_of,
    complain,
    examples,
    model_files,
    prepare_drawing,
    settings_of,
)
from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.batch import Result


class Faces(StrEnum):
    """Which faces of a photograph are drawn."""

    all = "all"
    largest = "largest"


class Landmarks(StrEnum):
    """What finds faces."""

    auto = "auto"
    mtcnn = "mtcnn"
    face_alignment = "face-alignment"


EPILOG = examples(
    "toonify stylize me.jpg -o toon.png --character mina",
    "toonify stylize me.jpg -o toons/ --character all --sheet sheet.png",
    "toonify stylize party.jpg -o party-toon.jpg --character bram --paste",
    "toonify stylize photos/ -o toons/ --recursive --skip-existing --manifest done.jsonl",
    "cat me.jpg | toonify stylize - > toon.png",
)


def stylize(
    ctx: typer.Context,
    inputs: Annotated[list[str], typer.Argument(help="Photos, folders of photos, or - (stdin).")],
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="A file for one photo, a folder for several (trees are mirrored), - for stdout.",
        ),
    ] = None,
    character: Annotated[
        list[str] | None,
        typer.Option(
            help="Character's name; repeat it, or separate with commas, or say all."
            " Default: the bundle's first."
        ),
    ] = None,
    bundle: BundleOption = "default",
    level: LevelOption = 6,
    trgb: TrgbOption = True,
    color: ColorOption = 1.0,
    faces: Annotated[
        Faces | None,
        typer.Option(help="Default: largest with --crop, all with --paste.", show_default=False),
    ] = None,
    landmarks: Annotated[
        Landmarks,
        typer.Option(
            help="Face detector; auto takes face-alignment (68 points) where its weights are"
            " cached, else mtcnn. Naming face-alignment may download them."
        ),
    ] = Landmarks.auto,
    paste: Annotated[
        bool,
        typer.Option(
            "--paste/--crop", help="Put drawn faces back into the photo, or give the portrait."
        ),
    ] = False,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Inputs are square FFHQ crops: look for no face.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Folders with their sub-folders.")
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing", help="Draw only what is missing, or drawn with other options."
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Draw anew what is there; never replaces what toonify didn't draw."
        ),
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first photo that fails.")
    ] = False,
    manifest: Annotated[
        Path | None, typer.Option(help="Append a JSON line a photo to this file.")
    ] = None,
    batch_size: BatchSizeOption = "auto",
    sheet: Annotated[
        Path | None, typer.Option(help="Contact sheet (PNG): a row a face, a column a character.")
    ] = None,
) -> None:
    """Turn photos of people into drawn characters.

    Drawings that are there, of the same photo and options, stay as they are. What toonify did not
    draw is replaced only where -o names that very file, and photos never are.
    One photo that fails never stops the others: it is named on stderr and in the manifest, and
    the exit status is 1. Several characters add their names (toon-mina.png), several faces with
    --crop --faces all their numbers (toon-face1.png).
    """
    from toonify.batch import Batch, Options
    from toonify.jobs import STREAM, plan
    from toonify.manifest import Manifest
    from toonify.sheet import SheetWriter
    from toonify.utils.outputs import InputFiles, check_output

    settings = settings_of(ctx)
    if skip_existing and overwrite:
        raise UsageError("--skip-existing and --overwrite exclude each other", mend="Take one.")
    if aligned and paste:
        raise UsageError("--aligned crops have no photo to --paste into", mend="Take one.")
    to_stdout = output == STREAM or (STREAM in inputs and output is None)
    if output is None and not to_stdout and sheet is None:
        raise UsageError("nowhere to put the drawings", mend="Give -o FILE, -o FOLDER or --sheet.")
    _check_suffix(sheet)
    if to_stdout and settings.json:
        raise UsageError("stdout takes the picture or --json, not both", mend="Give -o FILE.")
    if to_stdout and sys.stdout.isatty():
        raise UsageError("a picture is not for a terminal", mend="Redirect stdout or give -o FILE.")
    jobs = plan(inputs, output, recursive=recursive, note=complain)
    reads = InputFiles([*(job.source for job in jobs), *model_files(bundle)])
    if any(job.source is None for job in jobs):
        reads.add_stream(0, "standard input")
    if to_stdout and reads.find(1) is not None:
        raise UsageError("stdout is the input", mend="Redirect it into another file.")
    for path, option in ((sheet, "--sheet"), (manifest, "--manifest")):
        if path is not None:
            check_output(path, reads, option=option, named=True)

    from toonify.engine import Toonifier

    together = batch_size_of(batch_size, settings, bundle)
    prepare_drawing(settings, bundle)
    engine = Toonifier.from_bundle(
        bundle,
        device=settings.device,
        dtype=settings.dtype,
        landmarks=landmarks.value,
        offline=settings.offline,
    )
    names = choose_characters(character or (), engine.characters)
    if to_stdout and len(names) > 1:
        raise UsageError("stdout takes one character", mend="Give -o FOLDER for several.")
    chosen_faces = faces.value if faces else ("all" if paste else "largest")
    if to_stdout and chosen_faces == "all" and not paste:
        raise UsageError("stdout takes one face", mend="Leave --faces all out, or add --paste.")
    options = Options(
        characters=names,
        level=level,
        trgb=trgb,
        color=color,
        mode="paste" if paste else "crop",
        faces=chosen_faces,  # type: ignore[arg-type]
        aligned=aligned,
        identity={name: engine.identity(name) for name in names},
        existing="skip" if skip_existing else "overwrite" if overwrite else "error",
        batch_size=together,
        fail_fast=fail_fast,
    )
    batch = Batch(engine, options, inputs=reads, sheet_rows=sheet is not None)
    batch.check(jobs)
    failed = 0
    with ExitStack() as stack:
        log = stack.enter_context(Manifest(manifest)) if manifest else None
        page = stack.enter_context(SheetWriter(sheet, ("photo", *names))) if sheet else None
        progress = stack.enter_context(settings.progress("photos"))
        for done, result in enumerate(batch.run(jobs), start=1):
            progress(done, len(jobs))
            if log:
                log.add(result.entry())
            for row in result.rows:
                if page:
                    page.add(row)
            failed += result.status == "failed"
            if result.error:
                complain(result.error)
            if result.png is not None:
                sys.stdout.buffer.write(result.png)
                sys.stdout.buffer.flush()
            elif result.status != "failed" or settings.json:
                settings.result(result.record(), _line(result))
    if failed and len(jobs) > 1:
        complain(f"{failed} of {len(jobs)} photos failed")
    raise typer.Exit(1 if failed else 0)


def choose_characters(asked: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Names given on the command line against those of the bundle.

    Raises:
        UsageError: an unknown name; lists the known ones and suggests the nearest.
    """
    from toonify.names import unknown_name

    names = [name for item in asked for name in item.split(",") if name]
    if not known:
        raise UsageError("the bundle has no characters", mend="Add some: toonify build-lut --help.")
    if not names:
        return (known[0],)
    if "all" in names:
        return tuple(known)
    for name in names:
        if name not in known:
            raise unknown_name("character", name, known)
    return tuple(dict.fromkeys(names))


def _check_suffix(sheet: Path | None) -> None:
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise UsageError(f"the sheet {sheet} must be a .png file", mend="Rename it.")


def _line(result: Result) -> str:
    written = ", ".join(output["path"] for output in result.outputs)
    if result.status == "skipped":
        return f"{result.source}: there already ({written})"
    return f"{result.source} -> {written}" if written else result.source
