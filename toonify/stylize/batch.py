"""Many photographs at once: batches for the generator, files written, one record a photo.

Photographs are read, and drawings written, while others are drawn; faces are gathered into batches
for the generator; every failure stays with its own photograph. What is drawn carries a mark of what
it was drawn from and how, by which a later run knows what is there already.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from toonify.engines.base import Engine, aligned_region
from toonify.errors import InputError, ToonifyError, UsageError
from toonify.faces import Alignment, Face
from toonify.media.decoding import open_picture, opened
from toonify.media.images import Image, encode_image, over_white, read_image, write_file
from toonify.stylize.ahead import Ahead, Budget
from toonify.stylize.drawer import Drawer
from toonify.stylize.jobs import STREAM, Job, numbered
from toonify.stylize.options import Options, Result
from toonify.stylize.photo import Photo, Unit, Whole
from toonify.utils import marks
from toonify.utils.hashing import file_sha256
from toonify.utils.outputs import InputFiles, check_output

DRAWING = "drawing"  # the mark's kind
LOSSLESS = (".png",)
WRITERS = 2
WAITING = 64  # photographs that need no drawing wait at most so many for those that do


@dataclass
class _Read:
    """What is done ahead of drawing.

    Attributes:
        there: what an earlier run has drawn; it only needs its rows.
        megapixels: taken from the budget, to be given back.
    """

    image: Image
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
    """

    def __init__(
        self,
        engine: Engine,
        options: Options,
        *,
        inputs: InputFiles | None = None,
        sheet_rows: bool = False,
    ) -> None:
        self.engine = engine
        self.options = options
        self.inputs = InputFiles() if inputs is None else inputs
        self.sheet_rows = sheet_rows
        self._digests = {name: options.digest(name) for name in options.characters}
        self._settings = options.settings() | {"characters": list(options.characters)}
        self._drawer = Drawer(engine, together=options.batch_size, aligned=options.aligned)

    def check(self, jobs: Sequence[Job]) -> None:
        """Refuse jobs of which a drawing would replace something that is read.

        Raises:
            UsageError: one would, or two jobs have one target.
        """
        if self.options.name is not None:
            self.options.name.check(
                characters=len(self.options.characters), several_faces=self._by_face
            )
        owners: dict[Path, Job] = {}
        for job in jobs:
            for path in self._known_targets(job):
                if job.explicit or self.inputs.is_taken(path):
                    self._check_target(job, path)
                if (other := owners.setdefault(path, job)) is not job:
                    raise UsageError(
                        f"{other.name} and {job.name} would both become {path}",
                        hint="Convert them in separate runs, or choose another `name`.",
                    )

    def run(self, jobs: Iterable[Job | None]) -> Generator[Result, None, None]:
        """One result a job, in the jobs' order.

        Nothing is raised for a photograph that fails: its result says why. Close the iterator when
        you leave it early: threads are at work for it.

        Args:
            jobs: None among them means that there are no more for now: all results up to there
                are given before the next job is asked for.

        Raises:
            UsageError: options out of range.
        """
        most = 1 if self.options.fail_fast else self.options.max_failures
        failures = 0
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="write")
        try:
            with closing(self._results(jobs, careful=most is not None)) as results:
                for result in results:
                    yield result
                    failures += result.status == "failed"
                    if most is not None and failures >= most:
                        return
        finally:
            self._writers.shutdown(wait=True, cancel_futures=True)

    def _results(
        self, jobs: Iterable[Job | None], *, careful: bool
    ) -> Generator[Result, None, None]:
        """Args: careful: nothing beyond a failure is begun before it is told."""
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
                    waiting.append(prepared)
                    del prepared, reading, step  # large: not to be kept until the next is read
                    # What is there counts too, so that a run that is gone on with draws the same
                    # faces together as one without a break: to the last bit the same drawings.
                    faces = sum(_together(item) for item in waiting)
                    enough = faces >= self._drawer.together or len(waiting) >= WAITING
                    if not enough and not (failed and careful):
                        continue
                written += self._flush(waiting)
                waiting = []
                yield from self._settled(written, all_but=0 if drained else WAITING)
            written += self._flush(waiting)
            yield from self._settled(written)

    def _read(self, number: int, job: Job) -> _Read | Result:
        """What is done ahead, in a thread: look what is there, hash and decode the photograph."""
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
            sha256 = stream.hexdigest() if stream else _photo_sha256(job.source)  # type: ignore[arg-type]
            return _Read(image, sha256, started, there, megapixels)
        except Exception as error:
            if taken:
                self._budget.give(megapixels)
            return self._failed(job, error, started)
        finally:
            if not taken:
                self._budget.take(number, 0.0)  # its turn is over

    def _prepared(self, job: Job, read: _Read | Result) -> Photo | Result:
        """The faces of a photograph that was read."""
        if isinstance(read, Result) and read.status == "skipped":
            nothing = Image(np.zeros((0, 0, 3), np.uint8))
            return Photo(job, nothing, [], [], 0.0, read.sha256 or "", read)
        if isinstance(read, Result):
            return read
        try:
            photo = self._prepare(job, read.image, read.started, read.sha256, read.there)
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
            again = self._prepare(photo.job, image, photo.started, photo.sha256, photo.there)
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
        targets = self._known_targets(job)
        present = [path for path in targets if os.path.lexists(path)]
        kept = options.existing == "skip" or (options.existing == "error" and not job.explicit)
        there = self._there(job) if present and kept else None
        if there is None:
            for path in targets:
                self._check_target(job, path)
            if present and options.existing == "error" and not job.explicit:
                raise InputError(
                    f"{present[0]} is there, of another photo or other options",
                    hint="Add `overwrite` to draw all anew, or `skip_existing` what has changed.",
                )
        return there

    def _prepare(
        self, job: Job, image: Image, started: float, sha256: str, there: Result | None
    ) -> Photo:
        """The faces of a photograph, cut out."""
        options = self.options
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
        largest = options.mode != "whole" and options.faces == "largest" and options.only is None
        faces = self.engine.detect(rgb, largest=largest)
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
        elif largest:
            faces = faces[:1]
        regions: list[Unit] = [self.engine.region(rgb, face) for face in faces]
        names = self._cast([float(f.points5[:, 0].mean()) / rgb.shape[1] for f in faces])
        photo = Photo(job, image, regions, names, started, sha256, there)
        photo.min_face = None if largest else round(smallest, 1) or None
        return photo

    def _cast(self, across: Sequence[float]) -> list[tuple[str, ...]]:
        """The names under which faces at these places, 0 left to 1 right, are drawn."""
        columns = []
        order = sorted(range(len(across)), key=lambda face: across[face])
        for name in self.options.characters:
            if not is_rule(name):
                columns.append([name] * len(across))
                continue
            from toonify.video.assignment import CharacterAssignment

            known = [n for n in self.engine.characters if n not in self.options.styles]
            assignment = CharacterAssignment([name], known)
            assignment.appear({number: across[face] for number, face in enumerate(order, 1)})
            columns.append([assignment[order.index(face) + 1] for face in range(len(across))])
        return list(zip(*columns, strict=True))

    def _there(self, job: Job) -> Result | None:
        """What an earlier run has drawn of this photograph with these options, if it is all."""
        if job.source is None or job.target is None:
            return None
        sha256 = ""
        outputs, faces = [], 1
        for name in self.options.characters:
            face, of = 0, 1
            while face < of:
                path = self._named(job.target, face, name)
                mark = marks.read_mark(path)
                if mark is None or not marks.names(mark, path):
                    return None
                if mark.get("settings") != self._digests[name]:
                    return None
                sha256 = sha256 or _photo_sha256(job.source)
                if mark.get("input") != sha256 or not isinstance(mark.get("about"), dict):
                    return None
                outputs.append({"path": str(path), **mark["about"]})
                faces = int(mark.get("faces", 1))
                of = faces if self._by_face else 1
                face += 1
        outputs.sort(key=lambda output: output.get("face", 0))
        return Result(
            job.label,
            "skipped",
            outputs,
            seconds=None,
            sha256=sha256,
            settings=self._settings,
            faces=faces,
        )

    @property
    def _by_face(self) -> bool:
        """Whether every face has a file of its own."""
        options = self.options
        return options.mode == "crop" and options.faces == "all" and not options.aligned

    def _named(self, target: Path, face: int, character: str) -> Path:
        if self.options.name is not None:
            return self.options.name.path(
                target, character=character, face=face + 1, level=self.options.level
            )
        return numbered(
            target,
            face=face + 1 if self._by_face else None,
            character=character if len(self.options.characters) > 1 else None,
        )

    def _known_targets(self, job: Job) -> list[Path]:
        """Outputs that are certain before the faces are counted: those of the first one."""
        if job.target is None:
            return []
        return [self._named(job.target, 0, name) for name in self.options.characters]

    def is_fresh(self, job: Job) -> bool:
        """Whether nothing lies yet where a job's drawings go."""
        return not any(os.path.lexists(path) for path in self._known_targets(job))

    def _check_target(self, job: Job, path: Path) -> None:
        named = job.explicit and path == job.target
        check_output(path, self.inputs, named=named, folder=job.folder)

    def _flush(self, waiting: list[Photo | Result]) -> list[tuple[Photo | None, Result]]:
        """Draw what waits; its drawings are then on their way to the disk."""
        results: list[tuple[Photo | None, Result]] = []
        photos = [photo for photo in waiting if isinstance(photo, Photo)]
        if any(photo.there is None for photo in photos):
            for photo in photos:
                self._again(photo)
        else:
            photos = []
        drawn = iter(
            self._drawer.draw(
                [unit for photo in photos for unit in photo.units],
                [names for photo in photos for names in photo.names],
            )
        )
        for item in waiting:
            if isinstance(item, Result):
                results.append((None, item))
                continue
            try:
                toons = [next(drawn) for _ in item.units] if photos else []
                if item.there is None:
                    result = self._finish(item, toons)
                elif self.sheet_rows:
                    result = self._with_rows(item, item.there)
                else:
                    result = item.there
            except Exception as error:
                result = self._failed(item.job, error, item.started)
            results.append((item, result))
        return results

    def _finish(self, photo: Photo, drawn: Sequence[Sequence[Any] | Exception]) -> Result:
        toons: list[Sequence[Any]] = []
        for row in drawn:
            if isinstance(row, Exception):
                raise row
            toons.append(row)
        result = Result(
            photo.job.label,
            "ok",
            sha256=photo.sha256,
            settings=self._settings,
            faces=photo.faces,
            min_face=photo.min_face,
        )
        if photo.found == 0:
            result.note = "no face found: drawn as a scene"
        if photo.image.reduced > 1:
            reduced = f"read at 1/{photo.image.reduced} of its size: see `max_pixels`"
            result.note = f"{result.note}; {reduced}" if result.note else reduced
        if self.options.mode == "paste":
            self._write_pasted(photo, toons, result)
        else:
            self._write_crops(photo, toons, result)
        return result

    def _write_crops(self, photo: Photo, toons: Sequence[Sequence[Any]], result: Result) -> None:
        for index, row in enumerate(toons):
            unit = photo.units[index]
            shown = [unit.image]
            about: dict[str, Any] = {"face": index + 1}
            alpha = None
            if photo.found is not None:
                about, alpha = {"faces": photo.found}, photo.image.alpha
            if isinstance(unit, Alignment) and not self.options.aligned:
                about["box"] = [round(float(value), 1) for value in unit.face.box]
            for column, (name, toon) in enumerate(zip(self.options.characters, row, strict=True)):
                record = {self._kind(name): photo.names[index][column], **about}
                shown.append(self._write(photo, index, name, toon, alpha, record, result))
            if self.sheet_rows:
                result.rows.append(shown)

    def _kind(self, name: str) -> str:
        return "style" if name in self.options.styles else "character"

    def _write_pasted(self, photo: Photo, toons: Sequence[Sequence[Any]], result: Result) -> None:
        pictures = []
        for column, name in enumerate(self.options.characters):
            regions = [unit for unit in photo.units if isinstance(unit, Alignment)]
            drawings = [row[column] for row in toons]
            rgb = self.engine.paste_all(photo.image.rgb, regions, drawings)
            record: dict[str, Any] = {"character": name, "faces": len(toons)}
            if is_rule(name):
                record["characters"] = [names[column] for names in photo.names]
            pictures.append(self._write(photo, 0, name, rgb, photo.image.alpha, record, result))
        if self.sheet_rows:
            result.rows = self._pasted_rows(photo, pictures)

    def _pasted_rows(self, photo: Photo, pictures: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
        """Each face of the photograph and of the pictures with drawings in it."""
        return [
            [unit.image, *(self.engine.region(picture, unit.face).image for picture in pictures)]
            for unit in photo.units
            if isinstance(unit, Alignment)
        ]

    def _with_rows(self, photo: Photo, there: Result) -> Result:
        """What is there already with its rows, as they were when it was drawn."""
        read = [read_image(output["path"]) for output in there.outputs]
        pictures = [image.rgb for image in read]
        if self.options.mode == "paste":
            there.rows = self._pasted_rows(photo, pictures)
        else:
            pictures = [_on_paper(image.rgb, image.alpha) for image in read]
            across = len(self.options.characters)
            there.rows = [
                [unit.image, *pictures[index * across : (index + 1) * across]]
                for index, unit in enumerate(photo.units)
            ]
        return there

    def _write(
        self,
        photo: Photo,
        face: int,
        character: str,
        drawing: Any,
        alpha: np.ndarray | None,
        record: dict[str, Any],
        result: Result,
    ) -> np.ndarray:
        """Have a drawing written; gives it as it is read back, for the sheet (a document:
        nothing)."""
        job = photo.job
        rgb, alpha = _with_alpha(drawing, alpha)

        def encoded(format: str) -> bytes:
            if isinstance(drawing, bytes):
                return drawing
            metadata = photo.image.metadata
            return encode_image(
                rgb,
                format,
                alpha=alpha,
                quality=self.options.quality or 95,
                metadata=metadata.stripped() if self.options.strip else metadata,
            )

        if job.to_stdout:
            result.picture = encoded(self.options.format)
            result.outputs.append({"path": STREAM, **record})
        elif job.target is not None:
            path = self._named(job.target, face, character)
            self._check_target(job, path)
            data: bytes | None = None
            if self.sheet_rows and path.suffix.lower() not in LOSSLESS:
                data = encoded(path.suffix)
                if not isinstance(drawing, bytes):
                    image = read_image(data)
                    rgb, alpha = image.rgb, image.alpha
            mark = {
                "kind": DRAWING,
                "input": photo.sha256,
                "settings": self._digests[character],
                "faces": photo.faces,
                "about": record,
            }

            def write() -> None:
                write_file(path, marks.stamp(data or encoded(path.suffix), path.name, mark))

            photo.writing.append(self._writers.submit(write))
            result.outputs.append({"path": str(path), **record})
        return rgb if self.options.mode == "paste" else _on_paper(rgb, alpha)

    def _failed(self, job: Job, error: Exception, started: float) -> Result:
        expected = isinstance(error, ToonifyError)
        message = str(error) if expected else f"{type(error).__name__}: {error}"
        if job.name not in message:
            message = f"{job.name}: {message}"
        seconds = time.perf_counter() - started
        return Result(job.label, "failed", error=" ".join(message.split()), seconds=seconds)


def _with_alpha(drawing: Any, alpha: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """A drawing's (H, W, 3) and its opacity, which is at most that of its photograph."""
    if isinstance(drawing, bytes):
        return np.zeros((1, 1, 3), np.uint8), None
    rgb = drawing[..., :3]
    if alpha is not None and alpha.shape != rgb.shape[:2]:
        alpha = cv2.resize(alpha, rgb.shape[1::-1], interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if drawing.shape[2] == 4:
        own = drawing[..., 3]
        alpha = own if alpha is None else np.minimum(own, alpha)
    return np.ascontiguousarray(rgb), alpha


def _on_paper(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    return rgb if alpha is None else over_white(rgb, alpha)


def is_rule(name: str) -> bool:
    """Whether what stands for a character casts one per person."""
    return "=" in name


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
    """Of a photograph, by its header; 0 where that can't be told."""
    if job.source is None:
        return 0.0
    try:
        with opened(job.source) as (file, name):
            width, height = open_picture(file, name).size
    except Exception:  # whatever it is, reading it will say so
        return 0.0
    return width * height / 1e6


def _photo_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of an ordinary file.

    Raises:
        InputError: it can't be read.
    """
    try:
        if not path.is_file():  # a pipe would wait for ever
            raise InputError(f"no such file: {path}", hint="Check the name.")
        return file_sha256(path)
    except ToonifyError:
        raise
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror or error}") from error


def _together(item: Photo | Result) -> int:
    """How many faces of it are drawn, or were."""
    if isinstance(item, Result):
        return 0
    return len(item.units) or (item.there.faces if item.there else 0) or 0
