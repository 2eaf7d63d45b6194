"""Contact sheets: a row a photograph, a column a character, written as they come."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from toonify.errors import InputError, ToonifyError
from toonify.utils.atomic import Temporary, writing
from toonify.utils.marks import finish_png, read_mark

HEADER = 28  # pixels
SHEET = "sheet"  # the mark's kind


class SheetWriter:
    """Writes one PNG row by row, so that a sheet of any length needs one row of memory.

    The file appears under its name on leaving the `with` block, unless by an exception; what an
    interrupted run has drawn is kept, if it is more than the sheet that was there.

    Args:
        path: the PNG to write.
        columns: headings, the first one for the photograph.
        tile: side of a cell in pixels.
        gap: pixels between cells.
        lenient: a disk that gets full is reported by `failure` alone, and nothing more is written.

    Raises:
        InputError: the file can't be written.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        *,
        tile: int = 256,
        gap: int = 4,
        lenient: bool = False,
    ) -> None:
        self.path = path
        self.failure: InputError | None = None
        self._lenient = lenient
        self.columns = tuple(columns)
        self.tile = tile
        self.gap = gap
        self.rows = 0
        self.width = len(self.columns) * (tile + gap) + gap
        self._height = 0
        self._compressor = zlib.compressobj(6)
        with writing(path, hint="Choose another `sheet`."):
            self._temporary = Temporary(path)
            self._file = open(self._temporary.path, "r+b")  # noqa: SIM115 (closed in __exit__)
        with self._writing():
            self._file.write(b"\x89PNG\r\n\x1a\n")
            self._header()
            self._pixels(self._headings())

    def add(self, cells: Sequence[np.ndarray]) -> None:
        """Append a row.

        Args:
            cells: one (h, w, 3) uint8 RGB image a column, of any size.
        """
        if self.failure is not None:
            return
        row = np.full((self.tile + self.gap, self.width, 3), 255, np.uint8)
        for index, cell in enumerate(cells):
            left = self.gap + index * (self.tile + self.gap)
            row[: self.tile, left : left + self.tile] = _fit(cell, self.tile)
        with self._writing():
            self._pixels(row)
        self.rows += 1

    def __enter__(self) -> SheetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        whole = kind is None or (interrupted and self.rows > self._rows_there())
        try:
            with self._writing():
                if whole and self.rows and self.failure is None:
                    self._finish()
        finally:
            with suppress(OSError):
                self._file.close()
            self._temporary.discard()

    def _finish(self) -> None:
        self._chunk(b"IDAT", self._compressor.flush())
        self._chunk(b"IEND", b"")
        self._file.seek(8)
        self._header()  # now that the height is known
        self._file.close()
        finish_png(self._temporary.path, self.path.name, {"kind": SHEET, "rows": self.rows})
        self._temporary.commit()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except ToonifyError:
            raise
        except OSError as error:
            self.failure = InputError(
                f"can't write {self.path}: {error.strerror or error}",
                hint="Make room, or choose another `sheet`.",
            )
            if not self._lenient:
                raise self.failure from error

    def _rows_there(self) -> int:
        """Of an earlier run's sheet."""
        mark = read_mark(self.path)
        return int(mark.get("rows", 0)) if mark and mark.get("kind") == SHEET else 0

    def _header(self) -> None:
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", self.width, self._height, 8, 2, 0, 0, 0))

    def _chunk(self, kind: bytes, data: bytes) -> None:
        checksum = zlib.crc32(kind + data)
        self._file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum))

    def _pixels(self, rows: np.ndarray) -> None:
        height = len(rows)
        # Filter type 1 (Sub) before each line: differences of neighbors compress far better.
        lines = np.empty((height, 1 + self.width * 3), np.uint8)
        lines[:, 0] = 1
        flat = rows.reshape(height, -1)
        lines[:, 1:4] = flat[:, :3]
        lines[:, 4:] = flat[:, 3:] - flat[:, :-3]
        data = self._compressor.compress(lines.tobytes())
        if data:
            self._chunk(b"IDAT", data)
        self._height += height

    def _headings(self) -> np.ndarray:
        image = Image.new("RGB", (self.width, HEADER), "white")
        draw = ImageDraw.Draw(image)
        font = ImageFont.load_default(size=16)
        for index, heading in enumerate(self.columns):
            center = self.gap + index * (self.tile + self.gap) + self.tile / 2
            draw.text((center, HEADER / 2), heading, fill="black", font=font, anchor="mm")
        return np.asarray(image)


def _fit(cell: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) with the cell in its own proportions in the middle, on white."""
    height, width = cell.shape[:2]
    if height == width == size:
        return cell
    scale = size / max(height, width)
    new = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = np.asarray(Image.fromarray(cell).resize(new, Image.Resampling.LANCZOS))
    tile = np.full((size, size, 3), 255, np.uint8)
    left, top = (size - new[0]) // 2, (size - new[1]) // 2
    tile[top : top + new[1], left : left + new[0]] = small
    return tile


def preview_sheet(
    previews: Sequence[tuple[str, np.ndarray]], *, columns: int = 6, tile: int = 128
) -> np.ndarray:
    """Named pictures in a grid.

    Args:
        previews: (name, (h, w, 3) uint8 RGB).

    Returns:
        (H, W, 3) uint8 RGB on white.
    """
    gap = 4
    columns = min(columns, len(previews))
    rows = -(-len(previews) // columns)
    cell_height = HEADER + tile + gap
    page = Image.new("RGB", (columns * (tile + gap) + gap, rows * cell_height), "white")
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=16)
    for index, (name, picture) in enumerate(previews):
        row, column = divmod(index, columns)
        left, top = gap + column * (tile + gap), row * cell_height
        center = (left + tile / 2, top + HEADER / 2)
        draw.text(center, name, fill="black", font=font, anchor="mm")
        page.paste(Image.fromarray(_fit(picture, tile)), (left, top + HEADER))
    return np.asarray(page)
