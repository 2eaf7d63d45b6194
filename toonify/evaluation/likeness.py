"""Measuring any function that draws photographs, in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from toonify.evaluation.probes import Probes
from toonify.evaluation.run import FunctionSubject, evaluate_photos
from toonify.evaluation.summary import summarize
from toonify.faces import FaceDetector, get_detector
from toonify.media.images import iter_images


class _Finder:
    """The default face detector, made on first use."""

    def __init__(self) -> None:
        self._detector: FaceDetector | None = None

    @property
    def detector(self) -> FaceDetector:
        if self._detector is None:
            self._detector = get_detector("auto")
        return self._detector


def evaluate_function(
    photos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    draw: Callable[[np.ndarray], np.ndarray],
    *,
    label: str = "drawing",
    aligned: bool = True,
    resolution: int = 512,
    probes: Probes | None = None,
    on_failure: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The figures of `toonify evaluate` for anything that draws.

    Args:
        photos: a folder, or files.
        draw: (S, S, 3) uint8, an FFHQ-aligned photograph, → its drawing, square, of any size.
        aligned: the photographs are FFHQ crops already, given to `draw` as they are; otherwise
            the crop of the largest face is, at `resolution`.
        probes: what measures; made anew by default.

    Returns:
        JSON-able figures, as those of a character in a report: `lineup` (top-1 by `descriptor` and
        `color`), `likeness` (see `compare_heads`; `glasses` and `beard` agreement; `thirds` of the
        photographs by lightness), `correlation`, `lpips`, `identity`; and `seconds` a drawing.

    Examples:
        >>> engine = PortraitEngine.from_bundle("default")
        >>> evaluate_function("crops/", lambda photo: engine.stylize(photo, "ink"))["lineup"]
    """
    if isinstance(photos, (str, os.PathLike)):
        paths = list(iter_images(photos))
    else:
        paths = [Path(photo) for photo in photos]
    subject = FunctionSubject(label, draw, resolution=resolution)
    run = evaluate_photos(
        paths,
        [subject],
        probes=Probes() if probes is None else probes,
        finder=_Finder(),
        aligned=aligned,
        on_failure=on_failure,
        progress=progress,
    )
    summary = summarize(run, subject)
    seconds = summary["seconds"].get("draw")
    return {"photos": len(run.rows), **summary["characters"][label], "seconds": seconds}
