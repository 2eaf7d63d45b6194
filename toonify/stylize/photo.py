"""A photograph on its way through a batch."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from toonify.faces import Alignment, Face
from toonify.media.images import Image
from toonify.stylize.jobs import Job
from toonify.stylize.options import Result


@dataclass(frozen=True, eq=False)
class Whole:
    """A photograph that is drawn as it is, with the faces in it."""

    image: np.ndarray
    faces: list[Face]


Unit = Alignment | Whole  # what drawings are made of, one each


@dataclass
class Photo:
    """A photograph whose faces wait for the generator.

    Attributes:
        names: of each face's characters, in the order of the options' `characters`.
        image: without pixels once the faces are cut out, where they are all that is drawn.
        there: what an earlier run has drawn, one list of drawings a face; it only needs its rows.
        writing: its drawings on their way to the disk.
        megapixels: taken from the budget, to be given back when all is written.
    """

    job: Job
    image: Image
    units: list[Unit]
    names: list[tuple[str, ...]]
    started: float
    sha256: str
    there: Result | None = None
    min_face: float | None = None
    found: int | None = None  # faces in a photograph that is drawn whole
    writing: list[Future[None]] = field(default_factory=list)
    megapixels: float = 0.0

    @property
    def faces(self) -> int:
        """How many are drawn."""
        return len(self.units) if self.found is None else self.found
