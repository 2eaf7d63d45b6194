"""Many photographs at once: batches for the generator, files written, one record a photo.

Photographs are read one after the other, their faces gathered into batches for the generator,
and every failure stays with its own photograph.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from toonify.errors import InputError, ModelError, ToonifyError, UsageError
from toonify.faces import Alignment, Face
from toonify.jobs import STREAM, Job, numbered
from toonify.media.images import Image, encode_image, read_image, write_image

Mode = Literal["crop", "paste"]


class Engine(Protocol):
    """What batches need of `Toonifier`."""

    @property
    def characters(self) -> tuple[str, ...]: ...
    def detect(self, rgb: np.ndarray) -> list[Face]: ...
    def align(self, rgb: np.ndarray, face: Face) -> Alignment: ...
    def paste(self, rgb: np.ndarray, toon: np.ndarray, alignment: Alignment) -> np.ndarray: ...
    def stylize_crops(
        self,
        crops: Sequence[np.ndarray],
        characters: Sequence[str],
        *,
        level: int,
        trgb: bool,
        color: float,
        batch_size: int,
    ) -> list[list[np.ndarray]]: ...


@dataclass(frozen=True, kw_only=True)
class Options:
    """How photographs are drawn.

    Attributes:
        characters: names, all known to the engine.
        level: first latent index taken from the character.
        trgb: take the character's colour layers.
        color: how much of them, 0..1.
        mode: "crop" gives the drawn portrait, "paste" puts it back into the photograph.
        faces: every face of a photograph or its largest.
        aligned: photographs are FFHQ crops already, no face is looked for.
        existing: what to do with an output that is there: "error", "skip" or "overwrite".
        batch_size: faces drawn together.
        fail_fast: stop at the first failure.
    """

    characters: tuple[str, ...]
    level: int = 6
    trgb: bool = True
    color: float = 1.0
    mode: Mode = "crop"
    faces: Literal["all", "largest"] = "largest"
    aligned: bool = False
    existing: Literal["error", "skip", "overwrite"] = "error"
    batch_size: int = 8
    fail_fast: bool = False


@dataclass
class Result:
    """What became of one photograph; `record()` is its line in a manifest."""

    source: str
    status: Literal["ok", "skipped", "failed"]
    outputs: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    seconds: float = 0.0
    rows: list[list[np.ndarray]] = field(default_factory=list)
    png: bytes | None = None

    def record(self) -> dict[str, Any]:
        """JSON-able."""
        record: dict[str, Any] = {"source": self.source, "status": self.status}
        if self.outputs:
            record["outputs"] = self.outputs
        if self.error is not None:
            record["error"] = self.error
        return record | {"seconds": round(self.seconds, 3)}


@dataclass
class _Photo:
    """A photograph whose faces wait for the generator."""

    job: Job
    image: Image
    alignments: list[Alignment | None]  # None: the whole, already aligned photo
    crops: list[np.ndarray]
    started: float


class Batch:
    """Draws jobs with one engine.

    Args:
        engine: a `Toonifier`.
        options: how.
        sheet_rows: keep photograph and drawings in each `Result.rows` for a contact sheet.
    """

    def __init__(self, engine: Engine, options: Options, *, sheet_rows: bool = False) -> None:
        self.engine = engine
        self.options = options
        self.sheet_rows = sheet_rows

    def run(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """One result a job, in no promised order but never more than a batch behind.

        Nothing is raised for a photograph that fails: its result says why.

        Raises:
            UsageError: options out of range.
        """
        waiting: list[_Photo] = []
        for job in jobs:
            started = time.perf_counter()
            try:
                prepared = self._prepare(job, started)
            except Exception as error:
                prepared = _failed(job, error, started)
            if isinstance(prepared, Result):
                yield prepared
                if prepared.status == "failed" and self.options.fail_fast:
                    break
                continue
            waiting.append(prepared)
            if sum(len(photo.crops) for photo in waiting) >= self.options.batch_size:
                yield from self._flush(waiting)
                waiting = []
        yield from self._flush(waiting)

    def _prepare(self, job: Job, started: float) -> _Photo | Result:
        options = self.options
        present = [path for path in self._known_targets(job) if path.exists()]
        if present and options.existing == "skip" and len(present) == self._outputs_a_face():
            return Result(job.label, "skipped", [{"path": str(path)} for path in present])
        if present and options.existing == "error" and not job.explicit:
            raise InputError(
                f"{present[0]} exists already", mend="Add --overwrite or --skip-existing."
            )
        image = read_image(sys.stdin.buffer if job.source is None else job.source)
        if options.aligned:
            height, width = image.rgb.shape[:2]
            if height != width:
                raise InputError(
                    f"{job.name} is {width}x{height}, an aligned face is square",
                    mend="Leave --aligned out.",
                )
            return _Photo(job, image, [None], [image.rgb], started)
        faces = self.engine.detect(image.rgb)
        if not faces:
            raise InputError(
                f"no face found in {job.name}",
                mend="Try a larger or frontal face, or --aligned for an FFHQ crop.",
            )
        if options.faces == "largest":
            faces = faces[:1]
        alignments: list[Alignment | None] = [self.engine.align(image.rgb, face) for face in faces]
        crops = [alignment.image for alignment in alignments if alignment is not None]
        return _Photo(job, image, alignments, crops, started)

    def _outputs_a_face(self) -> int:
        return len(self.options.characters)

    def _named(self, target: Path, face: int, character: str) -> Path:
        options = self.options
        by_face = options.mode == "crop" and options.faces == "all" and not options.aligned
        return numbered(
            target,
            face=face + 1 if by_face else None,
            character=character if len(options.characters) > 1 else None,
        )

    def _known_targets(self, job: Job) -> list[Path]:
        """Outputs that are certain before the faces are counted: those of the first one."""
        if job.target is None:
            return []
        return [self._named(job.target, 0, name) for name in self.options.characters]

    def _flush(self, photos: list[_Photo]) -> Iterator[Result]:
        if not photos:
            return
        options = self.options
        crops = [crop for photo in photos for crop in photo.crops]
        try:
            rows = self.engine.stylize_crops(
                crops,
                options.characters,
                level=options.level,
                trgb=options.trgb,
                color=options.color,
                batch_size=options.batch_size,
            )
        except (UsageError, ModelError):
            raise
        except Exception as error:  # out of memory, say: the other batches may still fit
            yield from (_failed(photo.job, error, photo.started) for photo in photos)
            return
        drawn = iter(rows)
        for photo in photos:
            toons = [next(drawn) for _ in photo.crops]
            try:
                result = self._finish(photo, toons)
            except Exception as error:
                result = _failed(photo.job, error, photo.started)
            yield result
            if result.status == "failed" and options.fail_fast:
                return

    def _finish(self, photo: _Photo, toons: list[list[np.ndarray]]) -> Result:
        result = Result(photo.job.label, "ok")
        if self.options.mode == "paste":
            self._write_pasted(photo, toons, result)
        else:
            self._write_crops(photo, toons, result)
        if self.sheet_rows:
            result.rows = [[crop, *row] for crop, row in zip(photo.crops, toons, strict=True)]
        result.seconds = time.perf_counter() - photo.started
        return result

    def _write_crops(self, photo: _Photo, toons: list[list[np.ndarray]], result: Result) -> None:
        for index, row in enumerate(toons):
            for name, toon in zip(self.options.characters, row, strict=True):
                record: dict[str, Any] = {"character": name, "face": index + 1}
                alignment = photo.alignments[index]
                if alignment is not None:
                    record["box"] = [round(float(value), 1) for value in alignment.face.box]
                self._write(photo.job, index, name, toon, None, record, result)

    def _write_pasted(self, photo: _Photo, toons: list[list[np.ndarray]], result: Result) -> None:
        for column, name in enumerate(self.options.characters):
            rgb = photo.image.rgb
            # Smallest face first, so that the largest one ends on top where two overlap.
            for alignment, row in reversed(list(zip(photo.alignments, toons, strict=True))):
                if alignment is not None:
                    rgb = self.engine.paste(rgb, row[column], alignment)
            record = {"character": name, "faces": len(toons)}
            self._write(photo.job, 0, name, rgb, photo.image.alpha, record, result)

    def _write(
        self,
        job: Job,
        face: int,
        character: str,
        rgb: np.ndarray,
        alpha: np.ndarray | None,
        record: dict[str, Any],
        result: Result,
    ) -> None:
        if job.to_stdout:
            result.png = encode_image(rgb, "png")
            result.outputs.append({"path": STREAM, **record})
        elif job.target is not None:
            path = self._named(job.target, face, character)
            write_image(path, rgb, alpha=alpha)
            result.outputs.append({"path": str(path), **record})


def _failed(job: Job, error: Exception, started: float) -> Result:
    expected = isinstance(error, ToonifyError)
    message = str(error) if expected else f"{type(error).__name__}: {error}"
    if job.name not in message:
        message = f"{job.name}: {message}"
    seconds = time.perf_counter() - started
    return Result(job.label, "failed", error=" ".join(message.split()), seconds=seconds)
