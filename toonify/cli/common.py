"""What every command shares: global options, output, examples in help."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from toonify.device import pick_device, pick_dtype
from toonify.errors import InputError, ModelError, ToonifyError, UsageError
from toonify.utils.text import json_line, visible

GLOBAL_VALUES = ("--device", "--dtype", "--seed", "--max-pixels")
GLOBAL_FLAGS = ("--quiet", "--json", "--offline", "--download", "--debug", "--follow-links")
_PARAMETER = re.compile(r"`([a-z][a-z0-9_]*)`")
_FLAGS = {
    "output": "-o",
    "runtime": "--backend",
    "compiled": "--compile",
    "snapshot_kimg": "--snapshot",
    "coarse_share": "--coarse",
}
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


BundleOption = Annotated[str, typer.Option(help="A bundle's folder, or default.")]
MinFaceOption = Annotated[
    float | None,
    typer.Option(
        min=12,
        help="Height in px of the smallest faces that are looked for; smaller ones take longer."
        " Default: a 120th of the longest side, at least 24.",
        show_default=False,
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Draw on many machines: HOST:PORT of a Ray cluster, or local for several workers"
        " on this one. The extra toonify-toolkit\\[cluster].",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Engines on the cluster. Default: one a GPU, or one per four cores.",
        show_default=False,
    ),
]
BatchSizeOption = Annotated[
    str,
    typer.Option(
        metavar="N|auto",
        help="Faces drawn together; auto takes what `toonify benchmark --tune` found, or a guess.",
    ),
]


class Dtype(StrEnum):
    """What networks compute in."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


