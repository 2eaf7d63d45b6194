"""The live line of a training: where it is, how fast, its losses, when it ends."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import typer

from toonify.cli.common import Settings
from toonify.utils.text import visible

KeepOption = Annotated[
    int,
    typer.Option(
        "--keep",
        min=0,
        help="Previews whose model is kept beside them, the last ones: NAME-KIMG.safetensors.",
    ),
]
# call with (stage, done, total, metrics)
Update = Callable[[str, int, int, Mapping[str, float]], None]

_EVERY = 30.0  # seconds between plain lines
_WINDOW = 60.0  # seconds over which the speed is measured
_HIDDEN = ("kimg", "step", "images_per_second", "seconds_left", "seconds")


@contextmanager
def training_display(
    settings: Settings,
    units: Mapping[str, str] | None = None,
    *,
    unit: str = "steps",
    opening: str = "",
    last: str | None = None,
) -> Iterator[Update]:
    """Show how a training goes, on stderr; call what it gives as often as you like.

    A line that changes in place in a terminal; elsewhere a plain line every 30 seconds, so that a
    log shows life; nothing with --quiet.

    Args:
        units: stage → what `done` and `total` count; "kimg" means that they count images.
        unit: of the stages that `units` doesn't name.
        opening: a line to begin with, once something is done.
        last: the stage that ends the training; of others it is said that the time left is theirs.
            None: every stage is all there is.
    """
    units = units or {}
    if settings.quiet:
        yield lambda stage, done, total, metrics: None
        return
    pace = _Pace()

    def text(stage: str, done: int, total: int, metrics: Mapping[str, float]) -> str:
        line = status_line(
            stage, done, total, metrics, unit=units.get(stage, unit), rate=pace.rate(stage)
        )
        more = last not in (None, stage) and line.endswith(" left")
        return f"{line} of this stage" if more else line

    if not sys.stderr.isatty():
        shown = time.monotonic()

        def plain(stage: str, done: int, total: int, metrics: Mapping[str, float]) -> None:
            nonlocal shown, opening
            if opening:
                print(visible(opening), file=sys.stderr, flush=True)
                opening = ""
            pace.at(stage, done)
            if time.monotonic() - shown >= _EVERY:
                shown = time.monotonic()
                print(visible(text(stage, done, total, metrics)), file=sys.stderr, flush=True)

        yield plain
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:

        def update(stage: str, done: int, total: int, metrics: Mapping[str, float]) -> None:
            nonlocal opening
            if opening:
                live.console.print(visible(opening), markup=False, highlight=False, soft_wrap=True)
                opening = ""
            pace.at(stage, done)
            live.update(
                Text(visible(text(stage, done, total, metrics)), overflow="ellipsis", no_wrap=True)
            )

        yield update


@contextmanager
def steps_display(
    settings: Settings, stage: str
) -> Iterator[Callable[[dict[str, float], int], None]]:
    """How a training of one stage goes, on stderr, and with --json a record a step on stdout.

    Call what it gives with each step's row of metrics and the steps in all.
    """
    with training_display(settings) as show:

        def update(row: dict[str, float], steps: int) -> None:
            show(stage, int(row["step"]), steps, row)
            if settings.json:
                settings.result(row, "")

        yield update


def status_line(
    stage: str,
    done: int,
    total: int,
    metrics: Mapping[str, float],
    *,
    unit: str = "steps",
    rate: float = 0.0,
) -> str:
    """One line of plain text.

    Args:
        rate: of `done`, a second; 0 where it isn't known yet.
    """
    if unit == "kimg":
        parts = [stage, f"{done / 1000:.2f}/{total / 1000:g} kimg"]
    else:
        parts = [stage, f"{done}/{total} {unit}"]
    per_second = metrics.get("images_per_second", rate if unit == "kimg" else 0.0)
    if per_second:
        parts.append(f"{per_second:.3g} images/s")
    elif rate:
        parts.append(f"{rate:.3g} {unit}/s")
    parts += [f"{name} {value:.3g}" for name, value in metrics.items() if name not in _HIDDEN]
    left = metrics.get("seconds_left", (total - done) / rate if rate else math.nan)
    if math.isfinite(left) and left > 0:
        parts.append(f"{_clock(left)} left")
    return "  ".join(parts)


class _Pace:
    """Speed of each stage over the last minute."""

    def __init__(self) -> None:
        self._marks: dict[str, deque[tuple[float, int]]] = {}

    def at(self, stage: str, done: int) -> None:
        now = time.monotonic()
        marks = self._marks.setdefault(stage, deque())
        marks.append((now, done))
        while len(marks) > 2 and now - marks[0][0] > _WINDOW:
            marks.popleft()

    def rate(self, stage: str) -> float:
        marks = self._marks[stage]
        (begun, first), (now, last) = marks[0], marks[-1]
        return max(0.0, (last - first) / (now - begun)) if now > begun else 0.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
