"""`toonify video`: a clip in, the same clip with its people drawn out."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import partial
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
    check_cluster,
    complain,
    examples,
    prepare_drawing,
    refuse_given,
    settings_of,
)
from toonify.cli.engines import (
    PEOPLE,
    STYLES,
    ColorOption,
    EngineName,
    EngineOption,
    LevelOption,
    TrgbOption,
    check_engine,
    check_mixing,
)
from toonify.cli.style_transfer import (
    AlphaOption,
    PreserveColorOption,
    StyleImageOption,
    StyleNetworkOption,
    refuse_transfer_options,
    transfer_engine,
)
from toonify.cli.styles import (
    BackgroundOption,
    StyleOption,
    choose_styles,
    chosen_background,
    refuse_character_options,
)
from toonify.cli.stylize import Faces, Landmarks
from toonify.errors import InputError, ToonifyError, UsageError
from toonify.utils.outputs import InputFiles, check_output

if TYPE_CHECKING:
    from toonify.engines.base import Engine
    from toonify.video import Options, Report
    from toonify.video.several import Ledger

    # (clip, output) each → what became of it, in their order
    Draw = Callable[[Iterable[tuple[Path, Path]]], Iterator[Report | ToonifyError]]

# of one machine alone: see docs/cluster.md
ONE_MACHINE = (
    *("preview", "resume", "keep_partial"),
    *("style_image", "alpha", "preserve_color"),
)

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


def video(
    ctx: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT...", help="Clips, folders of clips, or a folder of frames."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="A .mp4, .mov, .mkv, .webm or .gif; a name without suffix is a folder of PNG"
            " frames; with --preview a picture.",
        ),
    ],
    engine: EngineOption = EngineName.auto,
    style: StyleOption = None,
    character: Annotated[
        list[str] | None,
        typer.Option(
            help="mina: everybody. mina,jun: in the order they appear. left=mina,right=jun: by"
            " place. 1=mina,2=jun: by number."
        ),
    ] = None,
    style_image: StyleImageOption = None,
    alpha: AlphaOption = 1.0,
    preserve_color: PreserveColorOption = False,
    style_network: StyleNetworkOption = None,
    bundle: BundleOption = "default",
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="An official StyleGANEX checkpoint for toonification, instead of a bundle: a file"
            " or a registry name such as styleganex-toonify-pixar."
        ),
    ] = None,
    level: LevelOption = None,
    trgb: TrgbOption = None,
    color: ColorOption = None,
    faces: Annotated[Faces, typer.Option(help="Whose faces are drawn.")] = Faces.all,
    landmarks: Annotated[
        Landmarks, typer.Option(help="Face detector, see `toonify stylize --help`.")
    ] = Landmarks.auto,
    min_face: MinFaceOption = None,
    smooth: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="How steady through time; 0 draws each frame alone."),
    ] = 0.5,
    background: BackgroundOption = None,
    start: Annotated[str, typer.Option(help="Where to begin: seconds, or H:MM:SS.")] = "0",
    end: Annotated[str | None, typer.Option(help="Where to stop, likewise.")] = None,
    fps: Annotated[
        str | None, typer.Option(help="Frames a second (25, 30000/1001); default: as they are.")
    ] = None,
    max_size: Annotated[
        int | None, typer.Option(min=32, help="Longest side in pixels; larger clips are shrunk.")
    ] = None,
    codec: Annotated[
        str,
        typer.Option(
            help="auto, h264, hevc, vp9, av1, prores, ffv1, hardware, or a hardware encoder's name."
        ),
    ] = "auto",
    crf: Annotated[
        int | None, typer.Option(min=0, max=63, help="Quality: lower is better and larger.")
    ] = None,
    pix_fmt: Annotated[
        str | None, typer.Option(help="Pixel format; default: one that plays everywhere.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume", help="Go on with what the same, interrupted command has done."
        ),
    ] = True,
    keep_partial: Annotated[
        bool,
        typer.Option("--keep-partial", help="When interrupted, leave OUT.partial.mp4 to look at."),
    ] = False,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="The original at the left of the result.")
    ] = False,
    preview: Annotated[
        bool,
        typer.Option("--preview", help="Only first, middle and last frame, as a picture."),
    ] = False,
    batch_size: BatchSizeOption = "auto",
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
) -> None:
    """Draw the people of a clip; sound, subtitles, chapters and timing stay.

    A style draws whole frames, with everything in them; characters are drawn over their people,
    and frames without a face pass through. Killed or interrupted, the same command goes on where it
    was: its work is kept in OUT.parts until it is done.
    """
    from toonify.media.video import Span
    from toonify.video.several import several_clips, targets

    settings = settings_of(ctx)
    clips = several_clips(inputs)
    source = inputs[0]
    if clips is not None and preview:
        raise UsageError("--preview is of one clip", hint="Name one.")
    check_cluster(ctx, cluster, workers, ONE_MACHINE)
    if preview:
        idle = ("smooth", "codec", "crf", "pix_fmt", "resume", "keep_partial", "side_by_side")
        refuse_given(ctx, "has no effect with --preview", *idle)
    if output.suffix.lower() == ".gif" or not output.suffix:
        what = "GIF" if output.suffix else "a folder of frames"
        refuse_given(ctx, f"is of clips, not of {what}", "pix_fmt")
    span = Span(
        start=seconds(start, "--start"),
        end=None if end is None else seconds(end, "--end"),
        fps=_rate(fps),
        max_size=max_size,
    )
    from toonify.faces.no_faces import NoFaces
    from toonify.video import Options
    from toonify.video import preview as draw_preview

    reads = InputFiles([*inputs, *model_files(bundle, checkpoint, *(style or ()))])
    places = None if clips is None else targets(clips, output)
    check_output(output, reads, named=True)
    pictures = style_image or []
    if not pictures:
        refuse_transfer_options(
            alpha=alpha < 1, preserve_color=preserve_color, style_network=style_network
        )
    check_engine(engine, styles=bool(style), characters=bool(character), pictures=bool(pictures))
    other = engine in PEOPLE or checkpoint is not None
    styles = choose_styles(
        style or (),
        character or (),
        bundle,
        other=other or bool(pictures),
        engine=engine.value,
    )
    largest = faces is Faces.largest
    drawing: Engine
    make: Callable[[], Engine] | None = None
    shared: dict[str, Any] = {
        "landmarks": landmarks.value,
        "min_face": min_face,
        "device": settings.device,
        "dtype": settings.dtype,
        "offline": settings.offline,
    }
    if pictures:
        if styles or character or other or background is not None or largest:
            raise UsageError(
                "--style-image draws whole frames, without styles, characters and faces",
                hint="Leave --style, --character, --background, --checkpoint and --faces out.",
            )
        refuse_character_options(level, trgb, color)
        _check_there(clips, source)
        drawing = transfer_engine(
            settings,
            bundle,
            engine=engine,
            images=pictures,
            alpha=alpha,
            preserve_color=preserve_color,
            network=style_network,
        )
    elif styles:
        if character or other:
            raise UsageError(
                "a clip is drawn in a style or as characters, not both",
                hint="Leave --style or --character, --engine and --checkpoint out.",
            )
        refuse_character_options(level, trgb, color)
        if largest:
            raise UsageError("a style draws everybody in a clip", hint="Leave --faces out.")
        _check_there(clips, source)
        make = _in_style(styles, engine, bundle, background, shared)
        drawing = make()
    else:
        if background is not None:
            raise UsageError("--background is of styles", hint="Name a --style.")
        _check_there(clips, source)
        shared["batch_size"] = batch_size_of(batch_size, settings, bundle)
        prepare_drawing(settings, bundle)
        mixing = {"level": level, "trgb": trgb, "color": color}
        make = _as_characters(engine, bundle, checkpoint, shared | mixing)
        drawing = make()
        check_mixing(drawing, given=any(value is not None for value in mixing.values()))
    if preview:
        counts = draw_preview(
            source, output, drawing, characters=character or (), span=span, largest=largest
        )
        record = {"source": str(source), "preview": str(output), "faces": counts}
        settings.result(record, f"{source} -> {output} ({', '.join(map(str, counts))} faces)")
        return
    options = Options(
        characters=tuple(character or ()),
        span=span,
        smooth=smooth,
        largest=largest,
        codec=codec,
        crf=crf,
        pixels=pix_fmt,
        side_by_side=side_by_side,
        resume=resume,
        keep_partial=keep_partial,
        identity=drawing.describe(),
    )
    looked = drawing.detector.name != NoFaces.name
    scenes = "no face found, drawn as scenes" if looked else "whole frames"
    alone = scenes if styles or pictures else ""
    with ExitStack() as stack:
        draw: Draw = _drawing_here(settings, drawing, options)
        if cluster is not None:
            assert make is not None
            draw = _drawing_on_cluster(stack, cluster, workers, drawing, make, options)
        if clips is not None and places is not None:
            failed = _draw_several(settings, clips, places, draw, options, reads, alone)
            if failed:
                complain(f"{failed} of {len(clips)} clips failed")
            raise typer.Exit(1 if failed else 0)
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
    raise typer.Exit(1 if report.damaged else 0)


def _check_there(clips: Sequence[Path] | None, source: Path) -> None:
    """InputError for a single clip that isn't there, before seconds of loading."""
    if clips is None and not source.exists():
        raise InputError(f"no such file: {source}", hint="Check the name.")


