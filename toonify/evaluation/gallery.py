"""An HTML page with every photo beside its drawings; one file, which opens from disk."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from toonify.evaluation.page import FOOT, HEAD
from toonify.evaluation.run import Run, Subject
from toonify.evaluation.summary import deviations
from toonify.media.images import encode_image
from toonify.utils.atomic import Temporary, writing

# pixels of a picture; pages with more photos than this get the smaller one
TILE, SMALL_TILE, MANY = 256, 144, 200


class Gallery:
    """Writes the page as the photos come, so that any number of them fits in memory.

    The file appears under its name on `finish`.

    Args:
        path: the page.
        cells: (subject's label, character) of each drawing in a row.
        photos: how many there may be, which decides their size on the page.

    Raises:
        InputError: the file can't be written.
    """

    def __init__(self, path: Path, cells: Sequence[tuple[str, str]], *, photos: int) -> None:
        self.path, self.cells = path, tuple(cells)
        self._tile = TILE if photos <= MANY else SMALL_TILE
        with writing(path, hint="Choose another `output`."):
            self._temporary = Temporary(path)
            self._file = open(  # noqa: SIM115 (closed in __exit__)
                self._temporary.path, "w", encoding="utf-8", errors="backslashreplace"
            )
        self._file.write(HEAD)

    def add(self, name: str, photo: np.ndarray, drawings: Sequence[np.ndarray]) -> None:
        """One row: (H, W, 3) uint8 pictures."""
        figures = [self._figure(photo, "photo", 'class="source"')]
        for (label, character), drawing in zip(self.cells, drawings, strict=True):
            marks = f'data-b="{html.escape(label)}" data-c="{html.escape(character)}"'
            figures.append(self._figure(drawing, f"{character} · {label}", marks))
        title = html.escape(name)
        self._file.write(
            f'<article data-n="{title}"><h3>{title}</h3><div>{"".join(figures)}</div></article>\n'
        )

    def finish(self, report: dict[str, Any], run: Run, subjects: Sequence[Subject]) -> None:
        """Add the figures and give the page its name."""
        by_subject = {subject.label: deviations(run, subject) for subject in subjects}
        data = {
            "report": report,
            "cells": self.cells,
            "rows": [
                [
                    {k: round(v, 4) for k, v in by_subject[label][name][i].items()}
                    for label, name in self.cells
                ]
                for i in range(len(run.rows))
            ],
        }
        # a script's text ends at "</script", also within a string
        text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
        self._file.write(FOOT.replace("@DATA@", text))
        self._file.close()
        self._temporary.commit()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # a full disk, which has been reported
            self._file.close()
        self._temporary.discard()

    def _figure(self, picture: np.ndarray, title: str, marks: str) -> str:
        small = Image.fromarray(picture).resize((self._tile,) * 2, Image.Resampling.LANCZOS)
        data = base64.b64encode(encode_image(np.asarray(small), "jpg", quality=85)).decode()
        return (
            f'<figure {marks}><img alt="{html.escape(title)}" loading="lazy"'
            f' src="data:image/jpeg;base64,{data}"><figcaption></figcaption></figure>'
        )
