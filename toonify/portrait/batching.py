"""Styles in batches of photographs, beside a bundle's characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from toonify.faces.alignment import Alignment, aligned_face
from toonify.faces.types import Face
from toonify.portrait.analysis import Analysis, similarity
from toonify.portrait.backgrounds import Background, fitted, resized
from toonify.portrait.engine import CROP_LOOSE, PortraitEngine, compose

if TYPE_CHECKING:
    from toonify.engine import Toonifier

RGB = NDArray[np.uint8]
Document = Literal["svg", "pdf"]
CROP_INPUT = 640  # px, side of the crop that a portrait is drawn from
CROP_SIDE = 512  # px, side of the portrait where nothing else is asked for


class StyleBatchEngine:
    """What `toonify.batch` draws styles by; with a `Toonifier`, its characters too.

    Args:
        portraits: draws styles.
        toonifier: draws characters; with it, everything is drawn from the FFHQ crop of a face.
        whole: pictures are drawn as they are, not only the crop of a face.
        aligned: pictures are FFHQ crops: the face is where it is there.
        background: see `PortraitEngine.stylize`.
        max_size: longer side of drawings, px at most; of a portrait, its side.
        document: write drawings in this format instead of as pixels.
        networks: what the styles depend on beside the program, JSON-able.
    """

    def __init__(
        self,
        portraits: PortraitEngine,
        *,
        toonifier: Toonifier | None = None,
        whole: bool = True,
        aligned: bool = False,
        background: Background = "draw",
        max_size: int | None = None,
        document: Document | None = None,
        networks: Any = None,
    ) -> None:
        self.portraits, self.toonifier = portraits, toonifier
        self.whole, self.aligned = whole, aligned
        self.background, self.max_size = background, max_size
        self.document, self._networks = document, networks
        # the picture seen last, so that it isn't looked through twice
        self._seen: tuple[RGB, list[Face]] | None = None

    @property
    def characters(self) -> tuple[str, ...]:
        """Names of styles, then of characters."""
        return (*self.portraits.styles, *(self.toonifier.characters if self.toonifier else ()))

    def identity(self, name: str) -> Any:
        """All that drawings under this name depend on, JSON-able."""
        if name not in self.portraits.styles:
            assert self.toonifier is not None
            return self.toonifier.identity(name)
        return {
            "style": asdict(self.portraits.style(name)),
            "networks": self._networks,
            "background": self.background,
            "max_size": self.max_size,
            "document": self.document,
            "beside_characters": self.toonifier is not None,
        }

    def detect(self, rgb: RGB, *, largest: bool = False) -> list[Face]:
        """Faces of a picture, largest first; see `Toonifier.detect`."""
        detector = self.portraits.detector
        found = detector.detect_largest(rgb) if largest else detector.detect(rgb)
        self._seen = (rgb, found)
        return found

    def smallest_face(self, rgb: RGB) -> float:
        """Height in px of the smallest faces that are looked for; 0 where that is not known."""
        return self.portraits.detector.smallest(max(rgb.shape[:2]))

    def align(self, rgb: RGB, face: Face) -> Alignment:
        """What a portrait is drawn from."""
        if self.toonifier is not None:
            return self.toonifier.align(rgb, face)
        matrix = similarity(face, CROP_INPUT, CROP_LOOSE)
        return Alignment(self.portraits.crop(rgb, face, size=CROP_INPUT), matrix, face)

    def paste(self, rgb: RGB, toon: RGB, alignment: Alignment) -> RGB:
        """Put a character back into its photograph; styles are drawn whole."""
        assert self.toonifier is not None
        return self.toonifier.paste(rgb, toon, alignment)

    def stylize_crops(
        self,
        crops: Sequence[RGB],
        characters: Sequence[str],
        *,
        level: int,
        trgb: bool,
        color: float,
        batch_size: int,
    ) -> list[list[Any]]:
        """Pictures → for each, one drawing a name: (H, W, 3 or 4) uint8, or a document's bytes."""
        others = [name for name in characters if name not in self.portraits.styles]
        toons: list[list[RGB]] = [[] for _ in crops]
        if others:
            assert self.toonifier is not None
            toons = self.toonifier.stylize_crops(
                crops, others, level=level, trgb=trgb, color=color, batch_size=batch_size
            )
        rows = []
        for crop, row in zip(crops, toons, strict=True):
            measured = self.portraits.analyze(crop, faces=self._faces(crop))
            drawn = dict(zip(others, row, strict=True))
            rows.append(
                [
                    drawn[name] if name in drawn else self._draw(measured, crop, name)
                    for name in characters
                ]
            )
        return rows

    def _draw(self, measured: Analysis, photo: RGB, style: str) -> RGB | bytes:
        drawing = self.portraits.draw(measured, style)
        size = self._size(photo)
        if self.document is None:
            return compose(drawing, photo, background=self.background, size=size)
        behind = resized(photo, size)
        if self.document == "svg":
            from toonify.portrait.svg import to_svg

            text = to_svg(drawing, background=self.background, photo=behind, size=size)
            return text.encode("utf-8")
        from toonify.portrait.pdf import to_pdf

        return to_pdf(drawing, background=self.background, photo=behind, size=size)

    def _size(self, photo: RGB) -> tuple[int, int]:
        height, width = photo.shape[:2]
        if self.whole or self.aligned:
            return fitted((width, height), self.max_size)
        side = self.max_size or CROP_SIDE
        return side, side

    def _faces(self, picture: RGB) -> list[Face]:
        """Who is in a picture; in a crop, the one it is of at least."""
        own = aligned_face(picture.shape[0], self._loose)
        if self.aligned:
            return [own]
        if self._seen is not None and self._seen[0] is picture:
            return self._seen[1]
        found = self.portraits.detector.detect(picture)
        middle, reach = own.points5.mean(0), own.box[2] - own.box[0]
        if self.whole or any(
            np.hypot(*(face.points5.mean(0) - middle)) < reach / 2 for face in found
        ):
            return found
        return [own, *found]

    @property
    def _loose(self) -> float:
        """Side of the crops in FFHQ crops."""
        return 1.0 if self.aligned or self.toonifier is not None else CROP_LOOSE
