"""`report.html` of a training run: curves of metrics.jsonl and the previews as a time line.

with reporting(folder, title="finetune", config=options) as report:
    train(..., progress=lambda row: report())   # refreshes the page now and then
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from toonify import __version__
from toonify.errors import ToonifyError, UsageError
from toonify.reports.chart import curves
from toonify.reports.page import Page, embedded
from toonify.training.core.runs import METRICS, previews
from toonify.utils.links import real_path

REPORT = "report.html"
_PREVIEWS = 12  # of a time line
_LATEST, _EARLIER = 1400, 420  # pixels of a preview's width
_EVERY = 60.0  # seconds between refreshments
Metrics = dict[str, float]
# opens a display of the training; what it gives is called with (row of metrics, steps in all)
Display = Callable[[], AbstractContextManager[Callable[[Metrics, int], None]]]
_AXES = ("kimg", "step")
_TIMES = ("seconds", "seconds_left")
_VALIDATION = re.compile("^(val|photo|pair)_")  # of a metric's name
_TOGETHER = (("loss_g", "loss_d"), ("r_t", "p"))


def write_report(
    folder: Path,
    *,
    title: str,
    config: Mapping[str, object],
    status: str = "finished",
    facts: Mapping[str, object] | None = None,
) -> Path:
    """Write `report.html` from whatever a run has left in `folder` so far.

    Args:
        folder: holds metrics.jsonl and previews, or sub-folders that do (a run of several
            stages, in the order in which they began).
        config: options of the run; nested mappings are flattened.
        status: how the run stands, one sentence.
        facts: anything else to list at the top.

    Raises:
        InputError: the page can't be written.
    """
    page = Page(title)
    about = {"status": status, "written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")}
    page.facts({**about, **(facts or {}), "toonify": __version__})
    found = stages(folder)
    for stage in found:
        if len(found) > 1 or stage != folder:
            page.heading(stage.name)
        rows = read_metrics(stage / METRICS)
        if rows:
            page.paragraph(_summary(rows), note=True)
            page.charts(_charts(rows))
        _time_line(page, stage)
    if not found:
        page.paragraph("The run has left no metrics yet.", note=True)
    page.facts(_flat(config), folded="Options")
    target = folder / REPORT
    page.write(target)
    return target


@contextmanager
def reporting(
    folder: Path,
    *,
    title: str,
    config: Mapping[str, object],
    facts: Mapping[str, object] | None = None,
) -> Iterator[Callable[[], None]]:
    """Write the report when the block ends, however it ends; a usage error alone leaves it.

    Yields:
        a function to call as often as one likes, which refreshes the report once a minute.
    """
    began = written = time.monotonic()

    def write(status: str) -> None:
        spent = {"this run took": _duration(time.monotonic() - began)}
        write_report(
            folder, title=title, config=config, status=status, facts={**(facts or {}), **spent}
        )

    def refresh() -> None:
        nonlocal written
        if time.monotonic() - written >= _EVERY:
            write("running")
            written = time.monotonic()

    try:
        yield refresh
    except UsageError:
        raise  # nothing has run
    except BaseException as error:
        status = f"stopped: {error}" if isinstance(error, ToonifyError) else "stopped by an error"
        if isinstance(error, KeyboardInterrupt):
            status = "interrupted; it can be resumed"
        with suppress(ToonifyError):  # the first failure is the one to tell
            if stages(folder):
                write(status)
        raise
    write("finished")


@contextmanager
def no_display() -> Iterator[Callable[[Metrics, int], None]]:
    """Progress goes nowhere."""
    yield lambda row, steps: None


def display_of(progress: Callable[[Metrics], None] | None) -> Display:
    """A display that is a function of each step's row of metrics."""
    if progress is None:
        return no_display
    return lambda: nullcontext(lambda row, steps: progress(row))


