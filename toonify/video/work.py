"""Work that survives being killed: finished segments and what is needed to go on after them.

A segment counts as finished when its state file is there, which is written after it; both appear
under their names only when they are whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from toonify.errors import InputError

PLAN = "plan.json"


class WorkFolder:
    """Segments of one output, in a folder beside it.

    Args:
        output: the file or folder that is being made.
        plan: all that the result depends on, JSON-able; work on another plan is thrown away.
        resume: go on with what is there.

    Raises:
        InputError: it can't be made, or another run is at work in it.
    """

    def __init__(self, output: Path, plan: dict[str, Any], *, resume: bool = True) -> None:
        self.folder = output.with_name(f"{output.name}.parts")
        self.output, self._plan, self._resume = output, plan, resume
        self._lock = FileLock(self.folder.with_name(f".{self.folder.name}.lock"))

    def __enter__(self) -> WorkFolder:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            if self.folder.is_symlink() or not self._is_mine():
                raise InputError(
                    f"{self.folder} is there and is no unfinished work: it stays",
                    mend="Move it away, or choose another -o.",
                )
            if self.folder.exists() and not (self._resume and self._same_plan()):
                shutil.rmtree(self.folder)
            self.folder.mkdir(exist_ok=True)
            _write(self.folder / PLAN, json.dumps(self._plan, indent=1).encode())
        except Timeout as error:
            raise InputError(
                f"another run is writing {self.output}", mend="Wait for it, or choose another -o."
            ) from error
        except OSError as error:
            self._unlock()
            raise InputError(
                f"can't work in {self.folder}: {error.strerror or error}",
                mend="Choose another place for the output.",
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._unlock()

    def _unlock(self) -> None:
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def _is_mine(self) -> bool:
        """Whether the folder is not there yet, or was made by a run."""
        if not os.path.lexists(self.folder):
            return True
        return self.folder.is_dir() and (
            (self.folder / PLAN).is_file() or not any(self.folder.iterdir())
        )

    def _same_plan(self) -> bool:
        try:
            return bool(json.loads((self.folder / PLAN).read_text()) == self._plan)
        except (OSError, ValueError):
            return False

    def segment(self, number: int) -> Path:
        """The file of a segment."""
        return self.folder / f"{number:06d}.nut"

    def _state(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"

    @property
    def finished(self) -> int:
        """How many segments are finished, without a gap."""
        number = 0
        while self.segment(number).is_file() and self._state(number).is_file():
            number += 1
        return number

    @property
    def segments(self) -> list[Path]:
        """The finished ones."""
        return [self.segment(number) for number in range(self.finished)]

    def save(self, number: int, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Mark a segment as finished, with the state after it.

        Raises:
            InputError: the disk is full.
        """
        text = np.frombuffer(json.dumps(values).encode(), np.uint8)
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **{"": text}, **arrays)  # type: ignore[arg-type]
        try:
            _write(self._state(number), file.getvalue())
            if number:  # the states before are not needed any more
                _write(self._state(number - 1), b"")
        except OSError as error:
            raise InputError(
                f"can't write {self._state(number)}: {error.strerror or error}",
                mend="Free some space and run the same command: it goes on from here.",
            ) from error

    def load(self, number: int) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """What `save` got for a segment; None when it can't be read."""
        try:
            with np.load(self._state(number), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            return json.loads(arrays.pop("").tobytes()), arrays
        except (OSError, ValueError, KeyError, EOFError):
            return None

    def note(self, written: Path) -> None:
        """Remember a file outside the folder that this work has written."""
        _write(self._noted(written), _identity(written).encode())

    def wrote(self, path: Path) -> bool:
        """Whether a file may be replaced: it isn't there, or is as `note` saw it."""
        if not os.path.lexists(path):
            return True
        try:
            return self._noted(path).read_text() == _identity(path)
        except OSError:
            return False

    def _noted(self, path: Path) -> Path:
        return self.folder / f"{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.written"

    def clear(self) -> None:
        """Throw away all segments."""
        for path in (*self.folder.glob("*.nut"), *self.folder.glob("*.npz")):
            path.unlink()

    def remove(self) -> None:
        """The output is there: nothing of this is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _identity(path: Path) -> str:
    if not path.is_file():  # a folder of frames
        return "folder"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: Path) -> str:
    """What tells one input from another: place, size, time, and its first bytes."""
    stat = path.stat()
    digest = hashlib.sha256(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}".encode())
    if path.is_file():
        with open(path, "rb") as file:
            digest.update(file.read(1 << 16))
    return digest.hexdigest()


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
