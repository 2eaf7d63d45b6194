"""`toonify stylize`: photographs in, drawings out."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify.bundle import model_files
from toonify.cli.common import (
    BatchSizeOption,
    BundleOption,
    ClusterOption,
    MinFaceOption,
    Settings,
    WorkersOption,
    batch_size_of,
    complain,
    examples,
    prepare_drawing,
    refuse_given,
    settings_of,
)
from toonify.cli.engines import (
    ColorOption,
    EngineName,
    EngineOption,
    LevelOption,
    TrgbOption,
    check_mixing,
)
from toonify.cli.style_transfer import (
    AlphaOption,
    PreserveColorOption,
    RegionOption,
    SegmentOption,
    StyleImageOption,
    StyleNetworkOption,
    StyleWeightOption,
    transfer_engine,
)
from toonify.cli.styles import (
    BackgroundOption,
    StyleOption,
    choose_characters,
    chosen_background,
    document,
)
from toonify.cli.stylize_options import (
    Asked,
    Faces,
    Format,
    Landmarks,
    Plan,
    check_written,
    faces_drawn,
    mixing_of,
    name_template,
    photos_of,
    planned,
)
from toonify.errors import InputError, UsageError
from toonify.stylize.manifest import Manifest
from toonify.utils.outputs import InputFiles, check_output
from toonify.utils.streams import write_binary

if TYPE_CHECKING:
    from toonify.engines.base import Engine
    from toonify.stylize.batch import Batch
    from toonify.stylize.jobs import Job
    from toonify.stylize.options import Options, Result
    from toonify.stylize.recipe import EngineRecipe
    from toonify.utils.outputs import InputFiles

SMALL = 24  # px of a face, below which it goes without saying that it is not looked for

EPILOG = examples(
    "toonify stylize me.jpg -o toon.png",
    "toonify stylize me.jpg -o sticker.webp --style comic --crop --background transparent",
    "toonify stylize me.jpg -o me.svg --style ink",
    "toonify stylize me.jpg -o toon.png --character mina",
    "toonify stylize me.jpg -o toons/ --style all --character all --sheet sheet.png",
    "toonify stylize party.jpg -o party-toon.jpg --character bram --paste",
    "toonify stylize me.jpg -o painted.png --style-image painting.jpg",
    "toonify stylize day.jpg -o dusk.jpg --engine wct2 --style-image dusk-elsewhere.jpg",
    "toonify stylize photos/ -o toons/ --recursive --skip-existing --manifest done.jsonl",
    "cat me.jpg | toonify stylize - > toon.png",
    "find . -name '*.jpg' -print0 | toonify stylize --files-from - -0 -o toons/",
    "toonify stylize photos/ -o toons/ --character all --name '{character}/{stem}{ext}'",
    "toonify stylize photos/ -o toons/ --cluster local --manifest done.jsonl",
    "toonify stylize --watch inbox/ -o toons/ --manifest done.jsonl",
)


def stylize(
    ctx: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Photos, folders of photos, patterns such as 'in/**/*.jpg', or -."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="A file for one photo, a folder for several (trees are mirrored), - for stdout.",
        ),
    ] = None,
    style: StyleOption = None,
    character: Annotated[
        list[str] | None,
        typer.Option(
            help="Character to turn people into; repeat it, or separate with commas, or say all."
            " left=mina,right=jun or 1=mina,2=jun: who is drawn as whom, as in `toonify video`."
        ),
    ] = None,
    engine: EngineOption = EngineName.auto,
    style_image: StyleImageOption = None,
    style_weight: StyleWeightOption = None,
    alpha: AlphaOption = 1.0,
    preserve_color: PreserveColorOption = False,
    region: RegionOption = None,
    segment: SegmentOption = False,
    style_network: StyleNetworkOption = None,
    bundle: BundleOption = "default",
    level: LevelOption = None,
    trgb: TrgbOption = None,
    color: ColorOption = None,
    faces: Annotated[
        Faces | None,
        typer.Option(
            help="Default: largest for portraits, all for whole photos; all without --paste gives"
            " a portrait of each.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="WHO",
            help="The one to draw: left, middle, right, or a number counted from the left.",
        ),
    ] = None,
    min_face: MinFaceOption = None,
    landmarks: Annotated[
        Landmarks,
        typer.Option(
            help="Face detector; auto takes face-alignment (68 points) where its weights are"
            " cached, else mtcnn."
        ),
    ] = Landmarks.auto,
    paste: Annotated[
        bool | None,
        typer.Option(
            "--paste/--crop",
            help="Put characters back into the photo, or give the portrait. Default: styles draw"
            " the whole photo, characters the portrait.",
            show_default=False,
        ),
    ] = None,
    background: BackgroundOption = None,
    max_size: Annotated[
        int | None,
        typer.Option(
            min=32,
            help="Longest side of a style's drawing, px; a portrait's side. Default: the photo's"
            " own size; 512 for portraits.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            help="What is written into folders and to stdout; svg and pdf, of styles alone, hold"
            " shapes. Default: by the suffix of -o; in folders whole photos as they were stored"
            " (same: JPEG stays JPEG), portraits as png.",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Of JPEG and WebP.", show_default="95"),
    ] = None,
    strip: Annotated[
        bool,
        typer.Option(
            "--strip", help="Drawings say nothing of the photo: no date, no camera. Never a place."
        ),
    ] = False,
    require_face: Annotated[
        bool,
        typer.Option("--require-face", help="A photo without a face fails, else it is a scene."),
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
    files_from: Annotated[
        str | None,
        typer.Option(help="A file that lists photos, a line each, or - for stdin."),
    ] = None,
    null: Annotated[
        bool, typer.Option("-0", "--null", help="NUL ends each of them, as of find -print0.")
    ] = False,
    watch: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Go on with photos as they come into this folder, till Ctrl-C."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="How drawings in a folder are called: {stem}, {character} (or style), {face},"
            " {level}, {ext}; '{character}/{stem}{ext}' makes folders.",
        ),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first photo that fails.")
    ] = False,
    max_failures: Annotated[
        int | None, typer.Option(min=1, help="Stop once so many photos have failed.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Append a JSON line a photo to this file.")
    ] = None,
    batch_size: BatchSizeOption = "auto",
    sheet: Annotated[
        Path | None,
        typer.Option(help="Contact sheet (PNG): a row a photo or face, a column a name."),
    ] = None,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
) -> None:
    """Draw photos of people in a style that keeps them, or turn them into drawn characters.

    A style draws the whole photo, at its own size, with everybody in it; --crop gives the portrait
    of a face. Styles and characters together are drawn as portraits, from the same crop.

    Drawings that are there, of the same photo and options, stay as they are. What toonify did not
    draw is replaced only where -o names that very file, and photos never are.
    One photo that fails never stops the others: it is named on stderr and in the manifest, and
    the exit status is 1. Several styles and characters add their names (toon-mina.png), several
    faces with --crop --faces all their numbers (toon-face1.png).
    """
    given = {name: value for name, value in locals().items() if name != "ctx"}
    lists = {name: given[name] or [] for name in ("inputs", "style", "character", "style_image")}
    run(ctx, Asked(**given | lists))


def run(ctx: typer.Context, asked: Asked) -> None:
    """Draw what was asked for, and say what became of it."""
    from toonify.stylize.batch import Batch
    from toonify.stylize.options import Options
    from toonify.stylize.recipe import drawing_identity
    from toonify.stylize.watching import watch as watched

    settings = settings_of(ctx)
    plan = planned(ctx, settings, asked)
    jobs = photos_of(asked, plan)
    check_written(asked, plan, jobs)
    reads = _reads(asked, jobs)
    together = _together(settings, asked, plan)
    names, drawing, recipe = _engine(ctx, settings, asked, plan)
    if asked.to_stdout and len(names) > 1:
        raise UsageError("stdout takes one drawing", hint="Give -o FOLDER for several.")
    existing = "skip" if asked.skip_existing or asked.watch else "error"
    options = Options(
        characters=names,
        styles=names if asked.style_image else plan.styles,
        **mixing_of(asked, plan),
        mode=plan.mode,
        require_face=asked.require_face,
        faces=faces_drawn(asked, plan),
        aligned=asked.aligned,
        only=asked.only,
        min_face=asked.min_face,
        identity={name: drawing_identity(drawing, name) for name in names},
        existing="overwrite" if asked.overwrite else existing,  # type: ignore[arg-type]
        format=plan.kind,
        strip=asked.strip,
        quality=asked.quality,
        batch_size=together,
        name=name_template(asked.name),
        fail_fast=asked.fail_fast,
        max_failures=asked.max_failures,
    )
    batch = Batch(drawing, options, inputs=reads, sheet_rows=asked.sheet is not None)
    batch.targets.check_all(jobs)
    with ExitStack() as stack:
        if asked.cluster is not None:
            drawn = _on_cluster(stack, asked, jobs, batch, options, recipe)
        else:
            arriving: Iterator[Job | None] = iter(())
            if asked.watch is not None and asked.output is not None:
                arriving = watched(
                    asked.watch,
                    Path(asked.output),
                    recursive=asked.recursive,
                    suffix=plan.suffix,
                )
            drawn = batch.run(chain(jobs, _noted(arriving, reads)))
        failed, unwritten = _told(settings, asked, names, drawn, len(jobs))
    if failed and len(jobs) > 1:
        complain(f"{failed} of {len(jobs)} photos failed")
    raise typer.Exit(1 if failed or unwritten else 0)


def _reads(asked: Asked, jobs: Sequence[Job]) -> InputFiles:
    """All that the run reads; UsageError where one of its own files would replace any of it."""
    reads = InputFiles(
        [
            *(job.source for job in jobs),
            *model_files(asked.bundle, asked.style_network, *asked.style),
            *(asked.files_from, asked.watch, asked.region),
            *asked.style_image,
        ]
    )
    if any(job.source is None for job in jobs):
        reads.add_stream(0, "standard input")
    if asked.to_stdout and reads.find(1) is not None:
        raise UsageError("stdout is the input", hint="Redirect it into another file.")
    for path, option in ((asked.sheet, "--sheet"), (asked.manifest, "--manifest")):
        if path is not None:
            lines = option == "--manifest"
            check_output(path, reads, option=option, named=True, streams=lines)
    return reads


def _engine(
    ctx: typer.Context, settings: Settings, asked: Asked, plan: Plan
) -> tuple[tuple[str, ...], Engine, EngineRecipe | None]:
    """The names that are drawn, what draws them, and how others make it (None: they can't)."""
    from toonify.stylize.recipe import EngineRecipe

    if asked.style_image:
        drawing = transfer_engine(
            settings,
            asked.bundle,
            engine=asked.engine,
            images=asked.style_image,
            weights=asked.style_weight,
            alpha=asked.alpha,
            preserve_color=asked.preserve_color,
            region=asked.region,
            segment=asked.segment,
            network=asked.style_network,
            max_size=asked.max_size,
            landmarks=asked.landmarks.value,
        )
        return drawing.characters, drawing, None
    finding = {
        "landmarks": asked.landmarks.value,
        "min_face": asked.min_face,
        "offline": settings.offline,
    }
    mixing = mixing_of(asked, plan)
    networks = {"device": settings.device, "dtype": settings.dtype}
    people = bool(asked.character) or not plan.styles
    recipe = EngineRecipe(
        asked.bundle,
        people=plan.people if people else None,
        people_options={**networks, **mixing, **finding},
        styles=plan.styled_by or "portrait",
        style_options={
            **({"styles": plan.style_sources} if plan.styled_by == "unet" else {}),
            **(networks if plan.styled_by in ("unet", "blend") else {}),
            "background": chosen_background(asked.background),
            "max_size": asked.max_size,
            "document": document(plan.kind),
            **finding,
        }
        if plan.styles
        else None,
    )
    if people:
        prepare_drawing(settings, asked.bundle)
    drawing = recipe.make()
    names = plan.styles
    if people:
        engine = recipe.people_of(drawing)
        given = (asked.level, asked.trgb, asked.color) != (None, None, None)
        check_mixing(engine, given=given)
        names += choose_characters(asked.character, engine.characters, rules=True)
        _refuse_idle_mixing(ctx, engine, mixing)
    if len(set(names)) < len(names):
        raise UsageError("a style and a character have the same name", hint="Draw one at once.")
    return names, drawing, recipe


def _together(settings: Settings, asked: Asked, plan: Plan) -> int:
    """How many faces are drawn together; styles are drawn, and written, one by one."""
    people = bool(asked.character) or not plan.styles
    if asked.cluster is not None or (asked.batch_size == "auto" and not people):
        return 1
    given = batch_size_of(asked.batch_size, settings, asked.bundle)
    return 1 if plan.whole else given


def _on_cluster(
    stack: ExitStack,
    asked: Asked,
    jobs: list[Job],
    batch: Batch,
    options: Options,
    recipe: EngineRecipe | None,
) -> Generator[Result, None, None]:
    """Results of many machines, in the jobs' order."""
    from toonify.cluster.photos import CHUNK, PhotoOrders, PhotoWorker, given_up
    from toonify.cluster.ray_pool import RayPool
    from toonify.cluster.schedule import draw_on

    assert recipe is not None and asked.cluster is not None
    sources = [str(job.source) for job in jobs]
    files = (*model_files(asked.bundle), asked.files_from)
    orders = PhotoOrders(
        make=recipe.make,
        options=options,
        reads=(*sources, *map(str, filter(None, files))),
        folder=os.getcwd(),
    )
    pool = stack.enter_context(RayPool(asked.cluster, PhotoWorker, orders, workers=asked.workers))
    return draw_on(pool, jobs, chunk=CHUNK, given_up=given_up, fresh=batch.targets.is_fresh)


def _told(
    settings: Settings,
    asked: Asked,
    names: Sequence[str],
    results: Generator[Result, None, None],
    count: int,
) -> tuple[int, bool]:
    """Print each result, note it in the manifest and on the sheet.

    Returns:
        How many failed, and whether the manifest or the sheet could not be written.
    """
    from toonify.reports.sheet import SheetWriter

    failed, unwritten = 0, False
    log = page = None
    with ExitStack() as stack:
        if asked.manifest:
            log = stack.enter_context(Manifest(asked.manifest))
        if asked.sheet:
            page = stack.enter_context(SheetWriter(asked.sheet, ("photo", *names), lenient=True))
        progress = stack.enter_context(settings.progress("photos"))
        stack.enter_context(closing(results))
        for done, result in enumerate(results, start=1):
            progress(done, None if asked.watch else count)
            if log and not unwritten:
                try:
                    log.add(result.entry())
                except OSError as error:  # the drawings are worth more than the list of them
                    unwritten = True
                    reason = error.strerror or str(error)
                    complain(
                        f"can't write {asked.manifest}: {reason}. The drawings go on without it."
                    )
            for row in result.rows:
                if page:
                    page.add(row)
            failed += result.status == "failed"
            _print(settings, result, noted=not asked.style_image)
    if page is not None and page.failure is not None:
        unwritten = True
        complain(str(page.failure))
    return failed, unwritten


def _print(settings: Settings, result: Result, *, noted: bool) -> None:
    """A result's line or picture on stdout, what went wrong on stderr.

    Args:
        noted: a word on the faces that were not found, too.
    """
    if result.error:
        complain(result.error)
    if result.note and noted:
        complain(f"{result.source}: {result.note}")
    if result.picture is not None:
        try:
            write_binary(result.picture)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"can't write to stdout: {reason}") from error
    elif result.status != "failed" or settings.json:
        settings.result(result.record(), _line(result))


def _noted(jobs: Iterator[Job | None], reads: InputFiles) -> Iterator[Job | None]:
    """Jobs that come later, whose photos are never replaced either."""
    for job in jobs:
        if job is not None and job.source is not None:
            reads.add(job.source)
        yield job


def _refuse_idle_mixing(ctx: typer.Context, engine: Engine, mixing: dict[str, Any]) -> None:
    """Refuse options of color where they change nothing."""
    from toonify.engines.cdsm import CdsmEngine

    level = mixing["level"]
    if isinstance(engine, CdsmEngine) and not engine.model.mixes_colors(level):
        why = f"has no effect: all of this bundle's color layers lie above --level {level}"
        refuse_given(ctx, why, "trgb", "color")
    if not mixing["trgb"]:
        refuse_given(ctx, "has no effect with --no-trgb", "color")


def _line(result: Result) -> str:
    written = ", ".join(output["path"] for output in result.outputs)
    if result.status == "skipped":
        return f"{result.source}: there already ({written})"
    line = f"{result.source} -> {written}" if written else result.source
    if result.min_face is not None and result.min_face > SMALL:
        line += f" ({result.faces} faces; below {result.min_face:.0f} px none are looked for)"
    return line
