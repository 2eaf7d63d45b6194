"""Files that appear under their name whole or not at all.

What is being written has a hidden name beside the target and is locked as long as its writer is
alive. A writer that was killed outright leaves it behind; the next one in that folder takes it
away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toonify.errors import InputError, ToonifyError
from toonify.utils.links import real_path

try:
    import fcntl
except ImportError:  # Windows: a file that is open can't be removed there
    fcntl = None  # type: ignore[assignment]

_NAME = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
_AGE = 2.0  # seconds: one that was made just now may not be locked yet
_swept: set[Path] = set()


@contextmanager
def writing(target: Path, *, hint: str = "") -> Iterator[None]:
    """What the system refuses while `target` is written (a full disk, say), as one line.

    Raises:
        InputError: in place of an OSError; errors of this package pass.
    """
    try:
        yield
    except ToonifyError:
        raise
    except OSError as error:
        raise InputError(f"can't write {target}: {error.strerror or error}", hint=hint) from error


class Temporary:
    """The hidden file that becomes `target`.

    Use it as a context manager: without `commit` nothing is left of it.

    Args:
        target: its folder is made where it is missing.

    Raises:
        OSError: the folder can't be made, or written to, or a pipe or device lies there.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.target = Path(target)
        if self.target.is_symlink():  # the user named it: what it leads to is meant
            self.target = Path(os.path.realpath(self.target))
        if self.target.exists() and not (self.target.is_file() or self.target.is_dir()):
            raise OSError(errno.EINVAL, "it is a pipe or device")
        folder = self.target.parent
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        name = os.fsdecode(os.fsencode(self.target.name)[:60])  # names have 255 bytes at most
        self.path = folder / f".{name}.{secrets.token_hex(6)}.tmp"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._lock = os.open(self.path, flags, 0o666)
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def commit(self) -> None:
        """Give the file its name.

        Raises:
            OSError: it can't be.
        """
        self._release()
        os.replace(self.path, self.target)

    def discard(self) -> None:
        """Leave nothing."""
        self._release()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Temporary:
        return self

    def __exit__(self, *error: object) -> None:
        self.discard()


class TemporaryFolder:
    """The hidden folder that becomes `target`, which is not there or empty; see `Temporary`.

    Raises:
        OSError: it can't be made.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.target = Path(target)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        sweep(self.target.parent)
        name = os.fsdecode(os.fsencode(self.target.name)[:60])
        self.path = self.target.parent / f".{name}.{secrets.token_hex(6)}.tmp"
        self.path.mkdir()
        self._lock = locked(self.path)

    def commit(self) -> None:
        """Give the folder its name.

        Raises:
            OSError: it can't be.
        """
        os.replace(self.path, self.target)

    def __enter__(self) -> TemporaryFolder:
        return self

    def __exit__(self, *error: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
        shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, which becomes `target` if nothing is raised.

    Raises:
        OSError: it can't be written.
    """
    with Temporary(target) as temporary:
        yield temporary.path
        temporary.commit()


def write_bytes(target: str | os.PathLike[str], data: bytes, *, durable: bool = False) -> None:
    """Write a whole file or none.

    Args:
        durable: it is on the disk, not only in its cache, once it has its name.

    Raises:
        OSError: it can't be written.
    """
    with replacing(target) as path, open(path, "r+b") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def write_text(target: str | os.PathLike[str], text: str) -> None:
    """Write a whole UTF-8 file or none; what is no text in it (bytes of names) is escaped.

    Raises:
        OSError: it can't be written.
    """
    write_bytes(target, text.encode("utf-8", errors="backslashreplace"))


def sweep(folder: Path) -> None:
    """Remove what killed writers left in a folder; each folder is looked at once a run."""
    try:
        folder = real_path(folder)
        if folder in _swept:
            return
        _swept.add(folder)
        with os.scandir(folder) as entries:
            left = [entry for entry in entries if _NAME.fullmatch(entry.name)]
        for entry in left:
            if entry.is_symlink() or not is_abandoned(entry):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
    except OSError:
        return  # no more than untidy


def locked(folder: Path) -> int | None:
    """A folder's lock, held until this file descriptor is closed or the process ends; None where
    the system has none."""
    if fcntl is None:
        return None
    lock = os.open(folder, os.O_RDONLY)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def is_abandoned(entry: os.DirEntry[str]) -> bool:
    """Whether whoever made and locked a file or folder has ended; never of one made just now.

    Raises:
        OSError: it can't be looked at.
    """
    if time.time() - entry.stat(follow_symlinks=False).st_mtime < _AGE:
        return False
    if fcntl is None:
        return True
    mode = os.O_RDONLY if entry.is_dir(follow_symlinks=False) else os.O_RDWR
    handle = os.open(entry.path, mode | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # its writer is at work
    finally:
        os.close(handle)
    return True
