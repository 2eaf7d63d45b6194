"""Errors that a caller or user can do something about.

Each says in one line what is wrong and, in `hint`, what to do. Parameters stand in backticks, by
their Python names. Every class derives from the built-in one that a Python caller expects, so
`except ValueError` and `except OSError` catch them too; code of this package that catches
built-in errors lets `ToonifyError` through first.
"""

from __future__ import annotations

from typing import Any


class ToonifyError(Exception):
    """Base of every expected failure.

    Args:
        message: what is wrong, without a full stop at the end.
        hint: what to do about it, one short sentence; may be empty.

    Attributes:
        message: on one line, without its full stop; `str()` gives it with the hint.
        hint: on one line.

    Examples:
        >>> try:
        ...     drawn = toonifier.stylize("me.jpg", character="mia")
        ... except toonify.ToonifyError as error:
        ...     print(error.message, error.hint, sep="\\n")
    """

    message: str
    hint: str

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = " ".join(message.split()).rstrip(".")
        self.hint = " ".join(hint.split())
        super().__init__(f"{self.message}. {self.hint}" if self.hint else self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.message, self.hint)  # between processes


def _restored(kind: type[ToonifyError], message: str, hint: str) -> ToonifyError:
    return kind(message, hint=hint)


class InputError(ToonifyError, OSError, ValueError):
    """An input or output that can't be used: unreadable, not writable, without a face."""


class UsageError(ToonifyError, ValueError):
    """Wrong arguments."""


class ModelError(ToonifyError, RuntimeError):
    """A model, table or bundle that can't be loaded or doesn't fit."""


class Diverged(ToonifyError, RuntimeError):
    """A training's loss or weights became NaN or infinite; its last snapshot is good."""
