"""Photographs as they arrive in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from toonify.errors import InputError
from toonify.stylize.jobs import Job, folder_jobs

INTERVAL = 2.0  # seconds between two looks


def watch(
    folder: Path,
    output: Path | None,
    *,
    recursive: bool = False,
    suffix: str = ".png",
    interval: float = INTERVAL,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Job | None]:
    """Jobs for the photographs of a folder and for all that come later, for ever.

    A photograph is taken once it has not changed from one look to the next, so that none is read
    while it is copied, and again when it changes. None after each look: no more for now.

    Args:
        output: folder of the drawings; those of earlier runs, and all that lies there, are no
            photographs.

    Raises:
        InputError: the folder is missing, or can't be read any more.
    """
    taken: dict[Path, tuple[int, int]] = {}
    seen: dict[Path, tuple[int, int]] = {}
    first = True
    while True:
        now = time.time_ns()
        current: dict[Path, tuple[int, int]] = {}
        for job in folder_jobs(folder, output, recursive=recursive, suffix=suffix):
            if job.source is None or job.problem:
                continue
            try:
                status = job.source.stat()
            except OSError:
                continue  # gone again
            state = current[job.source] = (status.st_size, status.st_mtime_ns)
            settled = seen.get(job.source) == state or (
                first and now - status.st_mtime_ns > interval * 1e9
            )
            if settled and taken.get(job.source) != state:
                taken[job.source] = state
                yield job
        seen, first = current, False
        yield None
        sleep(interval)
        if not folder.is_dir():
            raise InputError(f"the folder {folder} is gone", hint="Start again when it is back.")
