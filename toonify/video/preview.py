"""First, middle and last frame, before and after, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from toonify.engines.base import Engine
from toonify.errors import InputError
from toonify.faces.types import RGB
from toonify.media.images import write_image
from toonify.media.video import Span, VideoFrame, open_clip, open_reader
from toonify.utils.outputs import InputFiles, check_output
from toonify.video.assignment import CharacterAssignment
from toonify.video.stills import draw_still

HEIGHT = 480  # px, of a frame on the sheet
GAP = 6  # px


def preview(
    source: Path,
    sheet: Path,
    engine: Engine,
    *,
    characters: Sequence[str] = (),
    span: Span | None = None,
    largest: bool = False,
) -> list[int]:
    """Draw three frames of a clip and write them below the originals.

    Args:
        sheet: a picture file.
        characters: rules, see `CharacterAssignment`; people are numbered from left to right here.

    Returns:
        How many faces each frame has.

    Raises:
        InputError: the clip can't be read, or the sheet not written.
    """
    check_output(sheet, InputFiles([source]), named=True)
    span = span or Span()
    columns, counts = [], []
    for frame in _three(source, span):
        assignment = CharacterAssignment(
            characters, engine.characters
        )  # nobody is followed between them
        drawn, count = draw_still(frame.rgb, engine, assignment, largest=largest)
        counts.append(count)
        columns.append([_shown(frame.rgb), _shown(drawn)])
    page = _grid(columns)
    write_image(sheet, page)
    return counts


def _three(source: Path, span: Span) -> list[VideoFrame]:
    clip = open_clip(source)
    if clip is None or clip.duration is None:
        return _spread(source, span)
    end = min(span.end or clip.duration, clip.duration)
    step = float(1 / clip.fps)
    frames = []
    for at in (span.start, (span.start + end) / 2, max(end - 1.5 * step, span.start)):
        frame = _first(source, replace(span, start=max(at, 0), end=None, fps=None))
        if frame is None:  # sound may go on after the last picture
            frame = _first(source, replace(span, start=max(at - 1, 0), end=None, fps=None))
        if frame is not None:
            frames.append(frame)
    if not frames:
        raise InputError(f"there is no frame in {source}", hint="Check `start` and `end`.")
    return frames


def _first(source: Path, span: Span) -> VideoFrame | None:
    try:
        reader = open_reader(source, open_clip(source), span)
    except InputError:
        return None
    try:
        return next(iter(reader), None)
    finally:
        reader.close()


def _spread(source: Path, span: Span) -> list[VideoFrame]:
    """Of a folder, or a clip that does not say how long it is."""
    reader = open_reader(source, open_clip(source), span)
    try:
        count = sum(1 for _ in reader)
    finally:
        reader.close()
    wanted = {0, count // 2, count - 1}
    reader = open_reader(source, open_clip(source), span)
    try:
        return [frame for frame in reader if frame.index in wanted]
    finally:
        reader.close()


def _shown(rgb: RGB) -> RGB:
    k = min(HEIGHT / rgb.shape[0], 1)
    size = (max(round(rgb.shape[1] * k), 1), max(round(rgb.shape[0] * k), 1))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _grid(columns: list[list[RGB]]) -> RGB:
    """Columns of equally large cells on white."""
    height, width = columns[0][0].shape[:2]
    rows = len(columns[0])
    page = np.full(
        (rows * (height + GAP) + GAP, len(columns) * (width + GAP) + GAP, 3), 255, np.uint8
    )
    for x, column in enumerate(columns):
        for y, cell in enumerate(column):
            top, left = GAP + y * (height + GAP), GAP + x * (width + GAP)
            page[top : top + height, left : left + width] = cell
    return page
