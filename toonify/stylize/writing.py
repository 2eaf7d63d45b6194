"""Drawings on their way to files, and what is reported of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from toonify.engines.base import Engine
from toonify.faces import Alignment
from toonify.media.images import encode_image, over_white, read_image, write_file
from toonify.stylize.jobs import STREAM
from toonify.stylize.options import Options, Result, is_rule
from toonify.stylize.photo import Photo
from toonify.stylize.targets import Targets
from toonify.utils import marks

DRAWING = "drawing"  # the mark's kind
LOSSLESS = (".png",)
WRITERS = 2


class DrawingWriter:
    """Has drawings encoded and written by threads of its own.

    Args:
        engine: pastes drawings, and cuts regions out for the sheet.
        options: of the batch.
        targets: where they go.
        sheet_rows: keep photograph and drawings in each `Result.rows` for a contact sheet.
    """

    def __init__(
        self, engine: Engine, options: Options, targets: Targets, *, sheet_rows: bool
    ) -> None:
        self.engine, self.options, self.targets = engine, options, targets
        self.sheet_rows = sheet_rows
        self._threads = ThreadPoolExecutor(WRITERS, thread_name_prefix="write")

    def close(self) -> None:
        """Wait for what is being written; the rest is given up."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def finish(self, photo: Photo, drawn: Sequence[Sequence[Any] | Exception]) -> Result:
        toons: list[Sequence[Any]] = []
        for row in drawn:
            if isinstance(row, Exception):
                raise row
            toons.append(row)
        result = Result(
            photo.job.label,
            "ok",
            sha256=photo.sha256,
            settings=self.targets.settings,
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

    def with_rows(self, photo: Photo, there: Result) -> Result:
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
            path = self.targets.named(job.target, face, character)
            self.targets.check(job, path)
            data: bytes | None = None
            if self.sheet_rows and path.suffix.lower() not in LOSSLESS:
                data = encoded(path.suffix)
                if not isinstance(drawing, bytes):
                    image = read_image(data)
                    rgb, alpha = image.rgb, image.alpha
            mark = {
                "kind": DRAWING,
                "input": photo.sha256,
                "settings": self.targets.digests[character],
                "faces": photo.faces,
                "about": record,
            }

            def write() -> None:
                write_file(path, marks.stamp(data or encoded(path.suffix), path.name, mark))

            photo.writing.append(self._threads.submit(write))
            result.outputs.append({"path": str(path), **record})
        return rgb if self.options.mode == "paste" else _on_paper(rgb, alpha)


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
