"""How a library function tells how far it is: the caller says what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Update = Callable[[int, int | None], None]  # steps done, of how many (None: not known)


class Progress(Protocol):
    """Opens a bar for one stage of the work.

    Examples:
        >>> def printed(stage):
        ...     return nullcontext(lambda done, total: print(stage, done, total))
        >>> evaluate("photos/", progress=printed)
    """

    def __call__(self, stage: str, /) -> AbstractContextManager[Update]: ...


@contextmanager
def no_progress(stage: str, /) -> Iterator[Update]:
    """Progress goes nowhere."""
    yield lambda done, total: None
