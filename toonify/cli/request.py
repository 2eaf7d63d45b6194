"""What a command is given, as one dataclass: its fields are the command's options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

import typer

Request = TypeVar("Request")
Run = Callable[[typer.Context, Request], None]


def takes(request: type[Request]) -> Callable[[Run[Request]], Callable[..., None]]:
    """Make a command of a function of its context and a request.

    Args:
        request: a dataclass whose fields are annotated as typer's parameters are.
    """
    hints = get_type_hints(request, include_extras=True)
    named = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("ctx", named, annotation=typer.Context)]
    for field in fields(request):  # type: ignore[arg-type]
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        parameters.append(
            inspect.Parameter(field.name, named, default=default, annotation=hints[field.name])
        )

    def command_of(run: Run[Request]) -> Callable[..., None]:
        @functools.wraps(run)
        def command(ctx: typer.Context, **given: Any) -> None:
            run(ctx, request(**given))

        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return command_of
