"""Work that survives being killed: finished segments and what is needed to go on after them.

A segment counts as finished when its record is there, which is written after it and the state, and
when its bytes have the record's hash. Any other is drawn again, from the newest state before it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from toonify.errors import InputError, ToonifyError
from toonify.utils.atomic import writing
from toonify.utils.durable import write_durably
from toonify.utils.hashing import file_sha256
from toonify.utils.links import real_path

PLAN = "plan.json"
KEPT = 3  # newest states that are kept, in case the last ones are damaged,
KEPT_EVERY = 8  # and of the others one in so many
_FORMER = {"steadiness": "warping_error"}  # names of values, as once written

State = tuple[dict[str, Any], dict[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Gap:
    """Segments to be drawn: from `begin`, with the state before it (None: from the clip's start),
    to `missing`, the first that is not there."""

    begin: int
    missing: int
    state: State | None


class ResumeState:
    """Segments of one output, in a folder beside it.

    Args:
        output: the file or folder that is being made.
        plan: all that the result depends on, JSON-able; work on another plan is thrown away.
        resume: go on with what is there.
        patience: seconds to wait for another run that is at work in it.
        part: numbers of the segments that are drawn here while others draw the rest; the folder
            was made, and is held, by whoever shared the work out.

    Raises:
        InputError: it can't be made, or another run is at work in it.
    """

    def __init__(
        self,
        output: Path,
        plan: dict[str, Any],
        *,
        resume: bool = True,
        patience: float = 0,
        part: range | None = None,
    ) -> None:
        self.part = part
        self.folder = output.with_name(f"{output.name}.parts")
        self.output, self._plan, self._resume = output, plan, resume
        self._patience = patience
        self.redrawn: list[int] = []  # segments that were damaged
        self._whole: dict[int, bool] = {}  # whole segments, and whether it is the clip's last
        self._lock = FileLock(self.folder.with_name(f".{self.folder.name}.lock"))

    def __enter__(self) -> ResumeState:
        if self.part is not None:
            if not self._same_plan():
                raise InputError(
                    f"{self.folder} is not the work that this part is of",
                    hint="Have all machines the same files under the same paths?",
                )
            self._inspect()
            return self
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=self._patience)
            if self.folder.is_symlink() or not self._is_mine():
                raise InputError(
                    f"{self.folder} is there and is no unfinished work: it stays",
                    hint="Move it away, or choose another `output`.",
                )
            if self.folder.exists() and not (self._resume and self._same_plan()):
                shutil.rmtree(self.folder)
            self.folder.mkdir(exist_ok=True)
            write_durably(self.folder / PLAN, json.dumps(self._plan, indent=1).encode())
            self._inspect()
        except ToonifyError:
            self._unlock()
            raise
        except Timeout as error:
            raise InputError(
                f"another run is writing {self.output}",
                hint="Wait for it, or choose another `output`.",
            ) from error
        except OSError as error:
            self._unlock()
            raise InputError(
                f"can't work in {self.folder}: {error.strerror or error}",
                hint="Choose another place for the output.",
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.part is None:
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

    def _record(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"

    @property
    def segments(self) -> list[Path]:
        """The whole ones without a gap, from the first on."""
        return [self.segment(number) for number in range(self._first_missing())]

    @property
    def end(self) -> int | None:
        """Number of the clip's last segment, None until it is known."""
        return next((number for number, last in self._whole.items() if last), None)

    @property
    def count(self) -> int:
        """How many segments are whole."""
        return len(self._whole)

    def after(self, part: range) -> dict[str, Any] | None:
        """The values saved behind a part's last segment; None where not all of it is there."""
        end = self.end
        stop = part.stop if end is None else min(part.stop, end + 1)
        if stop <= part.start or not all(
            number in self._whole for number in range(part.start, stop)
        ):
            return None
        state = self.load(stop - 1)
        return None if state is None else state[0]

    def _first_missing(self) -> int:
        number = 0 if self.part is None else self.part.start
        while number in self._whole:
            number += 1
        return number

    def next_gap(self) -> Gap | None:
        """What is to be drawn next; None when all is there."""
        missing, first = self._first_missing(), 0
        if self.part is not None:
            first = self.part.start
            if missing >= self.part.stop or (self.end is not None and missing > self.end):
                return None
        elif self.end is not None and missing > self.end:
            if self.load(self.end) is not None:
                return None
            missing = self.end  # the report is in its state
            del self._whole[missing]
            self.redrawn.append(missing)
        begin = missing
        state: State | None = None
        while begin > first and (state := self.load(begin - 1)) is None:
            begin -= 1
            self.redrawn.append(begin)
        return Gap(begin, missing, state if begin > first else None)

    def known(self, number: int) -> bool:
        """Whether a segment is there and whole."""
        return number in self._whole

    def save(
        self, number: int, values: dict[str, Any], arrays: dict[str, np.ndarray], *, last: bool
    ) -> None:
        """Mark a segment as finished, with the state after it.

        Args:
            last: no other segment follows.

        Raises:
            InputError: the disk is full.
        """
        text = np.frombuffer(json.dumps(values).encode(), np.uint8)
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **{"": text}, **arrays)  # type: ignore[arg-type]
        path = self.segment(number)
        with writing(
            self._state(number),
            hint="Free some space and run the same command: it goes on from here.",
        ):
            record = {"sha256": file_sha256(path), "last": last}
            write_durably(self._state(number), file.getvalue())
            write_durably(self._record(number), json.dumps(record).encode())
            old = number - KEPT
            first = 0 if self.part is None else self.part.start
            if old >= first and (old + 1) % KEPT_EVERY:
                self._state(old).unlink(missing_ok=True)
        self._whole[number] = last

    def load(self, number: int) -> State | None:
        """What `save` got for a segment; None when it can't be read."""
        try:
            with np.load(self._state(number), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            return _renamed(json.loads(arrays.pop("").tobytes())), arrays
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None

    def note(self, written: Path) -> None:
        """Remember a file outside the folder that this work has written."""
        write_durably(self._noted(written), _identity(written).encode())

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

    def _inspect(self) -> None:
        """Find out which segments are whole; damaged ones are noted, to be drawn again."""
        for record in sorted(self.folder.glob("*.json")):
            if not record.stem.isdecimal():
                continue
            number = int(record.stem)
            if self.part is not None and number not in self.part:
                continue  # another worker's
            try:
                about = json.loads(record.read_bytes())
                whole = about["sha256"] == file_sha256(self.segment(number))
                if whole:
                    self._whole[number] = bool(about["last"])
            except (OSError, ValueError, TypeError, KeyError):
                whole = False
            if not whole:
                self.redrawn.append(number)

    def remove(self) -> None:
        """The output is there: nothing of this is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a state, those of former names by today's."""
    for part in (values, values.get("pipeline", {})):
        for former, name in _FORMER.items():
            if former in part:
                part[name] = part.pop(former)
    return values


def _identity(path: Path) -> str:
    if not path.is_file():  # a folder of frames
        return "folder"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: Path) -> str:
    """What tells one input from another: place, size, time, and its first bytes."""
    stat = path.stat()
    digest = hashlib.sha256(
        f"{real_path(path)}|{stat.st_size}|{stat.st_mtime_ns}".encode("utf-8", "surrogateescape")
    )
    if path.is_file():
        with open(path, "rb") as file:
            digest.update(file.read(1 << 16))
    return digest.hexdigest()
