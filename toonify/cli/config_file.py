"""`--config run.toml`: options of a training from a file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from toonify.errors import InputError, UsageError
from toonify.names import unknown_name

MOST_BYTES = 1 << 20


def _read(ctx: typer.Context, path: Path | None) -> Path | None:
    """Options of a file as the command's defaults; what the command line says wins."""
    if path is not None:
        own = [param for param in ctx.command.params if param.name not in ("config", "help")]
        named = {str(param.name): param for param in own if param.opts[0].startswith("-")}
        # as on the command line: --batch-size is batch-size, or batch_size
        flags = {flag.lstrip("-"): name for name, p in named.items() for flag in p.opts}
        options: dict[str, Any] = {}
        for key, value in read_config(path).items():
            name = flags.get(key.replace("_", "-"), key)
            if name not in named:
                known = sorted(long_flag(param) for param in named.values())
                raise unknown_name(f"option of {ctx.info_name} called", key, known)
            options[name] = _spelled(path, key, value)
        ctx.default_map = {**(ctx.default_map or {}), **options}
    return path


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=_read,
        is_eager=True,
        metavar="FILE",
        help="TOML file of options (batch-size = 8); what the command line says wins.",
    ),
]


def read_config(path: Path) -> Mapping[str, Any]:
    """A file's table of options.

    Raises:
        InputError: it can't be read, or is no TOML.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no ordinary file")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError("it is too long")
        return tomllib.loads(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"can't read the options in {path}: {reason}",
            hint="Write a line an option: batch-size = 8.",
        ) from error


def long_flag(param: Any) -> str:
    """A parameter's name in a file: its longest flag without dashes."""
    return str(max(param.opts, key=len)).lstrip("-")


def _spelled(path: Path, key: str, value: Any) -> Any:
    """A value as the command line would give it, so that it is checked the same way."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | str):
        return str(value)
    if isinstance(value, list) and all(type(item) in (int, float, str) for item in value):
        return [str(item) for item in value]
    raise UsageError(
        f"{path} gives {key} a value of another kind",
        hint="Give a number, a text in quotes, true, false, or a list of these.",
    )
