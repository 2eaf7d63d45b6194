"""Errors a user can hint: each becomes one line on stderr and an exit status."""

from __future__ import annotations

from typing import Any


class ToonifyError(Exception):
    """Base of every expected failure; `exit_code` is the command's exit status.

    Args:
        message: what is wrong, without a full stop at the end.
        hint: what to do about it, one short sentence; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        text = message.rstrip(".")
        if hint:
            text = f"{text}. {hint}"
        super().__init__(" ".join(text.split()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), str(self))  # between processes: the finished text


def _restored(kind: type[ToonifyError], text: str) -> ToonifyError:
    error = kind.__new__(kind, text)
    error.args = (text,)
    return error


class InputError(ToonifyError):
    """An input or output file that can't be used; other inputs go on. Exit status 1."""

    exit_code = 1


class Diverged(ToonifyError):
    """A training's loss or weights became NaN or infinite; its last snapshot is good. Status 1."""


class UsageError(ToonifyError):
    """Wrong arguments. Exit status 2."""

    exit_code = 2


class ModelError(ToonifyError):
    """A model, table or bundle that can't be loaded or doesn't fit. Exit status 3."""

    exit_code = 3
