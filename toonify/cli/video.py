"""`toonify video`: a clip in, the same clip with its people drawn out."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
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
    settings_of,
)
from toonify.cli.engines import STYLES, EngineName, check_engine, check_mixing
from toonify.cli.request import takes
from toonify.cli.style_transfer import refuse_transfer_options, transfer_engine
from toonify.cli.styles import choose_styles, chosen_background
from toonify.cli.stylize_options import Faces
from toonify.cli.video_options import VideoRequest
from toonify.errors import InputError, ToonifyError, UsageError
from toonify.utils.outputs import InputFiles, check_output

if TYPE_CHECKING:
    from toonify.engines.base import Engine
    from toonify.media.video import Span
    from toonify.video import Options, Report
    from toonify.video.several import Ledger

    # (clip, output) each → what became of it, in their order
    Draw = Callable[[Iterable[tuple[Path, Path]]], Iterator[Report | ToonifyError]]

EPILOG = examples(
    "toonify video clip.mp4 -o toon.mp4",
    "toonify video clip.mp4 -o toon.mp4 --style comic --background keep",
    "toonify video clip.mp4 -o toon.mp4 --character mina",
    "toonify video holiday/ -o drawn/ --style comic",
    "toonify video clip.mp4 -o look.png --preview",
    "toonify video talk.mkv -o toon.mkv --character left=mina,right=jun --start 12 --end 20",
    "toonify video clip.mov -o both.mp4 --side-by-side --max-size 720",
    "toonify video holiday/ -o drawn/ --style comic --cluster head:6379",
)


@takes(VideoRequest)
def video(ctx: typer.Context, request: VideoRequest) -> None:
    """Draw the people of a clip; sound, subtitles, chapters and timing stay.

    A style draws whole frames, with everything in them; characters are drawn over their people,
    and frames without a face pass through. Killed or interrupted, the same command goes on where it
    was: its work is kept in OUT.parts until it is done.
    """
    from toonify.video.several import several_clips, targets

    settings = settings_of(ctx)
    clips = several_clips(request.inputs)
    request.check(ctx, several=clips is not None)
    span = request.span()
    models = model_files(request.bundle, request.checkpoint, *request.style)
    reads = InputFiles([*request.inputs, *models])
    places = None if clips is None else targets(clips, request.output)
    check_output(request.output, reads, named=True)
    drawing = _drawing_of(settings, request, several=clips is not None)
    if request.preview:
        _preview(settings, request, drawing.engine, span)
        return
    options = request.options(span, drawing.engine)
    with ExitStack() as stack:
        draw: Draw = _drawing_here(settings, drawing.engine, options)
        if request.cluster is not None:
            draw = _drawing_on_cluster(stack, request, drawing, options)
        if clips is not None and places is not None:
            failed = _draw_several(settings, clips, places, draw, options, reads, drawing.alone)
            if failed:
                complain(f"{failed} of {len(clips)} clips failed")
        else:
            failed = _draw_one(settings, request.inputs[0], request.output, draw, drawing.alone)
    raise typer.Exit(1 if failed else 0)


@dataclass(frozen=True)
class _Drawing:
    """What draws the clips.

    Attributes:
        engine: it itself.
        make: makes another one; None of style pictures.
        alone: what is reported of clips without people that are drawn nevertheless; else "".
    """

    engine: Engine
    make: Callable[[], Engine] | None
    alone: str = ""


def _drawing_of(settings: Settings, request: VideoRequest, *, several: bool) -> _Drawing:
    """What draws: in the manner of pictures, in a style, or as characters.

    Raises:
        UsageError: options that exclude each other.
        InputError: the one clip isn't there.
    """
    from toonify.faces.no_faces import NoFaces

    pictures = request.style_image
    if not pictures:
        refuse_transfer_options(
            alpha=request.alpha < 1,
            preserve_color=request.preserve_color,
            style_network=request.style_network,
        )
    check_engine(
        request.engine,
        styles=bool(request.style),
        characters=bool(request.character),
        pictures=bool(pictures),
    )
    styles = choose_styles(
        request.style,
        request.character,
        request.bundle,
        other=request.other or bool(pictures),
        engine=request.engine.value,
    )
    request.check_drawn(styles)
    if not several and not request.inputs[0].exists():  # before seconds of loading
        raise InputError(f"no such file: {request.inputs[0]}", hint="Check the name.")
    make: Callable[[], Engine] | None = None
    if pictures:
        engine = _by_pictures(settings, request, pictures)
    elif styles:
        make = _in_style(settings, request, styles)
        engine = make()
    else:
        make = _as_characters(settings, request)
        engine = make()
        given = (request.level, request.trgb, request.color) != (None, None, None)
        check_mixing(engine, given=given)
        return _Drawing(engine, make)
    looked = engine.detector.name != NoFaces.name
    return _Drawing(engine, make, "no face found, drawn as scenes" if looked else "whole frames")


def _by_pictures(settings: Settings, request: VideoRequest, pictures: list[Path]) -> Engine:
    """Draws whole frames in the manner of pictures."""
    return transfer_engine(
        settings,
        request.bundle,
        engine=request.engine,
        images=pictures,
        alpha=request.alpha,
        preserve_color=request.preserve_color,
        network=request.style_network,
    )


def _in_style(
    settings: Settings, request: VideoRequest, styles: Sequence[str]
) -> Callable[[], Engine]:
    """Makes what draws whole frames in a style."""
    from toonify.video import clip_engine

    if len(styles) > 1:
        raise UsageError("a clip is drawn in one style", hint="Make one clip for each.")
    return partial(
        clip_engine,
        request.bundle,
        engine=request.engine.value if request.engine in STYLES else "auto",
        style=styles[0],
        background=chosen_background(request.background),
        **_finding(settings, request),
    )


def _as_characters(settings: Settings, request: VideoRequest) -> Callable[[], Engine]:
    """Makes what draws characters over their people."""
    from toonify.video import clip_engine

    batch_size = batch_size_of(request.batch_size, settings, request.bundle)
    prepare_drawing(settings, request.bundle)
    options = _finding(settings, request) | {
        "batch_size": batch_size,
        "level": request.level,
        "trgb": request.trgb,
        "color": request.color,
        "background": chosen_background(request.background),
    }
    engine = request.engine.value
    if request.checkpoint is not None:
        if request.engine is EngineName.cdsm:
            raise UsageError(
                "--checkpoint is of the engine styleganex", hint="Leave one of them out."
            )
        engine, options["checkpoint"] = "styleganex", request.checkpoint
    return partial(clip_engine, request.bundle, engine=engine, character=True, **options)


def _finding(settings: Settings, request: VideoRequest) -> dict[str, Any]:
    """How people are found, and where networks run."""
    return {
        "landmarks": request.landmarks.value,
        "min_face": request.min_face,
        "device": settings.device,
        "dtype": settings.dtype,
        "offline": settings.offline,
    }


def _preview(settings: Settings, request: VideoRequest, engine: Engine, span: Span) -> None:
    """First, middle and last frame as one picture."""
    from toonify.video import preview

    source, output = request.inputs[0], request.output
    largest = request.faces is Faces.largest
    counts = preview(
        source, output, engine, characters=request.character, span=span, largest=largest
    )
    record = {"source": str(source), "preview": str(output), "faces": counts}
    settings.result(record, f"{source} -> {output} ({', '.join(map(str, counts))} faces)")


def _draw_one(settings: Settings, source: Path, output: Path, draw: Draw, alone: str) -> bool:
    """Draw the one clip; gives whether it is damaged."""
    try:
        (report,) = draw([(source, output)])
    except KeyboardInterrupt:
        kept = output.with_name(f"{output.name}.parts")
        if kept.exists():
            complain(f"the same command goes on from {kept}")
        raise
    if isinstance(report, ToonifyError):
        raise report
    settings.result(report.record(), _line(report, alone=alone))
    if report.damaged:
        complain(f"{source} is damaged: what could be read, {report.frames} frames, was drawn")
    return report.damaged


def _drawing_here(settings: Settings, engine: Engine, options: Options) -> Draw:
    """Draws clips one after the other."""
    from toonify.video import convert
    from toonify.video.several import failure_of

    def draw(pairs: Iterable[tuple[Path, Path]]) -> Iterator[Report | ToonifyError]:
        for source, target in pairs:
            result: Report | ToonifyError
            try:
                with _progress(settings) as progress:
                    result = convert(source, target, engine, options, progress=progress)
            except Exception as error:
                result = failure_of(error)
            yield result

    return draw


def _drawing_on_cluster(
    stack: ExitStack, request: VideoRequest, drawing: _Drawing, options: Options
) -> Draw:
    """Draws clips on many machines: each on one of them, or a few long ones in parts."""
    from toonify.cluster.clips import ClipOrders, ClipWorker, draw_clips
    from toonify.cluster.ray_pool import RayPool

    address, workers = request.cluster or "", request.workers
    assert drawing.make is not None
    orders = ClipOrders(make=drawing.make, folder=os.getcwd(), options=options)

    def draw(pairs: Iterable[tuple[Path, Path]]) -> Iterator[Report | ToonifyError]:
        pool = RayPool(address, ClipWorker, orders, workers=workers)
        yield from draw_clips(stack.enter_context(pool), pairs, drawing.engine, options)

    return draw


def _draw_several(
    settings: Settings,
    clips: Sequence[Path],
    places: Sequence[Path],
    draw: Draw,
    options: Options,
    reads: InputFiles,
    alone: str,
) -> int:
    """Draw clips that are not there yet; gives how many failed, each of which was named."""
    from toonify.video.several import Ledger

    ledger, failed = Ledger(places[0].parent, reads), 0
    about = str(replace(options, resume=True, keep_partial=False))
    pairs = list(zip(clips, places, strict=True))
    plans = [_planned(ledger, clip, place, about) for clip, place in pairs]
    drawn_now = [pair for pair, plan in zip(pairs, plans, strict=True) if isinstance(plan, dict)]
    reports = iter(draw(drawn_now)) if drawn_now else iter(())
    for (clip, place), plan in zip(pairs, plans, strict=True):
        if plan is None:
            record = {"source": str(clip), "output": str(place), "status": "skipped"}
            settings.result(record, f"{clip}: there already ({place})")
            continue
        report = plan if isinstance(plan, ToonifyError) else next(reports)
        if isinstance(report, ToonifyError):
            text = str(report)
            complain(text if str(clip) in text else f"{clip}: {text}")
            failed += 1
            continue
        assert isinstance(plan, dict)
        ledger.note(place, plan)
        settings.result(report.record(), _line(report, alone=alone))
        if report.damaged:
            complain(f"{clip} is damaged: what could be read, {report.frames} frames, was drawn")
            failed += 1
    return failed


def _planned(
    ledger: Ledger, clip: Path, place: Path, about: str
) -> dict[str, str] | ToonifyError | None:
    """What a clip's result depends on; None where it is there already, or why it can't be."""
    from toonify.video.resume import fingerprint

    try:
        plan = {"clip": fingerprint(clip) if clip.exists() else "", "options": about}
        return None if ledger.is_drawn(place, plan) else plan
    except ToonifyError as error:
        return error


def _line(report: Report, *, alone: str = "") -> str:
    """What became of a clip; `alone` is reported of frames without people drawn all the same."""
    small = f"faces below {report.min_face:.0f} px are not looked for (--min-face)"
    if report.frames_with_faces == 0 and not alone:
        found = f"no face found, {report.frames} frames as they were"
        found += f"; {small}" if report.min_face else ""
        return f"{report.source} -> {report.output}: {found}"
    parts = [f"{report.frames} frames", f"{report.fps:.2f} a second"]
    if report.resumed:
        parts.append(f"{report.resumed} from an earlier run")
    people = [f"person {p['person']} as {p.get('character') or p['style']}" for p in report.people]
    parts.append("; ".join(people) or alone)
    if report.warping_error:
        parts.append(
            f"warping error {report.warping_error['after']:.2f} (the clip's own"
            f" {report.warping_error['before']:.2f})"
        )
    if report.min_face and report.frames_with_faces < report.frames:
        parts.append(small)
    return f"{report.source} -> {report.output}: {', '.join([*parts, *report.notes])}"


@contextmanager
def _progress(settings: Settings) -> Iterator[Callable[[int, int | None], None]]:
    """Frames, frames a second and time left on stderr: a bar in a terminal, with --json one JSON
    object a second."""
    begun: list[float] = []
    first = shown = 0.0

    def rate(done: int) -> float:
        nonlocal first
        if not begun:
            begun.append(time.perf_counter())
            first = done
        return (done - first) / max(time.perf_counter() - begun[0], 1e-6)

    if settings.json and not settings.quiet:

        def tell(done: int, total: int | None) -> None:
            nonlocal shown
            fps, now = rate(done), time.perf_counter()
            if now - shown < 1:
                return
            shown = now
            left = None if not total or not fps else round(max(total - done, 0) / fps, 1)
            event = {"event": "progress", "frames": done, "of": total, "fps": round(fps, 2)}
            print(json.dumps({**event, "eta": left}), file=sys.stderr, flush=True)

        yield tell
        return
    if settings.quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("frames", total=None)

        def show(done: int, total: int | None) -> None:
            shown = f"frames, {rate(done):.1f} a second"
            bar.update(task, completed=done, total=total, description=shown)

        yield show