@contextmanager
def reported(
    folder: Path,
    *,
    command: str,
    steps: int,
    config: Mapping[str, object],
    facts: Mapping[str, object] | None = None,
    display: Display = no_display,
) -> Iterator[Callable[[Metrics], None]]:
    """`reporting` and a display together, of a training of one stage.

    Args:
        command: what the report's title begins with, before the folder's name.
        steps: planned, for the display.

    Yields:
        what `run_trainer` calls with each step's row of metrics.

    Examples:
        >>> with reported(folder, command="distill", steps=1000, config={}) as report:
        ...     run_trainer(trainer, RunFolder(folder), steps=1000, snapshot=250, progress=report)
    """
    title = f"{command}: {real_path(folder).name}"
    with (
        reporting(folder, title=title, config=config, facts=facts) as refresh,
        display() as show,
    ):

        def report(row: Metrics) -> None:
            show(row, steps)
            refresh()

        yield report


def stages(folder: Path) -> list[Path]:
    """`folder` and its sub-folders that hold metrics or previews, oldest metrics first."""
    if not folder.is_dir():
        return []
    found = [
        path
        for path in (folder, *sorted(p for p in folder.iterdir() if p.is_dir()))
        if (path / METRICS).is_file() or previews(path)
    ]

    def began(path: Path) -> float:
        files = [path / METRICS] if (path / METRICS).is_file() else []
        return min(p.stat().st_mtime for p in files + [p for _, p in previews(path)])

    return sorted(found, key=began)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of a metrics.jsonl; lines cut short by a kill are left out."""
    rows = []
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    for line in text.splitlines():
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict):
                rows.append({k: float(v) for k, v in row.items() if isinstance(v, (int, float))})
    return rows


def _charts(rows: list[dict[str, float]]) -> list[tuple[str, str, str]]:
    """One chart a metric; training and validation, and what belongs together, in one."""
    axis = next((name for name in _AXES if any(name in row for row in rows)), "")
    names = list(dict.fromkeys(key for row in rows for key in row))
    names = [n for n in names if n not in _AXES and n not in _TIMES]
    groups: list[list[str]] = []
    for name in names:
        twin = _VALIDATION.sub("", name)
        together = next((g for g in _TOGETHER if name in g), ())
        for group in groups:
            if (twin != name and twin in group) or any(n in group for n in together):
                group.append(name)
                break
        else:
            groups.append([name])
    charts = []
    for group in groups:
        series, last = {}, []
        for name in group:
            points = [(row.get(axis, i), row[name]) for i, row in enumerate(rows) if name in row]
            series[name] = ([x for x, _ in points], [y for _, y in points])
            last.append(f"{points[-1][1]:.4g}")
        if svg := curves(series, axis=axis or "line"):
            charts.append((", ".join(group), " / ".join(last), svg))
    return charts


def _summary(rows: list[dict[str, float]]) -> str:
    last = rows[-1]
    parts = [f"{name} {last[name]:g}" for name in ("step", "kimg") if name in last]
    speeds = [
        r["images_per_second"] for r in rows if math.isfinite(r.get("images_per_second", math.nan))
    ]
    if speeds:
        parts.append(f"{speeds[-1]:.3g} images/s")
    return (
        f"{len(rows)} lines of metrics, up to " + ", ".join(parts)
        if parts
        else f"{len(rows)} lines"
    )


def _time_line(page: Page, stage: Path) -> None:
    found = previews(stage)
    if not found:
        return
    if len(found) > _PREVIEWS:  # the first, the last, and some between
        step = (len(found) - 1) / (_PREVIEWS - 1)
        found = [found[round(i * step)] for i in range(_PREVIEWS)]
    pictures = []
    for index, (kimg, path) in enumerate(reversed(found)):
        width = _EARLIER if index else _LATEST
        with suppress(ToonifyError):  # one damaged picture doesn't cost the report
            pictures.append((f"{kimg:g} kimg", _picture(path, path.stat().st_mtime_ns, width)))
    page.paragraph("Previews, always of the same latents or pictures, the latest first.", note=True)
    page.pictures(pictures[:1], width=_LATEST // 2 if len(pictures) > 1 else 0)
    page.pictures(pictures[1:], width=_EARLIER // 2)


@lru_cache(maxsize=64)
def _picture(path: Path, changed: int, width: int) -> str:
    return embedded(path, width=width)


def _flat(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
