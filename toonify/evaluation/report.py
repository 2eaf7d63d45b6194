"""The report's folder: report.json, index.html and sheet.png, each whole or absent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch

from toonify import __version__
from toonify.errors import InputError
from toonify.evaluation.gallery import Gallery
from toonify.evaluation.probes import Probes
from toonify.evaluation.run import Run, Subject
from toonify.reports.sheet import SheetWriter
from toonify.utils.atomic import write_text, writing


def describe(
    run: Run,
    bundles: Sequence[dict[str, Any]],
    *,
    probes: Probes,
    device: str,
    dtype: str,
    given: int,
    **options: Any,
) -> dict[str, Any]:
    """What report.json says before its rows.

    Args:
        bundles: one `summarize` each.
        device, dtype: of the run.
        given: how many photos there were.
        options: further entries, such as `level`.
    """
    return {
        "format": 1,
        "toonify": __version__,
        "device": device,
        "dtype": dtype.removeprefix("torch."),
        "threads": torch.get_num_threads(),
        **options,
        "interrupted": run.interrupted,
        "photos": {
            "given": given,
            "toonified": len(run.rows),
            "share": len(run.rows) / max(1, len(run.rows) + len(run.failed)),
            "failed": run.failed,
        },
        "feature_network": probes.features.name if probes.features else None,
        "unavailable": probes.unavailable,
        "bundles": list(bundles),
    }


class ReportFolder:
    """Collects a run's pictures while it goes on, then writes the figures beside them.

    Use as a context manager: pictures go to temporary files, which get their names on `finish`.

    Raises:
        InputError: the folder can't be written.
    """

    def __init__(self, folder: Path, subjects: Sequence[Subject], *, photos: int) -> None:
        self.folder, self.subjects = folder, tuple(subjects)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"can't make the folder {folder}: {error.strerror or error}",
                hint="Choose another `output`.",
            ) from error
        # every character's subjects side by side, so that two editions can be compared
        names = dict.fromkeys(name for subject in subjects for name in subject.characters)
        self._cells = [(s.label, n) for n in names for s in subjects if n in s.characters]
        many = len(subjects) > 1
        headings = [f"{name} · {label}" if many else name for label, name in self._cells]
        self._stack = ExitStack()
        self._sheet = SheetWriter(folder / "sheet.png", ("photo", *headings))
        self._gallery = Gallery(folder / "index.html", self._cells, photos=photos)

    def add(
        self, record: dict[str, Any], crop: np.ndarray, drawn: dict[str, dict[str, np.ndarray]]
    ) -> None:
        """One toonified photo; see `evaluate_photos`."""
        pictures = [drawn[label][name] for label, name in self._cells]
        with writing(self.folder, hint="Make room, or choose another `output`."):
            self._sheet.add([crop, *pictures])
            self._gallery.add(str(record["photo"]), crop, pictures)

    def finish(self, report: dict[str, Any], run: Run) -> None:
        """Write everything under its name.

        Args:
            report: the summary; the rows are added to it.

        Raises:
            InputError: it can't be written.
        """
        text = json.dumps({**report, "rows": run.rows}, ensure_ascii=False, indent=1)
        path = self.folder / "report.json"
        with writing(self.folder, hint="Make room, or choose another `output`."):
            self._gallery.finish(report, run, self.subjects)
            write_text(path, text + "\n")

    def __enter__(self) -> ReportFolder:
        self._stack.enter_context(self._sheet)
        self._stack.enter_context(self._gallery)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
