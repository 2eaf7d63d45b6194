"""Many photographs at once: batches for the generator, files written, one record a photo.

Photographs are read, and drawings written, while others are drawn; faces are gathered into batches
for the generator; every failure stays with its own photograph. What is drawn carries a mark of what
it was drawn from and how, by which a later run knows what is there already.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from toonify.engines.base import Engine, aligned_region
from toonify.errors import InputError, ToonifyError
from toonify.faces import Face
from toonify.media.decoding import open_picture, opened
from toonify.media.images import Image, read_image
from toonify.stylize.ahead import Ahead, Budget
from toonify.stylize.drawer import LARGE, Drawer, is_large
from toonify.stylize.jobs import Job
from toonify.stylize.options import Options, Result, is_rule
from toonify.stylize.photo import Photo, Unit, Whole
from toonify.stylize.targets import Targets, photo_sha256
from toonify.stylize.writing import DrawingWriter
from toonify.utils.outputs import InputFiles

log = logging.getLogger(__name__)

DRAWING = "drawing"  # the mark's kind
LOSSLESS = (".png",)
WRITERS = 2
WAITING = 64  # photographs that need no drawing wait at most so many for those that do


@dataclass
class _Read:
    """What is done ahead of drawing.

    Attributes:
        faces: that were found; none are looked for in FFHQ crops.
        there: what an earlier run has drawn; it only needs its rows.
        megapixels: taken from the budget, to be given back.
    """

    image: Image
    faces: Sequence[Face]
    sha256: str
    started: float
    there: Result | None
    megapixels: float


class Batch:
    """Draws jobs with one engine.

    Args:
        engine: draws.
        options: how.
        inputs: all that the run reads, which is never replaced.
        sheet_rows: keep photograph and drawings in each `Result.rows` for a contact sheet.
        more, at_once: as of `Drawer`.
    """

    def __init__(
        self,
        engine: Engine,
        options: Options,
        *,
        inputs: InputFiles | None = None,
        sheet_rows: bool = False,
        more: Callable[[], Engine] | None = None,
        at_once: int = 1,
    ) -> None:
        self.engine = engine
        self.options = options
        self.sheet_rows = sheet_rows
        self.targets = Targets(options, InputFiles() if inputs is None else inputs)
        self._drawer = Drawer(
            engine,
            together=options.batch_size,
            aligned=options.aligned,
            more=more,
            at_once=at_once,
        )
        self._detecting, self._large = threading.Lock(), threading.Lock()

    def run(self, jobs: Iterable[Job | None]) -> Generator[Result, None, None]:
        """One result a job, in the jobs' order.

        Nothing is raised for a photograph that fails: its result says why. Close the iterator when
        you leave it early: threads are at work for it.

        Args:
            jobs: None among them means that there are no more for now: all results up to there
                are given before the next job is taken.

        Raises:
            UsageError: options out of range.
        """
        most = 1 if self.options.fail_fast else self.options.max_failures
        failures = 0
        self._writer = DrawingWriter(
            self.engine, self.options, self.targets, sheet_rows=self.sheet_rows
        )
        try:
            with closing(self._results(jobs, careful=most is not None)) as results:
                for result in results:
                    yield result
                    failures += result.status == "failed"
                    if most is not None and failures >= most:
                        return
        finally:
            self._writer.close()

    def _results(
        self, jobs: Iterable[Job | None], *, careful: bool
    ) -> Generator[Result, None, None]:
        """Args: careful: nothing beyond a failure is begun before it is reported."""
        waiting: list[Photo | Result] = []
        written: deque[tuple[Photo | None, Result]] = deque()
        self._budget = Budget()
        with Ahead(self._read, self._budget) as ahead:
            for step in ahead.through(jobs):
                drained = step is None
                if step is not None:
                    job, reading = step
                    while not wait([reading], timeout=0.05).done:
                        if self._budget.exhausted and written:
                            yield from self._settled(written)
                        elif self._budget.exhausted:  # by what waits for the generator
                            written += self._flush(waiting)
                            waiting = []
                    prepared = self._prepared(job, reading.result())
                    failed = isinstance(prepared, Result) and prepared.status == "failed"
                    large = isinstance(prepared, Photo) and any(map(is_large, prepared.units))
                    waiting.append(prepared)
                    del prepared, reading, step  # large: not to be kept until the next is read
                    # What is there counts too, so that a run that is gone on with draws the same
                    # faces together as one without a break: to the last bit the same drawings.
                    faces = sum(_together(item) for item in waiting)
                    enough = faces >= self._drawer.together or len(waiting) >= WAITING
                    if not enough and not large and not (failed and careful):
                        continue
                written += self._flush(waiting)
                waiting = []
                yield from self._settled(written, all_but=0 if drained else WAITING)
            written += self._flush(waiting)
            yield from self._settled(written)

    def _read(self, number: int, job: Job) -> _Read | Result:
        """What is done ahead, in a thread: look what is there, hash and decode the photograph, and
        find its faces."""
        started = time.perf_counter()
        megapixels, taken = 0.0, False
        try:
            there = self._before(job)
            if there is not None and not self.sheet_rows:
                return there
            megapixels = _megapixels(job)
            self._budget.take(number, megapixels)
            taken = True
            stream = _Hashing(sys.stdin.buffer) if job.source is None else None
            image = read_image(stream or job.source)  # type: ignore[arg-type]
            sha256 = stream.hexdigest() if stream else photo_sha256(job.source)  # type: ignore[arg-type]
            return _Read(image, self._faces(image), sha256, started, there, megapixels)
        except Exception as error:
            if taken:
                self._budget.give(megapixels)
            return self._failed(job, error, started)
        finally:
            if not taken:
                self._budget.take(number, 0.0)  # its turn is over

    def _prepared(self, job: Job, read: _Read | Result) -> Photo | Result:
        """A photograph that was read, its faces cut out."""
        if isinstance(read, Result) and read.status == "skipped":
            nothing = Image(np.zeros((0, 0, 3), np.uint8))
            return Photo(job, nothing, [], [], 0.0, read.sha256 or "", read)
        if isinstance(read, Result):
            return read
        try:
            photo = self._prepare(job, read)
        except Exception as error:
            self._budget.give(read.megapixels)
            return self._failed(job, error, read.started)
        if self.options.mode == "crop" and not self.options.aligned:
            photo.image = replace(photo.image, rgb=photo.image.rgb[:0], alpha=None)
            self._budget.give(read.megapixels)
        else:
            photo.megapixels = read.megapixels
        return photo

    def _settled(
        self, written: deque[tuple[Photo | None, Result]], *, all_but: int = 0
    ) -> Iterator[Result]:
        """Results whose drawings are on the disk; waits for those of all but the last few."""
        while written:
            photo, result = written[0]
            writing = [] if photo is None else photo.writing
            if len(written) <= all_but and not all(future.done() for future in writing):
                return
            written.popleft()
            try:
                for future in writing:
                    future.result()
            except Exception as error:
                assert photo is not None
                result = self._failed(photo.job, error, photo.started)
            if photo is not None:
                self._budget.give(photo.megapixels)
                if result.status == "ok":
                    result.seconds = time.perf_counter() - photo.started
            yield result

    def _again(self, photo: Photo) -> None:
        """Read what is there already once more, for those that are drawn together with it."""
        if photo.there is None or photo.units or photo.job.source is None:
            return
        try:
            image = read_image(photo.job.source)
            faces = self._faces(image)
            read = _Read(image, faces, photo.sha256, photo.started, photo.there, 0.0)
            again = self._prepare(photo.job, read)
        except Exception:  # it was drawn, and nothing more is wanted of it
            return
        photo.units, photo.names = again.units, again.names

    def _before(self, job: Job) -> Result | None:
        """What is there already of a job that may be drawn.

        Raises:
            ToonifyError: it may not.
        """
        options = self.options
        if job.problem:
            raise InputError(f"can't read {job.name}: {job.problem}")
        targets = self.targets.known(job)
        present = [path for path in targets if os.path.lexists(path)]
        kept = options.existing == "skip" or (options.existing == "error" and not job.explicit)
        there = self.targets.there(job) if present and kept else None
        if there is None:
            for path in targets:
                self.targets.check(job, path)
            if present and options.existing == "error" and not job.explicit:
                raise InputError(
                    f"{present[0]} is there, of another photo or other options",
                    hint="Add `overwrite` to draw all anew, or `skip_existing` what has changed.",
                )
        return there

    def _faces(self, image: Image) -> Sequence[Face]:
        """Faces of a photograph, as many as are wanted."""
        if self.options.aligned:
            return []
        rgb = image.flat
        # none is looked at while another is drawn, for memory's sake
        alone = self._large if rgb.shape[0] * rgb.shape[1] >= LARGE else nullcontext()
        with alone, self._detecting:  # a detector is one thread's at a time
            return self.engine.detect(rgb, largest=self._largest)

    @property
    def _largest(self) -> bool:
        """Whether each photograph's largest face is the one that is drawn."""
        options = self.options
        return options.mode != "whole" and options.faces == "largest" and options.only is None

    def _prepare(self, job: Job, read: _Read) -> Photo:
        """The faces of a photograph, cut out."""
        options, image = self.options, read.image
        started, sha256, there = read.started, read.sha256, read.there
        if options.aligned:
            rgb = image.flat
            height, width = rgb.shape[:2]
            if height != width:
                raise InputError(
                    f"{job.name} is {width}x{height}, an aligned face is square",
                    hint="Leave `aligned` out.",
                )
            names = self._cast([0.5])
            return Photo(job, image, [aligned_region(image.rgb)], names, started, sha256, there)
        rgb = image.flat
        faces = list(read.faces)
        smallest = self.engine.smallest_face(rgb)
        if not faces and (options.mode != "whole" or options.require_face):
            missed = f" (below {smallest:.0f} px none are looked for)" if smallest else ""
            raise InputError(
                f"no face found in {job.name}{missed}",
                hint="Try a larger or frontal face, a smaller `min_face`, or `aligned` for an FFHQ"
                " crop.",
            )
        if options.mode == "whole":
            names = [options.characters]
            units: list[Unit] = [Whole(rgb, faces)]
            photo = Photo(job, image, units, names, started, sha256, there)
            photo.found, photo.min_face = len(faces), round(smallest, 1) or None
            return photo
        if options.only is not None:
            faces = [_chosen(faces, options.only, job.name)]
        elif self._largest:
            faces = faces[:1]
        regions: list[Unit] = [self.engine.region(rgb, face) for face in faces]
        names = self._cast([float(f.points5[:, 0].mean()) / rgb.shape[1] for f in faces])
        photo = Photo(job, image, regions, names, started, sha256, there)
        photo.min_face = None if self._largest else round(smallest, 1) or None
        return photo

    def _cast(self, across: Sequence[float]) -> list[tuple[str, ...]]:
        """The names under which faces at these places, 0 left to 1 right, are drawn."""
        columns = []
        for name in self.options.characters:
            if not is_rule(name):
                columns.append([name] * len(across))
                continue
            from toonify.video.assignment import CharacterAssignment

            known = [n for n in self.engine.characters if n not in self.options.styles]
            columns.append(CharacterAssignment([name], known).cast(across))
        return list(zip(*columns, strict=True))

    def _flush(self, waiting: list[Photo | Result]) -> list[tuple[Photo | None, Result]]:
        """Draw what waits; its drawings are then on their way to the disk."""
        results: list[tuple[Photo | None, Result]] = []
        photos = [photo for photo in waiting if isinstance(photo, Photo)]
        if any(photo.there is None for photo in photos):
            for photo in photos:
                self._again(photo)
        else:
            photos = []
        units = [unit for photo in photos for unit in photo.units]
        names = [names for photo in photos for names in photo.names]
        with self._large if any(map(is_large, units)) else nullcontext():
            drawn = iter(self._drawer.draw(units, names))
        for item in waiting:
            if isinstance(item, Result):
                results.append((None, item))
                continue
            try:
                toons = [next(drawn) for _ in item.units] if photos else []
                if item.there is None:
                    result = self._writer.finish(item, toons)
                elif self.sheet_rows:
                    result = self._writer.with_rows(item, item.there)
                else:
                    result = item.there
            except Exception as error:
                result = self._failed(item.job, error, item.started)
            results.append((item, result))
        return results

    def _failed(self, job: Job, error: Exception, started: float) -> Result:
        log.debug("%s failed", job.name, exc_info=error)
        expected = isinstance(error, ToonifyError)
        message = str(error) if expected else f"{type(error).__name__}: {error}"
        if job.name not in message:
            message = f"{job.name}: {message}"
        seconds = time.perf_counter() - started
        return Result(job.label, "failed", error=" ".join(message.split()), seconds=seconds)


