"""`toonify benchmark`: how fast this machine draws, step by step."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toonify import tuning
from toonify.bundle import model_files
from toonify.cli.common import (
    BundleOption,
    complain,
    examples,
    existing,
    make_parent,
    settings_of,
)
from toonify.cli.request import takes
from toonify.cli.styles import choose_characters
from toonify.device import device_name, pick_device, pick_dtype
from toonify.errors import UsageError
from toonify.utils import atomic
from toonify.utils.outputs import InputFiles, check_output

if TYPE_CHECKING:
    from toonify.benchmark import Timing

EPILOG = examples(
    "toonify benchmark me.jpg",
    "toonify benchmark --tune",
    "toonify benchmark me.jpg --dtypes float32,bfloat16 --batch-sizes 1,8 -o speed.json",
    "toonify benchmark --compare mine:make --batch-sizes 1",
)


@dataclass(frozen=True, kw_only=True)
class BenchmarkRequest:
    """The command line, an option each."""

    photo: Annotated[
        Path | None,
        typer.Argument(help="A photo of a person; without one, only networks are measured."),
    ] = None
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write everything to this JSON file.")
    ] = None
    bundle: BundleOption = "default"
    character: Annotated[
        str | None, typer.Option(help="Character's name. Default: the bundle's first.")
    ] = None
    dtypes: Annotated[
        str | None,
        typer.Option(help="Comma-separated dtypes. Default: float32, and what auto takes here."),
    ] = None
    batch_sizes: Annotated[
        str, typer.Option(help="Comma-separated numbers of pictures drawn together.")
    ] = "1,8"
    runs: Annotated[int, typer.Option(min=1, help="Runs whose median counts.")] = 5
    tune: Annotated[
        bool,
        typer.Option(
            "--tune", help="Find the fastest threads, dtype and batch, and keep them for auto."
        ),
    ] = False
    compare: Annotated[
        str | None,
        typer.Option(
            help="MODULE:CALLABLE; called with the bundle's generator, it gives a function from w+"
            " to images, which is timed in turns with ours."
        ),
    ] = None


@takes(BenchmarkRequest)
def benchmark(ctx: typer.Context, request: BenchmarkRequest) -> None:
    """Measure every step of drawing: the first run (cold) and the median of later ones (warm).

    With a photo, `start` is a whole `toonify stylize` in a process of its own. Quiet machines give
    true figures; of a busy one compare figures of the same run only.
    """
    settings = settings_of(ctx)
    sizes = _numbers(request.batch_sizes)
    if request.photo is not None and existing(request.photo, "the photo").is_dir():
        raise UsageError(f"{request.photo} is a folder", hint="Give one photo.")
    if request.output is not None:
        check_output(
            request.output, InputFiles([request.photo, *model_files(request.bundle)]), named=True
        )
        make_parent(request.output)

    from toonify import benchmark as measure
    from toonify.engine import Toonifier

    if request.compare is not None:
        measure.load_callable(request.compare)  # fails before minutes are spent
    device = pick_device(settings.device)
    chosen = [name for name in (request.dtypes or "").split(",") if name]
    for name in chosen:
        pick_dtype(name, device)
    engine = Toonifier.from_bundle(
        request.bundle, device=settings.device, dtype=settings.dtype, offline=settings.offline
    )
    character = [request.character] if request.character else ()
    (named, *_) = choose_characters(character, engine.characters)
    wanted = [pick_dtype(name, device) for name in chosen or ["float32"]]
    if not chosen and engine.model.dtype not in wanted:
        wanted.append(engine.model.dtype)
    for dtype in wanted:
        slow = tuning.emulated(dtype, device)
        if slow and not settings.quiet:
            complain(slow)

    rows: list[dict[str, Any]] = []

    def show(timing: Timing, **more: Any) -> None:
        rows.append(timing.record() | more)
        settings.result(rows[-1], _line(timing, more))

    if not settings.json and not settings.quiet:
        print(f"{tuning.machine()}; {device_name(device)}\n{_HEAD}", flush=True)
    if request.photo is not None:
        where = {"device": settings.device, "dtype": settings.dtype}
        show(measure.measure_start(request.photo, request.bundle, **where))
        for timing in measure.measure_photo(engine, request.photo, named, runs=request.runs):
            show(timing)
        for timing in measure.measure_portrait(
            request.bundle, request.photo, runs=request.runs, **where
        ):
            show(timing)
    for timing in measure.measure_networks(
        engine, named, dtypes=wanted, batch_sizes=sizes, runs=request.runs
    ):
        show(timing)
    if request.compare is not None:
        for ours, theirs, difference in measure.compare(
            engine, request.compare, batch_sizes=sizes, runs=request.runs
        ):
            ratio = round(theirs.per_picture / ours.per_picture, 2)
            show(ours)
            show(theirs, ratio=ratio, max_difference=difference)
    report: dict[str, Any] = {
        "machine": tuning.machine(),
        "device": device_name(device),
        "timings": rows,
    }
    if request.tune:
        report["tuned"] = measure.tune(engine, request.bundle, named, runs=request.runs)
        kept = report["tuned"]
        settings.result(
            {"tuned": kept},
            f"fastest: {kept['dtype']}, {kept['batch_size']} together, {kept['threads']} threads,"
            f" {kept['seconds']:.3f} s a picture; kept for auto",
        )
    report["peak_memory_mib"] = measure.peak_memory()
    if device.type != "cpu":
        report["peak_gpu_memory_mib"] = measure.peak_gpu_memory(device)
    if request.output is not None:
        atomic.write_text(request.output, json.dumps(report, indent=1) + "\n")


_HEAD = f"{'stage':<24}{'dtype':<10}{'batch':>5}{'cold s':>10}{'warm s':>10}{'a picture':>11}"


def _line(timing: Timing, more: dict[str, Any]) -> str:
    warm = "" if timing.warm is None else f"{timing.warm:.4f}"
    line = (
        f"{timing.stage:<23} {timing.dtype:<10}{timing.batch:>5}{timing.cold:>10.4f}{warm:>10}"
        f"{timing.per_picture:>11.4f}"
    )
    if "ratio" in more:
        apart = more["max_difference"]
        line += f"  {more['ratio']} times ours"
        line += "" if apart is None else f", images differ by {apart:.2g} at most"
    return line


def _numbers(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(
            f"--batch-sizes {text!r} are no numbers from 1 on", hint="Say 1,4,8, for example."
        )
    return [int(part) for part in parts]
