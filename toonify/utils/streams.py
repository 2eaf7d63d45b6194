"""Standard streams that are closed, full, or lack letters: no reason to stop working."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

# of the three standard streams, those that were closed when the program began
CLOSED: set[int] = set()


class Tolerant:
    """A text stream that goes on where the one behind it fails.

    Attributes:
        lost: why something could not be written, the first time; None if all was.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        """Letters that the stream's encoding lacks are escaped."""
        if self.lost is not None:
            return len(text)
        try:
            try:
                return self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                escaped = text.encode(encoding, errors="backslashreplace").decode(encoding)
                return self._stream.write(escaped)
        except (OSError, ValueError) as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Nothing is raised."""
        if self.lost is not None:
            return
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._give_up(error)

    def _give_up(self, error: OSError | ValueError) -> None:
        """From here on into nothing, the buffered rest too."""
        self.lost = error
        with contextlib.suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def tolerant_streams() -> Iterator[tuple[Tolerant, Tolerant]]:
    """stdout and stderr that never raise, within the block."""
    _open_closed()
    before = sys.stdout, sys.stderr
    out, err = Tolerant(sys.stdout), Tolerant(sys.stderr)
    sys.stdout, sys.stderr = out, err  # type: ignore[assignment]
    try:
        yield out, err
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def write_binary(data: bytes) -> None:
    """All of it to stdout.

    Raises:
        OSError: stdout is closed, full, or nobody reads it.
    """
    if 1 in CLOSED:
        raise OSError(errno.EBADF, "it is closed")
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _open_closed() -> None:
    """Standard streams that are closed get nothing to read, and nowhere to write to: else the
    next file that is opened would take their place."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            CLOSED.add(number)
            handle = os.open(os.devnull, mode)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
