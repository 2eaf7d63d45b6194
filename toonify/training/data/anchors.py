"""Eyes and mouths given by hand: a JSON file of `toonify align --anchor`."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from toonify.errors import InputError
from toonify.faces.templates import CropBox, crop_of_points

EXAMPLE = '{"*": {"eyes": [[0.38, 0.47], [0.62, 0.47]], "mouth": [0.5, 0.72]}}'


@dataclass(frozen=True)
class Anchors:
    """Points a drawing: file names, or patterns such as "mina/*" and "*", to eyes and mouth.

    Attributes:
        entries: pattern → ((eye, eye), mouth), (x, y) each: px, or shares of width and height
            where none is above 1.
        source: the file they came from.
    """

    entries: dict[str, tuple[list[list[float]], list[float]]]
    source: Path

    @staticmethod
    def read(path: Path) -> Anchors:
        """Read an anchor file.

        Raises:
            InputError: unreadable, not JSON, or an entry without two eyes and a mouth.
        """
        try:
            if path.exists() and not path.is_file():  # a pipe would wait for ever
                raise InputError(f"{path} is no ordinary file", hint="Give a file of JSON.")
            content = json.loads(path.read_text(encoding="utf-8"))
        except InputError:
            raise
        except OSError as error:
            raise InputError(f"can't read {path}: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is not JSON ({error})", hint=f"Such as {EXAMPLE}") from error
        if not isinstance(content, dict) or not content:
            raise InputError(f"{path} names no drawing", hint=f"Such as {EXAMPLE}")
        return Anchors({name: _points(path, name, entry) for name, entry in content.items()}, path)

    def find(self, name: str) -> str | None:
        """The key for a drawing: its own name, else the first pattern in the file that fits."""
        if name in self.entries:
            return name
        return next((key for key in self.entries if fnmatchcase(name, key)), None)

    def unused(self, names: list[str]) -> list[str]:
        """Keys that fit none of these drawings."""
        return [key for key in self.entries if not any(fnmatchcase(n, key) for n in names)]

    def crop(self, key: str, height: int, width: int) -> CropBox:
        """The crop that an entry asks for on a picture of this size.

        Raises:
            InputError: no face has its eyes and mouth there, or they are outside the picture.
        """
        eyes, mouth = self.entries[key]
        points = [*eyes, mouth]
        if max(value for point in points for value in point) <= 1:
            points = [[x * width - 0.5, y * height - 0.5] for x, y in points]
        if not all(-1 <= x <= width and -1 <= y <= height for x, y in points):
            raise InputError(
                f"{self.source} puts {key!r} outside a picture of {width}x{height} px",
                hint="Give pixels of this picture, or shares of its width and height.",
            )
        try:
            return crop_of_points(points[:2], points[2])
        except InputError as error:
            raise InputError(f"{self.source}, {key!r}: {error}") from error


def _points(path: Path, name: str, entry: Any) -> tuple[list[list[float]], list[float]]:
    given = entry if isinstance(entry, dict) else {}
    eyes, mouth = given.get("eyes"), given.get("mouth")
    if isinstance(mouth, list) and len(mouth) == 2 and all(_is_point(p) for p in mouth):
        mouth = [(mouth[0][i] + mouth[1][i]) / 2 for i in (0, 1)]  # two corners
    two = isinstance(eyes, list) and len(eyes) == 2 and all(_is_point(p) for p in eyes)
    if two and isinstance(mouth, list) and _is_point(mouth):
        return eyes, mouth  # type: ignore[return-value]
    raise InputError(f'{path}, {name!r}: not two "eyes" and a "mouth"', hint=f"Such as {EXAMPLE}")


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, int | float) and math.isfinite(v) for v in value)
    )