def _in_style(
    styles: Sequence[str],
    engine: EngineName,
    bundle: str,
    background: str | None,
    options: dict[str, Any],
) -> Callable[[], Engine]:
    """Makes what draws whole frames in a style."""
    from toonify.video import clip_engine

    if len(styles) > 1:
        raise UsageError("a clip is drawn in one style", hint="Make one clip for each.")
    return partial(
        clip_engine,
        bundle,
        engine=engine.value if engine in STYLES else "auto",
        style=styles[0],
        background=chosen_background(background),
        **options,
    )


def _as_characters(
    engine: EngineName, bundle: str, checkpoint: str | None, options: dict[str, Any]
) -> Callable[[], Engine]:
    """Makes what draws characters over their people."""
    from toonify.video import clip_engine

    if checkpoint is None:
        return partial(clip_engine, bundle, engine=engine.value, character=True, **options)
    if engine is EngineName.cdsm:
        raise UsageError("--checkpoint is of the engine styleganex", hint="Leave one of them out.")
    return partial(
        clip_engine, bundle, engine="styleganex", character=True, checkpoint=checkpoint, **options
    )


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
    stack: ExitStack,
    address: str,
    workers: int | None,
    engine: Engine,
    make: Callable[[], Engine],
    options: Options,
) -> Draw:
    """Draws clips on many machines: each on one of them, or a few long ones in parts."""
    from toonify.cluster.clips import ClipOrders, ClipWorker, draw_clips
    from toonify.cluster.ray_pool import RayPool

    orders = ClipOrders(make=make, folder=os.getcwd(), options=options)

    def draw(pairs: Iterable[tuple[Path, Path]]) -> Iterator[Report | ToonifyError]:
        pool = stack.enter_context(RayPool(address, ClipWorker, orders, workers=workers))
        yield from draw_clips(pool, pairs, engine, options)

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


