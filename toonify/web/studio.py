"""What the page and the API draw with: every look that a bundle offers, behind one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.bundle import FRAMES, Defaults, bundle_defaults, has_parts, preferred_engine
from toonify.engine import Toonifier
from toonify.engines.base import Engine
from toonify.engines.cdsm import CdsmEngine
from toonify.engines.mixing import MixingEngine
from toonify.engines.registry import load_engine
from toonify.errors import InputError, UsageError
from toonify.faces.matte import drawing_matte
from toonify.media.images import read_image
from toonify.media.video import Span
from toonify.names import unknown_name
from toonify.portrait import PortraitEngine
from toonify.portrait.analysis import sample
from toonify.video import Options, convert
from toonify.video.clips import clip_engine

RGB = NDArray[np.uint8]
Kind = Literal["style", "character"]
Progress = Callable[[int, int | None], None]

EXAMPLES = Path(__file__).parent / "examples"
_PREVIEW = 256  # px
_PORTRAIT = 512


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
        engine: of a character: one of `Studio.engines`; None for the bundle's own.
        level: of a character: first layer taken from it, 0 to `Studio.levels`; None as the bundle
            says. An engine that doesn't mix has no part for it, nor for `color`.
        color: of a character: how much of its colors, 0 to 1; None as the bundle says.
        whole: the whole picture, not the largest face's portrait.
        transparent: without background.
    """

    look: str
    engine: str | None = None
    level: int | None = None
    color: float | None = None
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
    """The characters of a bundle.

    Args:
        toonifier: has the bundle's table.
        engines: what makes each engine, by name, the bundle's own first; called once, when it is
            first needed.
        defaults: of the bundle.
    """

    def __init__(
        self,
        toonifier: Toonifier,
        engines: Mapping[str, Callable[[], MixingEngine[Any]]],
        defaults: Defaults,
    ) -> None:
        self.toonifier, self.defaults = toonifier, defaults
        self._engines = {name: cache(make) for name, make in engines.items()}

    @property
    def looks(self) -> Sequence[Look]:
        return [Look(name, "character") for name in self.toonifier.characters]

    @property
    def engines(self) -> tuple[str, ...]:
        """Names, the bundle's own first."""
        return tuple(self._engines)

    def engine(self, wish: Wish, *, pasted: bool) -> MixingEngine[Any]:
        """What draws a wish: portraits, or heads `pasted` into pictures."""
        own, name = self.defaults, wish.engine or self.engines[0]
        usual = own.level_of(pasted=pasted and name == CdsmEngine.name)
        engine = self._engines[name]().mixing(
            level=usual if wish.level is None else wish.level,
            trgb=own.trgb,
            color=own.color if wish.color is None else wish.color,
        )
        if pasted and wish.transparent and isinstance(engine, CdsmEngine):
            return engine.before("transparent")
        return engine

    def preview(self, name: str) -> RGB:
        """The picture of its table, or the first example drawn."""
        stored = self.toonifier.table[name].preview
        return self.draw(example_photos()[0], Wish(look=name)).rgb if stored is None else stored

    def draw(self, photo: RGB, wish: Wish) -> Picture:
        """The largest face as a portrait, or every face within the photograph."""
        engine = self.engine(wish, pasted=wish.whole)
        faces = engine.detect(photo, largest=not wish.whole)
        if not faces:
            raise InputError("no face found", hint="Use a picture with a visible face.")
        regions = [engine.region(photo, face) for face in (faces if wish.whole else faces[:1])]
        drawn = [np.asarray(toon) for (toon,) in engine.draw_regions(regions, [wish.look])]
        if wish.whole:
            return _picture(engine.paste_all(photo, regions, drawn), photo)
        alpha = None
        if wish.transparent:
            matte = drawing_matte(drawn[0])
            if matte is not None:
                alpha = np.rint(matte * 255).astype(np.uint8)
        return Picture(drawn[0], alpha, regions[0].image)


