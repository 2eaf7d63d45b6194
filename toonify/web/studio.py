"""What the page and the API draw with: every look that a bundle offers, behind one object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.cdsm import DEFAULT_LEVEL
from toonify.engine import Toonifier
from toonify.errors import InputError, UsageError
from toonify.faces.matte import drawing_matte
from toonify.media.images import read_image
from toonify.media.video import Span
from toonify.names import unknown_name
from toonify.portrait import PortraitEngine

RGB = NDArray[np.uint8]
Kind = Literal["style", "character"]
Progress = Callable[[int, int | None], None]

EXAMPLES = Path(__file__).parent / "examples"
_PREVIEW = 256  # px


@dataclass(frozen=True)
class Look:
    """A style or character by its name."""

    name: str
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How a photograph or clip is drawn.

    Attributes:
        look: a style or character.
        level: of a character: first layer taken from it, 0 to `Studio.levels`.
        color: of a character: how much of its colours, 0 to 1.
        whole: the whole picture, not the largest face's portrait.
        transparent: without background.
    """

    look: str
    level: int = DEFAULT_LEVEL
    color: float = 1.0
    whole: bool = False
    transparent: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawing and what it is of.

    Attributes:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8, or None where it is opaque.
        before: the part of the photograph that it shows, of the same size.
    """

    rgb: RGB
    alpha: NDArray[np.uint8] | None
    before: RGB


class Drawer(Protocol):
    """Draws looks of one kind."""

    @property
    def looks(self) -> Sequence[Look]: ...
    def preview(self, name: str) -> RGB: ...
    def draw(self, photo: RGB, wish: Wish) -> Picture: ...


class CharacterDrawer:
    """The characters of a bundle, by cross-domain style mixing."""

    def __init__(self, toonifier: Toonifier) -> None:
        self.toonifier = toonifier

    @property
    def looks(self) -> Sequence[Look]:
        return [Look(name, "character") for name in self.toonifier.characters]

    def preview(self, name: str) -> RGB:
        """The picture of its table, or the first example drawn."""
        stored = self.toonifier.table[name].preview
        return self.draw(example_photos()[0], Wish(look=name)).rgb if stored is None else stored

    def draw(self, photo: RGB, wish: Wish) -> Picture:
        """The largest face as a portrait, or every face within the photograph."""
        faces = self.toonifier.faces_of(photo, largest=not wish.whole)
        drawn = self.toonifier.stylize_crops(
            [face.image for face in faces], [wish.look], level=wish.level, color=wish.color
        )
        if wish.whole:
            result = photo
            for alignment, (toon,) in reversed(list(zip(faces, drawn, strict=True))):
                result = self.toonifier.paste(result, toon, alignment)
            return Picture(result, None, photo)
        toon = drawn[0][0]
        alpha = None
        if wish.transparent:
            matte = drawing_matte(toon)
            if matte is not None:
                alpha = np.rint(matte * 255).astype(np.uint8)
        return Picture(toon, alpha, faces[0].image)


class StyleDrawer:
    """The styles of a bundle, which keep the person."""

    def __init__(self, engine: PortraitEngine) -> None:
        self.engine = engine

    @property
    def looks(self) -> Sequence[Look]:
        return [Look(name, "style") for name in self.engine.styles]

    def preview(self, name: str) -> RGB:
        """The last example, drawn."""
        return self.engine.stylize(example_photos()[-1], name, size=(_PREVIEW, _PREVIEW))

    def draw(self, photo: RGB, wish: Wish) -> Picture:
        """The largest face as a portrait, or the photograph with everybody in it."""
        if not wish.whole:
            faces = self.engine.detector.detect(photo)
            if not faces:
                raise InputError(
                    "no face found",
                    hint="Use a picture with a visible face, or have the whole picture drawn.",
                )
            photo = self.engine.crop(photo, faces[0])
        background = "transparent" if wish.transparent else "draw"
        drawn = self.engine.stylize(photo, wish.look, background=background)
        alpha = drawn[..., 3] if drawn.shape[2] == 4 else None
        return Picture(np.ascontiguousarray(drawn[..., :3]), alpha, photo)


class Studio:
    """Everything that a bundle offers.

    Args:
        drawers: in the order in which their looks are shown.
        toonifier: draws clips.
    """

    def __init__(self, drawers: Sequence[Drawer], toonifier: Toonifier) -> None:
        self._toonifier = toonifier
        self._drawers: dict[str, Drawer] = {}
        looks: list[Look] = []
        for drawer in drawers:
            for look in drawer.looks:
                if look.name not in self._drawers:  # a character named as a style is the style
                    self._drawers[look.name] = drawer
                    looks.append(look)
        self.looks = tuple(looks)

    @classmethod
    def open(cls, bundle: str = "default", *, device: str = "auto", dtype: str = "auto") -> Studio:
        """Load a bundle.

        Raises:
            ModelError: it can't be loaded. UsageError: it offers nothing to draw.
        """
        toonifier = Toonifier.from_bundle(bundle, device=device, dtype=dtype)
        drawers: list[Drawer] = []
        if toonifier.styles:
            drawers.append(StyleDrawer(toonifier.portraits))
        studio = cls([*drawers, CharacterDrawer(toonifier)], toonifier)
        if not studio.looks:
            raise UsageError(
                f"the bundle {bundle} has neither styles nor characters",
                hint="Add some with `toonify build-lut`.",
            )
        return studio

    @property
    def levels(self) -> int:
        """The highest level: everything is the photograph's but for the colours."""
        return self._toonifier.generator.num_ws

    def kind(self, name: str) -> Kind:
        """Of a look.

        Raises:
            UsageError: there is none of that name.
        """
        for look in self.looks:
            if look.name == name:
                return look.kind
        raise unknown_name("style or character", name, [look.name for look in self.looks])

    def preview(self, name: str) -> RGB:
        """What a look is like, (256, 256, 3)."""
        self.kind(name)
        picture = self._drawers[name].preview(name)
        interpolation = cv2.INTER_AREA if picture.shape[0] > _PREVIEW else cv2.INTER_CUBIC
        scaled = cv2.resize(picture, (_PREVIEW, _PREVIEW), interpolation=interpolation)
        return np.asarray(scaled, np.uint8)

    def draw(self, photo: RGB, wish: Wish) -> Picture:
        """Draw a photograph (H, W, 3).

        Raises:
            InputError: no face found. UsageError: unknown look, or options out of range.
        """
        self.check(wish)
        return self._drawers[wish.look].draw(photo, wish)

    def check(self, wish: Wish) -> None:
        """Raise UsageError for an unknown look or options out of range."""
        self.kind(wish.look)
        if not 0 <= wish.level <= self.levels:
            raise UsageError(f"level {wish.level} is out of range", hint=f"Use 0 to {self.levels}.")
        if not 0 <= wish.color <= 1:
            raise UsageError(f"color {wish.color} is out of range", hint="Use 0 to 1.")

    def draw_clip(
        self, source: Path, output: Path, wish: Wish, *, max_size: int, progress: Progress
    ) -> int:
        """Draw the people of a clip.

        Args:
            max_size: longest side of the result, px.
            progress: called with frames done and all; what it raises ends the work.

        Returns:
            frames with a face.
        """
        from toonify.engines.base import Engine
        from toonify.engines.portrait import StyleEngine
        from toonify.video import Options, convert

        self.check(wish)
        engine: Engine
        if self.kind(wish.look) == "style":
            engine = StyleEngine(self._toonifier.portraits, wish.look)
        else:
            engine = self._toonifier.engine(level=wish.level, color=wish.color)
        options = Options(characters=(wish.look,), span=Span(max_size=max_size), resume=False)
        return convert(source, output, engine, options, progress=progress).frames_with_faces


def example_photos() -> list[RGB]:
    """Portraits of people who don't exist, to try things on."""
    return [read_image(path).rgb for path in sorted(EXAMPLES.glob("*.jpg"))]
