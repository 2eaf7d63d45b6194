"""`toonify live`: a camera, a stream or a file, drawn as it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import (
    BundleOption,
    Settings,
    examples,
    settings_of,
)
from toonify.cli.engines import (
    PEOPLE,
    STYLES,
    ColorOption,
    EngineName,
    EngineOption,
    LevelOption,
    check_engine,
    check_mixing,
)
from toonify.cli.request import takes
from toonify.cli.styles import StyleOption, choose_styles
from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.engines.base import Engine
    from toonify.live import Sink, Statistics


class To(StrEnum):
    """Where drawn frames go."""

    window = "window"
    http = "http"
    camera = "camera"


EPILOG = examples(
    "toonify live",
    "toonify live --character mina --to http",
    "toonify live rtsp://door.example/stream --style ink --max-size 480",
    "toonify live clip.mp4 --to camera",
)


@dataclass(frozen=True, kw_only=True)
class LiveRequest:
    """The command line, an option each."""

    source: Annotated[
        str,
        typer.Argument(help="A camera's number, an address that ffmpeg reads, or a file."),
    ] = "0"
    to: Annotated[
        To,
        typer.Option(
            help="A window, a stream for browsers on this machine, or a camera that other programs"
            " see (takes pyvirtualcam)."
        ),
    ] = To.window
    style: StyleOption = field(default_factory=list)
    character: Annotated[
        list[str], typer.Option(help="As for `toonify video`: mina, or left=mina,right=jun.")
    ] = field(default_factory=list)
    bundle: BundleOption = "default"
    engine: EngineOption = EngineName.auto
    level: LevelOption = None
    color: ColorOption = None
    smooth: Annotated[
        float, typer.Option(min=0.0, max=0.95, help="How much the past counts; 0 is not at all.")
    ] = 0.5
    max_size: Annotated[
        int, typer.Option(min=64, help="Longest side, px: the smaller, the quicker.")
    ] = 480
    largest: Annotated[bool, typer.Option("--largest", help="Only the largest face.")] = False
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of --to http; 0 takes a free one.")
    ] = 7861
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after so many seconds.")] = (
        None
    )


@takes(LiveRequest)
def live(ctx: typer.Context, request: LiveRequest) -> None:
    """Draw what a camera sees, as it runs.

    The newest frame wins: what comes while another is drawn is skipped, so nothing lags behind.
    Latency and frames a second are shown; q or Ctrl-C ends it.
    """
    from toonify.live import HttpSink, LiveSource, Session, VirtualCameraSink, WindowSink
    from toonify.live.renderer import LiveRenderer

    settings = settings_of(ctx)
    drawing = _engine(settings, request)
    renderer = LiveRenderer(
        drawing,
        characters=tuple(request.character),
        smooth=request.smooth,
        largest=request.largest,
    )
    with ExitStack() as stack:
        frames = LiveSource(request.source, max_size=request.max_size)
        stack.callback(frames.close)
        sink: Sink
        if request.to is To.http:
            sink = HttpSink(request.port)
            if not settings.quiet:
                print(f"the stream is at {sink.address}", file=sys.stderr, flush=True)
        elif request.to is To.camera:
            sink = VirtualCameraSink(frames.fps)
        else:
            sink = WindowSink()
        stack.callback(sink.close)
        progress = stack.enter_context(_progress(settings))
        done = Session(frames, renderer, sink).run(seconds=request.seconds, progress=progress)
    record = {"source": request.source, **{k: round(v, 3) for k, v in asdict(done).items()}}
    settings.result(record, f"{request.source}: {_line(done)}")


def _engine(settings: Settings, request: LiveRequest) -> Engine:
    """What draws."""
    from toonify.video.clips import clip_engine

    style, character, engine = request.style, request.character, request.engine
    if style and character:
        raise UsageError("a camera is drawn in a style or as characters", hint="Name one of them.")
    check_engine(engine, styles=bool(style), characters=bool(character))
    names = choose_styles(
        style, character, request.bundle, other=engine in PEOPLE, engine=engine.value
    )
    if len(names) > 1:
        raise UsageError("a camera is drawn in one style", hint="Name one of them.")
    drawing = clip_engine(
        request.bundle,
        engine="auto" if names and engine not in STYLES else engine.value,
        style=names[0] if names else None,
        character=not names,
        level=request.level,
        color=request.color,
        device=settings.device,
        dtype=settings.dtype,
        offline=settings.offline,
    )
    check_mixing(drawing, given=(request.level, request.color) != (None, None))
    return drawing


def _line(statistics: Statistics) -> str:
    return (
        f"{statistics.frames} frames, {statistics.fps:.1f} a second,"
        f" {1000 * statistics.latency:.0f} ms behind, {statistics.skipped} skipped"
    )


@contextmanager
def _progress(settings: Settings) -> Iterator[Callable[[Statistics], None]]:
    """A line on stderr that changes in place, in a terminal."""
    if settings.quiet or not sys.stderr.isatty():
        yield lambda statistics: None
        return
    shown = 0.0

    def show(statistics: Statistics) -> None:
        nonlocal shown
        if time.monotonic() - shown >= 0.5:
            shown = time.monotonic()
            print(f"\r{_line(statistics)}\x1b[K", end="", file=sys.stderr, flush=True)

    yield show
    print(file=sys.stderr, flush=True)