def _chosen(faces: Sequence[Face], only: str, name: str) -> Face:
    """Who is meant by "left", "middle", "right" or a number from the left."""
    order = sorted(faces, key=lambda face: float(face.points5[:, 0].mean()))
    places = {"left": 0, "middle": (len(order) - 1) // 2, "right": len(order) - 1}
    at = places[only] if only in places else int(only) - 1
    if not 0 <= at < len(order):
        people = "1 face" if len(order) == 1 else f"{len(order)} faces"
        raise InputError(f"there is no face {only} in {name}, which has {people}")
    return order[at]


class _Hashing:
    """A stream whose bytes are hashed as they are read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._digest = stream, hashlib.sha256()
        self.name = getattr(stream, "name", "<stdin>")

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._digest.update(data)
        return data

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _megapixels(job: Job) -> float:
    """Of a photograph, by its header; 0 where that is unknown."""
    if job.source is None:
        return 0.0
    try:
        with opened(job.source) as (file, name):
            width, height = open_picture(file, name).size
    except Exception:  # whatever it is, reading it will say so
        return 0.0
    return width * height / 1e6


def _together(item: Photo | Result) -> int:
    """How many faces of it are drawn, or were."""
    if isinstance(item, Result):
        return 0
    return len(item.units) or (item.there.faces if item.there else 0) or 0
