"""The `toonify` command: global options, and every failure as one line and an exit status."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from toonify import __version__
from toonify.cli.common import (
    Dtype,
    Settings,
    complain,
    examples,
    exit_status,
    hoist_globals,
)
from toonify.cli.lazy import LazyCommand, lazy_group
from toonify.errors import ToonifyError, UsageError
from toonify.utils.links import FOLLOW_LINKS
from toonify.utils.memory import collect_less_often, keep_freed_memory, leave_to_system
from toonify.utils.signals import terminated_is_interrupted
from toonify.utils.streams import tolerant_streams
from toonify.utils.text import visible

_MODULES = {"live": "camera"}  # others are called as their commands
COMMANDS = tuple(
    LazyCommand(name, f"toonify.cli.{_MODULES.get(name, name.replace('-', '_'))}", summary)
    for name, summary in (
        ("stylize", "Draw photos of people, as themselves or as characters."),
        ("video", "Draw the people of a clip."),
        ("live", "Draw what a camera sees, as it runs."),
        ("serve", "Offer the drawings on a page in the browser, and by HTTP."),
        ("check", "Look through drawings as training would take them."),
        ("align", "Crop drawings to where a face generator expects faces."),
        ("finetune", "Fine-tune a face generator on drawings."),
        ("train-encoder", "Train an encoder, or StyleGANEX for whole frames."),
        ("train-style", "Train a decoder of style transfer."),
        ("train-stylemap", "Train the network of local-edit."),
        ("distill", "Teach StyleGAN2's layers what a compact generator draws."),
        ("swap", "Swap layers of two generators."),
        ("invert-character", "Average the latents of a character's drawings."),
        ("build-lut", "Build a table of characters."),
        ("invert", "Find the latents that a generator renders a photo from."),
        ("edit", "Edit a face: directions, style mixing, another generator."),
        ("local-edit", "Give a photo a part of another person's face."),
        ("translate", "Faces from few pixels, a sketch or a mask; whole photos."),
        ("bundle", "Put a bundle together to ship."),
        ("export", "Write a bundle's networks for another runtime."),
        ("evaluate", "Measure a bundle, or two side by side, on photos."),
        ("lut", "Character tables: list, show, merge, remove."),
        ("models", "Checkpoints: list, pull, convert, verify."),
        ("benchmark", "Measure how fast this machine draws; tune it."),
        ("doctor", "Check the installation."),
    )
)

app = typer.Typer(
    name="toonify",
    cls=lazy_group(COMMANDS),
    help="Photos and clips of people go in, drawings come out.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=examples(
        "toonify stylize me.jpg -o toon.png",
        "toonify video clip.mp4 -o toon.mp4",
        "toonify doctor",
    ).partition("\n\n")[2],
)
# typer brings its own click or a separate one, depending on its version.
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]


def _version(value: bool) -> None:
    if value:
        print(f"toonify {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    ctx: typer.Context,
    device: Annotated[
        str, typer.Option(help="Where networks run: auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
    dtype: Annotated[Dtype, typer.Option(help="What networks compute in.")] = Dtype.auto,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only failures are printed.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a result on stdout.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Never touch the network (TOONIFY_OFFLINE=1 too).")
    ] = False,
    download: Annotated[
        bool,
        typer.Option(
            "--download",
            help="Fetch networks that a command needs besides (TOONIFY_DOWNLOAD=1 too).",
        ),
    ] = False,
    max_pixels: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Refuse larger pictures, e.g. 200M (TOONIFY_MAX_PIXELS too); 120M by default.",
        ),
    ] = None,
    follow_links: Annotated[
        bool,
        typer.Option("--follow-links", help="Take files of a folder that are links out of it."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a failure.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    if offline and download:
        raise UsageError("--offline and --download exclude each other", hint="Take one.")
    if download:
        os.environ["TOONIFY_DOWNLOAD"] = "1"
    if offline:
        os.environ["TOONIFY_OFFLINE"] = "1"  # for parts of the library that fetch by themselves
    if max_pixels is not None:
        os.environ["TOONIFY_MAX_PIXELS"] = str(_pixels(max_pixels))
    if follow_links:
        os.environ[FOLLOW_LINKS] = "1"  # for worker processes too
    ctx.obj = Settings(
        device=device, dtype=dtype.value, seed=seed, quiet=quiet, json=json, offline=offline
    )


def _pixels(text: str) -> int:
    from toonify.media.decoding import parse_pixels

    return parse_pixels(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        exit status: 0 all done; 1 some inputs failed; 2 wrong usage; 3 a model or bundle could
        not be loaded; 130 interrupted.
    """
    argv = hoist_globals(sys.argv[1:] if arguments is None else arguments)
    own = arguments is None  # the process is the command's own
    if own and "--help" not in argv:
        keep_freed_memory()
        collect_less_often()
        # numpy's products are small here, and threads that wait for more of them take the cores
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Torch's wait without spinning: beside other programs, whoever they wait for may not be
        # running, and a core spins until it is (up to ten times slower, seen beside two others).
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tolerant_streams() as (out, _), terminated_is_interrupted():
        status = _run(argv, debug="--debug" in argv)
        out.flush()
        if out.lost is not None and status == 0:
            status = 1
            if not isinstance(out.lost, BrokenPipeError):  # whoever read it is gone, and knows
                reason = getattr(out.lost, "strerror", None) or out.lost
                complain(f"can't write all to stdout: {reason}")
    if own:
        leave_to_system()
    return status


