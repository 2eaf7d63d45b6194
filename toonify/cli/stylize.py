"""`toonify stylize`: photographs in, drawings out."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toonify.bundle import model_files
from toonify.cli.common import (
    Settings,
    batch_size_of,
    complain,
    examples,
    prepare_drawing,
    refuse_given,
    settings_of,
)
from toonify.cli.engines import NETWORKS, check_mixing
from toonify.cli.request import takes
from toonify.cli.style_transfer import transfer_engine
from toonify.cli.styles import choose_characters, chosen_background, document
from toonify.cli.stylize_options import StylizeRequest
from toonify.cli.stylize_plan import (
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

MOST_AT_ONCE = 4  # photographs that are drawn side by side, for memory's sake
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


@takes(StylizeRequest)
def stylize(ctx: typer.Context, request: StylizeRequest) -> None:
    """Draw photos of people in a style that keeps them, or turn them into drawn characters.

    A style draws the whole photo, at its own size, with everybody in it; --crop gives the portrait
    of a face. Styles and characters together are drawn as portraits, from the same crop.

    Drawings that are there, of the same photo and options, stay as they are. What toonify did not
    draw is replaced only where -o names that very file, and photos never are.
    One photo that fails never stops the others: it is named on stderr and in the manifest, and
    the exit status is 1. Several styles and characters add their names (toon-mina.png), several
    faces with --crop --faces all their numbers (toon-face1.png).
    """
    from toonify.stylize.batch import Batch
    from toonify.stylize.options import Options
    from toonify.stylize.recipe import drawing_identity
    from toonify.stylize.watching import watch as watched

    settings = settings_of(ctx)
    plan = planned(ctx, settings, request)
    jobs = photos_of(request, plan)
    check_written(request, plan, jobs)
    reads = _reads(request, jobs)
    together = _together(settings, request, plan)
    names, drawing, recipe = _engine(ctx, settings, request, plan)
    if request.to_stdout and len(names) > 1:
        raise UsageError("stdout takes one drawing", hint="Give -o FOLDER for several.")
    at_once = _at_once(request, plan, drawing, len(jobs))
    if at_once > 1:
        together = 2 * at_once
    existing = "skip" if request.skip_existing or request.watch else "error"
    options = Options(
        characters=names,
        styles=names if request.style_image else plan.styles,
        **mixing_of(request, plan),
        mode=plan.mode,
        require_face=request.require_face,
        faces=faces_drawn(request, plan),
        aligned=request.aligned,
        only=request.only,
        min_face=request.min_face,
        identity={name: drawing_identity(drawing, name) for name in names},
        existing="overwrite" if request.overwrite else existing,  # type: ignore[arg-type]
        format=plan.kind,
        strip=request.strip,
        quality=request.quality,
        batch_size=together,
        name=name_template(request.name),
        fail_fast=request.fail_fast,
        max_failures=request.max_failures,
    )
    batch = Batch(
        drawing,
        options,
        inputs=reads,
        sheet_rows=request.sheet is not None,
        more=recipe.make if recipe is not None and at_once > 1 else None,
        at_once=at_once,
    )
    batch.targets.check_all(jobs)
    with ExitStack() as stack:
        if request.cluster is not None:
            drawn = _on_cluster(stack, request, jobs, batch, options, recipe)
        else:
            arriving: Iterator[Job | None] = iter(())
            if request.watch is not None and request.output is not None:
                arriving = watched(
                    request.watch,
                    Path(request.output),
                    recursive=request.recursive,
                    suffix=plan.suffix,
                )
            drawn = batch.run(chain(jobs, _noted(arriving, reads)))
        failed, unwritten = _report(settings, request, names, drawn, len(jobs))
    if failed and len(jobs) > 1:
        complain(f"{failed} of {len(jobs)} photos failed")
    raise typer.Exit(1 if failed or unwritten else 0)


def _reads(request: StylizeRequest, jobs: Sequence[Job]) -> InputFiles:
    """All that the run reads; UsageError where one of its own files would replace any of it."""
    reads = InputFiles(
        [
            *(job.source for job in jobs),
            *model_files(request.bundle, request.style_network, *request.style),
            *(request.files_from, request.watch, request.region),
            *request.style_image,
        ]
    )
    if any(job.source is None for job in jobs):
        reads.add_stream(0, "standard input")
    if request.to_stdout and reads.find(1) is not None:
        raise UsageError("stdout is the input", hint="Redirect it into another file.")
    for path, option in ((request.sheet, "--sheet"), (request.manifest, "--manifest")):
        if path is not None:
            lines = option == "--manifest"
            check_output(path, reads, option=option, named=True, streams=lines)
    return reads


def _engine(
    ctx: typer.Context, settings: Settings, request: StylizeRequest, plan: Plan
) -> tuple[tuple[str, ...], Engine, EngineRecipe | None]:
    """The names that are drawn, what draws them, and how others make it (None: they can't)."""
    from toonify.stylize.recipe import EngineRecipe

    if request.style_image:
        drawing = transfer_engine(
            settings,
            request.bundle,
            engine=request.engine,
            images=request.style_image,
            weights=request.style_weight,
            alpha=request.alpha,
            preserve_color=request.preserve_color,
            region=request.region,
            segment=request.segment,
            network=request.style_network,
            max_size=request.max_size,
            landmarks=request.landmarks.value,
        )
        return drawing.characters, drawing, None
    finding = {
        "landmarks": request.landmarks.value,
        "min_face": request.min_face,
        "offline": settings.offline,
    }
    background = chosen_background(request.background)
    mixing = mixing_of(request, plan)
    networks = {"device": settings.device, "dtype": settings.dtype}
    people = bool(request.character) or not plan.styles
    recipe = EngineRecipe(
        request.bundle,
        people=plan.people if people else None,
        people_options={
            **networks,
            **mixing,
            **finding,
            **({"background": background} if plan.people == "cdsm" else {}),
        },
        styles=plan.styled_by or "portrait",
        style_options={
            **({"styles": plan.style_sources} if plan.styled_by == "unet" else {}),
            **(
                {**networks, "runtime": request.backend.value} if plan.styled_by in NETWORKS else {}
            ),
            "background": background,
            "max_size": request.max_size,
            "document": document(plan.kind),
            **finding,
        }
        if plan.styles
        else None,
    )
    if people:
        prepare_drawing(settings, request.bundle)
    drawing = recipe.make()
    names = plan.styles
    if people:
        engine = recipe.people_of(drawing)
        given = (request.level, request.trgb, request.color) != (None, None, None)
        check_mixing(engine, given=given)
        names += choose_characters(request.character, engine.characters, rules=True)
        _refuse_idle_mixing(ctx, engine, mixing)
    if len(set(names)) < len(names):
        raise UsageError("a style and a character have the same name", hint="Draw one at once.")
    return names, drawing, recipe


def _together(settings: Settings, request: StylizeRequest, plan: Plan) -> int:
    """How many faces are drawn together; styles are drawn, and written, one by one."""
    people = bool(request.character) or not plan.styles
    if request.cluster is not None or (request.batch_size == "auto" and not people):
        return 1
    given = batch_size_of(request.batch_size, settings, request.bundle)
    return 1 if plan.whole else given


def _at_once(request: StylizeRequest, plan: Plan, drawing: Engine, photos: int) -> int:
    """How many photographs are drawn at the same time: one where a failure is to end the run."""
    careful = request.fail_fast or request.max_failures is not None
    if careful or request.cluster is not None or not plan.whole or not drawing.side_by_side:
        return 1
    from toonify.tuning import cores

    return max(1, min(MOST_AT_ONCE, photos, cores()))


def _on_cluster(
    stack: ExitStack,
    request: StylizeRequest,
    jobs: list[Job],
    batch: Batch,
    options: Options,
    recipe: EngineRecipe | None,
) -> Generator[Result, None, None]:
    """Results of many machines, in the jobs' order."""
    from toonify.cluster.photos import CHUNK, PhotoOrders, PhotoWorker, given_up
    from toonify.cluster.ray_pool import RayPool
    from toonify.cluster.schedule import draw_on

    assert recipe is not None and request.cluster is not None
    sources = [str(job.source) for job in jobs]
    files = (*model_files(request.bundle), request.files_from)
    orders = PhotoOrders(
        make=recipe.make,
        options=options,
        reads=(*sources, *map(str, filter(None, files))),
        folder=os.getcwd(),
    )
    pool = stack.enter_context(
        RayPool(request.cluster, PhotoWorker, orders, workers=request.workers)
    )
    return draw_on(pool, jobs, chunk=CHUNK, given_up=given_up, fresh=batch.targets.is_fresh)


def _report(
    settings: Settings,
    request: StylizeRequest,
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
        if request.manifest:
            log = stack.enter_context(Manifest(request.manifest))
        if request.sheet:
            page = stack.enter_context(SheetWriter(request.sheet, ("photo", *names), lenient=True))
        progress = stack.enter_context(settings.progress("photos"))
        stack.enter_context(closing(results))
        for done, result in enumerate(results, start=1):
            progress(done, None if request.watch else count)
            if log and not unwritten:
                try:
                    log.add(result.entry())
                except OSError as error:  # the drawings are worth more than the list of them
                    unwritten = True
                    reason = error.strerror or str(error)
                    complain(
                        f"can't write {request.manifest}: {reason}. The drawings go on without it."
                    )
            for row in result.rows:
                if page:
                    page.add(row)
            failed += result.status == "failed"
            _print(settings, result, noted=not request.style_image)
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