def seconds(text: str, option: str) -> float:
    """ "12.5", "1:02" or "1:02:03.5" in seconds.

    Raises:
        UsageError: anything else.
    """
    try:
        parts = [float(part) for part in text.split(":")]
        if len(parts) > 3 or any(part < 0 for part in parts):
            raise ValueError
    except ValueError:
        raise UsageError(f"{option} {text!r} is no time", hint="Give 12.5 or 1:02:03.") from None
    return sum(part * 60**power for power, part in enumerate(reversed(parts)))


def _rate(text: str | None) -> Fraction | None:
    if text is None:
        return None
    try:
        rate = Fraction(text)
        if not 0 < rate <= 1000:
            raise ValueError
    except (ValueError, ZeroDivisionError):
        raise UsageError(
            f"--fps {text!r} is no frame rate", hint="Give 25 or 30000/1001."
        ) from None
    return rate


def _line(report: Report, *, alone: str = "") -> str:
    """What became of a clip; `alone` is said of frames without people where they are drawn too."""
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
    if report.steadiness:
        parts.append(
            f"steadiness {report.steadiness['after']:.2f} (the clip's own"
            f" {report.steadiness['before']:.2f})"
        )
    if report.min_face and report.frames_with_faces < report.frames:
        parts.append(small)
    return f"{report.source} -> {report.output}: {', '.join([*parts, *report.notes])}"


@contextmanager
def _progress(settings: Settings) -> Iterator[Callable[[int, int | None], None]]:
    """Frames, frames a second and time left on stderr: a bar in a terminal, with --json one JSON
    object a second."""
    begun: list[float] = []
    first = told = 0.0

    def rate(done: int) -> float:
        nonlocal first
        if not begun:
            begun.append(time.perf_counter())
            first = done
        return (done - first) / max(time.perf_counter() - begun[0], 1e-6)

    if settings.json and not settings.quiet:

        def tell(done: int, total: int | None) -> None:
            nonlocal told
            fps, now = rate(done), time.perf_counter()
            if now - told < 1:
                return
            told = now
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