class _Complaints(logging.Handler):
    """What the library logs, as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            print(visible("".join(traceback.format_exception(*record.exc_info))), file=sys.stderr)
        complain(record.getMessage())


_complaints = _Complaints(logging.INFO)


def _run(argv: Sequence[str], *, debug: bool) -> int:
    logger = logging.getLogger("toonify")
    logger.addHandler(_complaints)  # once, however often
    least = logging.WARNING if "--quiet" in argv else logging.INFO
    for part in (logger, _complaints):
        part.setLevel(logging.DEBUG if debug else least)
    try:
        status = app(argv, prog_name="toonify", standalone_mode=False)
        if status == 130:  # typer has turned Ctrl-C into this status
            complain("interrupted")
    except ToonifyError as error:
        status = _fail(str(error), exit_status(error), debug)
    except (KeyboardInterrupt, typer.Abort):
        status = _fail("interrupted", 130, debug)
    except BrokenPipeError:
        status = 1  # whoever read our output is gone; nothing more can be said to it
    except _ClickException as error:
        status = _usage(error, debug)
    except MemoryError:
        status = _fail("out of memory", 1, debug)
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            return _fail(_system_error(error), 1, debug)
        detail = f"{type(error).__name__}: {error}"
        hint = "" if debug else " This is a bug in toonify; --debug shows where."
        status = _fail(f"{detail.rstrip('.')}.{hint}", 1, debug)
    return status if isinstance(status, int) else 0


def _system_error(error: OSError) -> str:
    """A refusal of the operating system that no command has put into words of its own."""
    reason = error.strerror or str(error)
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
    shown = " and ".join(name if len(name) <= 200 else f"{name[:200]}…" for name in names)
    return f"{shown}: {reason}" if shown else reason


def _fail(message: str, status: int, debug: bool) -> int:
    if debug:
        print(visible(traceback.format_exc()), file=sys.stderr, flush=True)
    complain(message)
    return status


def _usage(error: Exception, debug: bool) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "toonify"
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]
        return 2
    message = str(error.format_message()).removesuffix(".")  # type: ignore[attr-defined]
    stop = "" if message.endswith("?") else "."
    return _fail(f"{message}{stop} See `{command} --help`.", 2, debug)


if __name__ == "__main__":
    sys.exit(main())
