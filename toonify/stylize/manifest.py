"""Manifests: a JSON line a photograph, appended to by every run."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toonify.errors import UsageError
from toonify.utils.atomic import writing
from toonify.utils.outputs import is_manifest
from toonify.utils.text import json_line


class Manifest:
    """Appends records to a file, a line each, at once and whole.

    What earlier runs wrote stays; a record that says nothing new of its source is not written
    again, so that a run that is gone on with leaves the same lines as one without a break.

    Args:
        path: a file that is new, empty or a manifest; or a device or pipe.

    Raises:
        UsageError: the file holds something else.
        InputError: it can't be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, dict[str, Any]] = {}
        with writing(path, hint="Choose another `manifest`."):
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            if path.exists() and not path.is_file():
                self._file = os.open(path, flags)
                self._regular = False
                return
            if path.exists():
                if not is_manifest(path):
                    raise UsageError(
                        f"{path} is there and is no manifest: it stays",
                        hint="Choose another `manifest`.",
                    )
                self._repair_and_read()
            self._file = os.open(path, flags, 0o666)
            self._regular = stat.S_ISREG(os.fstat(self._file).st_mode)

    def _repair_and_read(self) -> None:
        """Note the last record of each source; a line that a kill cut off is taken away."""
        whole = 0
        with open(self.path, "r+b") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    file.truncate(whole)
                    break
                whole += len(line)
                try:
                    record = json.loads(line)
                    self._known[record["source"]] = _outcome(record)
                except (ValueError, KeyError, TypeError):
                    continue  # a line that somebody wrote by hand

    def known(self, record: Mapping[str, Any]) -> bool:
        """Whether the last line of this source says the same already."""
        return self._known.get(record["source"]) == _outcome(record)

    def add(self, record: Mapping[str, Any]) -> None:
        """Append a record, unless it says nothing new.

        Raises:
            OSError: a full disk, say; the file ends after the record before.
        """
        if self.known(record):
            return
        line = (json_line(record) + "\n").encode("utf-8")
        before = os.fstat(self._file).st_size if self._regular else 0
        try:
            written = os.write(self._file, line)
            while written < len(line):  # a signal, or a disk that is about to be full
                written += os.write(self._file, line[written:])
        except OSError:
            if self._regular:
                os.ftruncate(self._file, before)
            raise
        self._known[record["source"]] = _outcome(record)

    def close(self) -> None:
        """Nothing more will be added."""
        os.close(self._file)

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _outcome(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without what differs between two runs that do the same."""
    return json.loads(json.dumps({k: v for k, v in record.items() if k != "seconds"}))  # type: ignore[no-any-return]