class StyleDrawer:
    """The styles of a bundle, which keep the person."""

    def __init__(self, toonifier: Toonifier, bundle: str) -> None:
        self.toonifier, self._bundle = toonifier, bundle

    def clip_engine(self, name: str) -> Engine:
        """What draws clips in a style."""
        device = str(self.toonifier.device)
        return clip_engine(self._bundle, style=name, device=device, offline=True)

    @property
    def looks(self) -> Sequence[Look]:
        return [Look(name, "style") for name in self.toonifier.styles]

    def preview(self, name: str) -> RGB:
        """The last example, drawn."""
        return self.toonifier.stylize(example_photos()[-1], style=name)

    def draw(self, photo: RGB, wish: Wish) -> Picture:
        """The largest face as a portrait, or the photograph with everybody in it."""
        if not wish.whole:
            faces = self.toonifier.detect(photo, largest=True)
            if not faces:
                raise InputError(
                    "no face found",
                    hint="Use a picture with a visible face, or have the whole picture drawn.",
                )
            matrix = PortraitEngine.crop_matrix(photo, faces[0])
            photo = sample(photo, matrix, (_PORTRAIT, _PORTRAIT))
        background = "transparent" if wish.transparent else "draw"
        drawn = self.toonifier.stylize(photo, style=wish.look, background=background)
        return _picture(drawn, photo)


class Studio:
    """Everything that a bundle offers.

    Args:
        styles: draws the looks that are shown first; None where the bundle has none.
        characters: draws the others.
    """

    def __init__(self, styles: StyleDrawer | None, characters: CharacterDrawer) -> None:
        self._styles, self._characters = styles, characters
        drawers: list[Drawer] = [characters] if styles is None else [styles, characters]
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
            ModelError: it can't be loaded.
            UsageError: it offers nothing to draw.
        """
        toonifier = Toonifier.from_bundle(bundle, device=device, dtype=dtype)
        defaults = bundle_defaults(bundle)
        engines: dict[str, Callable[[], MixingEngine[Any]]] = {"cdsm": toonifier.engine}
        if has_parts(bundle, FRAMES):
            load: Any = partial(load_engine, "styleganex", bundle, device=device, dtype=dtype)
            engines["styleganex"] = load
        own = preferred_engine(bundle)
        engines = {own: engines[own], **engines}
        styles = StyleDrawer(toonifier, bundle) if toonifier.styles else None
        studio = cls(styles, CharacterDrawer(toonifier, engines, defaults))
        if not studio.looks:
            raise UsageError(
                f"the bundle {bundle} has neither styles nor characters",
                hint="Add some with `toonify build-lut`.",
            )
        return studio

    @property
    def levels(self) -> int:
        """The highest level: everything is the photograph's but for the colors."""
        return self._characters.toonifier.generator.num_ws

    @property
    def engines(self) -> tuple[str, ...]:
        """What characters can be drawn by, the bundle's own first."""
        return self._characters.engines

    @property
    def level(self) -> int:
        """The level that the bundle names."""
        return self._characters.defaults.level

    @property
    def color(self) -> float:
        """The share of a character's colors that the bundle names."""
        return self._characters.defaults.color

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
            InputError: no face found.
            UsageError: unknown look, or options out of range.
        """
        self.check(wish)
        return self._drawers[wish.look].draw(photo, wish)

    def check(self, wish: Wish) -> None:
        """Raise UsageError for an unknown look or options out of range."""
        if wish.engine is not None and self.kind(wish.look) == "style":
            raise UsageError("`engine` is of characters", hint="Leave it out, or take a character.")
        self.kind(wish.look)
        if wish.engine is not None and wish.engine not in self.engines:
            raise unknown_name("engine", wish.engine, self.engines)
        if wish.level is not None and not 0 <= wish.level <= self.levels:
            raise UsageError(f"level {wish.level} is out of range", hint=f"Use 0 to {self.levels}.")
        if wish.color is not None and not 0 <= wish.color <= 1:
            raise UsageError(f"color {wish.color} is out of range", hint="Use 0 to 1.")

    def draw_clip(
        self, source: Path, output: Path, wish: Wish, *, max_size: int, progress: Progress
    ) -> int:
        """Draw a clip.

        Args:
            max_size: longest side of the result, px.
            progress: called with frames done and all; what it raises ends the work.

        Returns:
            frames drawn.
        """
        self.check(wish)
        engine: Engine
        if self._styles is not None and self.kind(wish.look) == "style":
            engine = self._styles.clip_engine(wish.look)
        else:
            engine = self._characters.engine(wish, pasted=True)
        options = Options(characters=(wish.look,), span=Span(max_size=max_size), resume=False)
        return convert(source, output, engine, options, progress=progress).frames


def _picture(drawn: RGB, before: RGB) -> Picture:
    """Of a drawing (H, W, 3), or (H, W, 4) with opacity."""
    alpha = drawn[..., 3] if drawn.shape[2] == 4 else None
    return Picture(np.ascontiguousarray(drawn[..., :3]), alpha, before)


def example_photos() -> list[RGB]:
    """Portraits of people who don't exist, to try things on."""
    return [read_image(path).rgb for path in sorted(EXAMPLES.glob("*.jpg"))]
