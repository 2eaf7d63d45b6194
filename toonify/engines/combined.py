"""Styles and characters side by side, drawn from the same crop of a face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from toonify.engines.base import Drawing, Engine
from toonify.faces import Alignment, Face, FaceDetector
from toonify.faces.types import RGB, Points


class CombinedEngine(Engine):
    """Draws portraits in styles and as characters.

    Args:
        styles: draws names that are its styles.
        people: draws all other names, and cuts the crops out.
    """

    name = "combined"

    def __init__(self, styles: Engine, people: Engine) -> None:
        self.styles, self.people = styles, people

    @property
    def characters(self) -> tuple[str, ...]:
        """Names of styles, then of characters."""
        return (*self.styles.characters, *self.people.characters)

    @property
    def detector(self) -> FaceDetector:
        """That of the characters' engine."""
        return self.people.detector

    def identity(self, character: str) -> dict[str, Any]:
        """Of the engine that draws this name; a style's portrait depends on the crop too."""
        if character in self.styles.characters:
            return self.styles.identity(character) | {"beside_characters": True}
        return self.people.identity(character)

    def detect(self, rgb: RGB, *, largest: bool = False) -> list[Face]:
        """As the characters' engine finds them."""
        return self.people.detect(rgb, largest=largest)

    def smallest_face(self, rgb: RGB) -> float:
        """As the characters' engine looks for them."""
        return self.people.smallest_face(rgb)

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """The crop that characters are drawn from."""
        return self.people.region(rgb, face)

    def encode(self, regions: Sequence[Alignment]) -> Points:
        """Latents for the characters."""
        return self.people.encode(regions)

    def render(
        self, regions: Sequence[Alignment], latents: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """Each region by the engine that draws its name."""
        drawn: list[RGB] = []
        for row, name in enumerate(characters):
            engine = self.styles if name in self.styles.characters else self.people
            drawn += engine.render([regions[row]], latents[row : row + 1], [name])
        return drawn

    def draw_regions(
        self, regions: Sequence[Alignment], characters: Sequence[str]
    ) -> list[list[Drawing]]:
        """Characters together, styles one by one."""
        return self._both(lambda engine, names: engine.draw_regions(regions, names), characters)

    def draw_aligned(self, images: Sequence[RGB], characters: Sequence[str]) -> list[list[Drawing]]:
        """As `draw_regions`."""
        return self._both(lambda engine, names: engine.draw_aligned(images, names), characters)

    def paste(self, rgb: RGB, toon: RGB, region: Alignment) -> RGB:
        """Put a character back into its photograph."""
        return self.people.paste(rgb, toon, region)

    def _both(
        self,
        draw: Callable[[Engine, Sequence[str]], list[list[Drawing]]],
        characters: Sequence[str],
    ) -> list[list[Drawing]]:
        styles = [name for name in characters if name in self.styles.characters]
        others = [name for name in characters if name not in styles]
        self.people.batch_size = self.batch_size
        rows = []
        for left, right in zip(draw(self.styles, styles), draw(self.people, others), strict=True):
            drawn = dict(zip((*styles, *others), (*left, *right), strict=True))
            rows.append([drawn[name] for name in characters])
        return rows