@dataclass(frozen=True)
class Settings:
    """The global options of one run; every command finds them in `ctx.obj`."""

    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0
    quiet: bool = False
    json: bool = False
    offline: bool = False

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise UsageError(
                f"--device {self.device!r} is not a device",
                hint="Choose auto, cpu, cuda, cuda:N or mps.",
            )

    def result(self, record: dict[str, Any], text: str) -> None:
        """One result on stdout: a JSON object with --json, else a line unless --quiet."""
        if self.json:
            print(json_line(record, sys.stdout.encoding or "ascii"), flush=True)
        elif not self.quiet:
            print(visible(text), flush=True)

    @contextmanager
    def progress(self, description: str) -> Iterator[Callable[[int, int | None], None]]:
        """A bar on stderr; call what it gives with (done, total or None).

        Hidden with --quiet and where stderr is not a terminal.
        """
        if self.quiet or not sys.stderr.isatty():
            yield lambda done, total: None
            return
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        description = escape(visible(description))
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(description, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextmanager
    def transfer(self) -> Iterator[Callable[[str, int, int | None], None]]:
        """A download bar on stderr; call what it gives with (file, bytes so far, all or None)."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda name, done, total: None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            "{task.description}",
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            tasks: dict[str, Any] = {}

            def update(name: str, done: int, total: int | None) -> None:
                if name not in tasks:
                    tasks[name] = bar.add_task(name, total=total)
                bar.update(tasks[name], completed=done, total=total)

            yield update


def batch_size_of(text: str, settings: Settings, bundle: str) -> int:
    """What --batch-size stands for.

    Raises:
        UsageError: neither a number from 1 on nor auto.
    """
    if text == "auto":
        from toonify.tuning import choose_batch_size

        return choose_batch_size(pick_device(settings.device), bundle)
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--batch-size {text!r} is no number from 1 on", hint="Or say auto.")
    return int(text)


def prepare_drawing(settings: Settings, bundle: str) -> None:
    """Before networks draw: as many threads as are fastest here, and a word where the dtype that
    was requested is slow on this processor."""
    from toonify.tuning import emulated, use_kept_threads

    device = pick_device(settings.device)
    use_kept_threads(device, bundle)
    if settings.dtype != "auto" and not settings.quiet:
        slow = emulated(pick_dtype(settings.dtype, device), device)
        if slow:
            complain(slow)


def settings_of(ctx: typer.Context) -> Settings:
    """The global options, as the top-level callback left them."""
    return ctx.obj if isinstance(ctx.obj, Settings) else Settings()


def complain(message: str) -> None:
    """One line on stderr, with options where the library names parameters."""
    line = with_options(" ".join(message.split()))
    print(visible(f"toonify: {line}"), file=sys.stderr, flush=True)


def with_options(text: str) -> str:
    """A text of the library as the command line says it: `batch_size` is --batch-size."""
    return _PARAMETER.sub(
        lambda match: _FLAGS.get(match[1]) or "--" + match[1].replace("_", "-"), text
    )


def exit_status(error: ToonifyError) -> int:
    """What the command ends with: 2 for wrong usage, 3 for a model or bundle, else 1."""
    if isinstance(error, UsageError):
        return 2
    return 3 if isinstance(error, ModelError) else 1


def refuse_given(ctx: typer.Context, why: str, *names: str) -> None:
    """Refuse options that stand on the command line but can change nothing in their company.

    Args:
        why: what makes them idle, after their name: "has no effect with --aligned".
        names: of the command's parameters.

    Raises:
        UsageError: one of them was given, be it with its default.
    """
    flags = {
        param.name: param.opts[0].upper() if param.param_type_name == "argument" else param.opts[0]
        for param in ctx.command.params
    }
    for name in names:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name in ("COMMANDLINE", "DEFAULT_MAP"):
            raise UsageError(f"{flags[name]} {why}", hint="Leave it out.")


def check_cluster(
    ctx: typer.Context, address: str | None, workers: int | None, alone: Sequence[str]
) -> None:
    """Refuse what doesn't go with --cluster, and --workers without it.

    Args:
        alone: options that are of one machine.

    Raises:
        UsageError: one of them was given with it, or it is no address.
    """
    if address is None:
        if workers is not None:
            raise UsageError(
                "--workers is of --cluster", hint="Leave it out, or add --cluster local."
            )
        return
    refuse_given(ctx, "does not go with --cluster", *alone)
    from toonify.cluster.ray_pool import check_address

    check_address(address)


def note_others(*folders: Path | None) -> None:
    """A line on stderr for each folder that holds files besides pictures."""
    from toonify.media.images import IMAGE_SUFFIXES
    from toonify.media.scan import others_note, scan_images

    for folder in dict.fromkeys(folders):
        if folder is None or not folder.is_dir():
            continue
        with contextlib.suppress(InputError):  # whoever reads the folder says so
            scan = scan_images(folder, recursive=True, suffixes=IMAGE_SUFFIXES)
            if line := others_note(scan, folder):
                complain(line)


def examples(*lines: str) -> str:
    """Epilog that ends a command's help: its examples, kept line by line."""
    shown = "\n".join(f"  {line}" for line in lines)
    return (
        "Global options (--device --dtype --seed --max-pixels --quiet --json --offline"
        " --download --follow-links --debug)"
        " may stand here too; `toonify --help` explains them.\n\n\b\nExamples:\n" + shown
    )


def hoist_globals(arguments: Sequence[str]) -> list[str]:
    """Global options moved in front of the command, so that they may stand after it too."""
    front: list[str] = []
    rest: list[str] = []
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        name = argument.partition("=")[0]
        if argument == "--":
            rest += arguments[index:]
            break
        if argument in GLOBAL_FLAGS or (name in GLOBAL_VALUES and name != argument):
            front.append(argument)
        elif argument in GLOBAL_VALUES:
            front += arguments[index : index + 2]
            index += 1
        else:
            rest.append(argument)
        index += 1
    return front + rest


def existing(path: Path, what: str) -> Path:
    """`path` if it is there.

    Raises:
        UsageError: it isn't.
    """
    if not path.exists():
        raise UsageError(f"{what} {path} does not exist", hint="Check the path.")
    return path


def make_parent(path: Path) -> None:
    """Make the folder that an output goes into.

    Raises:
        InputError: it can't be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"can't make the folder {path.parent}: {error.strerror or error}",
            hint="Choose another -o.",
        ) from error
