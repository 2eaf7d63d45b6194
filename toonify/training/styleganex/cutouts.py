"""Sampled people cut out of their pictures, and the drawings that are to take their heads' place.

Everything is kept in the coordinates of the FFHQ crop, 0..1 across and down it: from these,
`compose` puts frames together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError
from toonify.faces.types import RGB, Points
from toonify.utils.atomic import replacing, write_text
from toonify.utils.links import real_path

INDEX = "drawings.json"
ARRAYS = ("faces", "mattes", "hairs", "fills")
RGBA = NDArray[np.uint8]  # (S, S, 4), straight alpha


@dataclass(frozen=True, eq=False)
class Cutout:
    """A person and a drawing.

    Attributes:
        face: (S, S, 3) the FFHQ crop.
        matte: (S, S) uint8, the person's opacity.
        hair: (S, S) uint8, where the person's hair is.
        fill: (S, S, 3) the crop without the person.
        head: RGBA of the drawing in front of the body.
        back: likewise, what hangs behind the body; None where there is nothing.
        margin: how far the drawing reaches beyond the crop on each side, in crop sides.
        chin: height below which the photographed body stays.
        character: number of the drawing's character.
    """

    face: RGB
    matte: NDArray[np.uint8]
    hair: NDArray[np.uint8]
    fill: RGB
    head: RGBA
    back: RGBA | None
    margin: float
    chin: float
    character: int


class CutoutSet:
    """A folder of cutouts: `faces.npy`, `mattes.npy`, `hairs.npy`, `fills.npy`, `drawings.json`
    and pictures.

    Attributes:
        characters: their names, in the order of their numbers.

    Raises:
        InputError: the folder doesn't hold that.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            self.characters: tuple[str, ...] = tuple(index["characters"])
            self._margin = float(index["margin"])
            self._rows: list[dict[str, object]] = index["drawings"]
            self._faces, self._mattes, self._hairs, self._fills = (
                np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder} holds no readable cutouts ({error})", hint="Make them again."
            ) from error
        counts = {len(self._faces), len(self._mattes), len(self._hairs), len(self._fills)}
        if not self._rows or len(counts) > 1:
            raise InputError(f"{folder} holds no whole set of cutouts", hint="Make them again.")

    def __len__(self) -> int:
        """How many drawings."""
        return len(self._rows)

    def __getitem__(self, number: int) -> Cutout:
        row = self._rows[number]
        face = int(str(row["face"]))
        return Cutout(
            face=np.asarray(self._faces[face]),
            matte=np.asarray(self._mattes[face]),
            hair=np.asarray(self._hairs[face]),
            fill=np.asarray(self._fills[face]),
            head=self._picture(str(row["head"])),
            back=self._picture(str(row["back"])) if row.get("back") else None,
            margin=self._margin,
            chin=float(str(row["chin"])),
            character=int(str(row["character"])),
        )

    def background(self, number: int) -> RGB:
        """A crop without its person, any number."""
        return np.asarray(self._fills[number % len(self._fills)])

    def texture(self, number: int) -> RGB:
        """A crop with its person, any number."""
        return np.asarray(self._faces[number % len(self._faces)])

    def of_character(self, character: int, start: int, stop: int) -> list[int]:
        """Numbers of a character's drawings from `start` to `stop`."""
        return [i for i in range(start, stop) if self._rows[i]["character"] == character]

    def _picture(self, name: str) -> RGBA:
        path = self.folder / name
        if not real_path(path).is_relative_to(real_path(self.folder)):
            raise InputError(f"{self.folder / INDEX} points outside its folder: {name}")
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if picture is None or picture.ndim != 3 or picture.shape[2] != 4:
            raise InputError(f"{path} can't be read as a drawing with opacity")
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA), np.uint8)


def write_index(
    folder: Path, characters: Sequence[str], rows: Sequence[dict[str, object]], *, margin: float
) -> None:
    """Write `drawings.json`: rows of face (number), character (number), head, back, chin."""
    about = {"characters": list(characters), "margin": margin, "drawings": list(rows)}
    text = json.dumps(about)
    write_text(folder / INDEX, text)


def write_faces(folder: Path, faces: RGB, mattes: Points, hairs: Points, fills: RGB) -> None:
    """Write the arrays (N, S, S, 3), (N, S, S) in 0..1 twice, and (N, S, S, 3)."""
    masks = [np.rint(np.clip(mask, 0, 1) * 255).astype(np.uint8) for mask in (mattes, hairs)]
    for name, array in zip(ARRAYS, (faces, *masks, fills), strict=True):
        with replacing(folder / f"{name}.npy") as path, open(path, "r+b") as file:
            np.save(file, array)
