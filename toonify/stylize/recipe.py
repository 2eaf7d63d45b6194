"""Which engine draws a run's photographs, so that other processes can make the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toonify.engines.base import Engine
from toonify.engines.combined import CombinedEngine
from toonify.engines.registry import load_engine
from toonify.stylize.options import is_rule


@dataclass(frozen=True)
class EngineRecipe:
    """An engine's name and options, to be pickled.

    Attributes:
        bundle: a shipped bundle's name or a bundle's folder.
        people: key of `toonify.engines.registry.ENGINES` that draws characters, or whole pictures;
            None where styles alone are drawn.
        people_options: of that engine.
        style_options: of the engine that draws styles; None where no style is drawn.
        styles: key of `ENGINES` of that engine.

    Examples:
        >>> EngineRecipe("default", "cdsm", {"level": 4}).make()
    """

    bundle: str
    people: str | None = None
    people_options: Mapping[str, Any] = field(default_factory=dict)
    style_options: Mapping[str, Any] | None = None
    styles: str = "portrait"

    def make(self) -> Engine:
        """Load the networks.

        Raises:
            UsageError: options out of range, or neither styles nor characters are drawn.
            ModelError: the bundle can't be loaded, or has no networks for this engine.
        """
        people = None if self.people is None else self._people(self.people)
        if self.style_options is None:
            if people is None:
                raise ValueError("a recipe draws styles, characters or both")
            return people
        styles = self._styles(people)
        if people is None:
            return styles

        return CombinedEngine(styles, people)

    @staticmethod
    def people_of(engine: Engine) -> Engine:
        """The part of what `make` gave that draws characters."""
        return engine.people if isinstance(engine, CombinedEngine) else engine

    def _people(self, name: str) -> Engine:
        """What draws characters."""
        return load_engine(name, self.bundle, **self.people_options)

    def _styles(self, people: Engine | None) -> Engine:
        """What draws styles, with the detector of `people` where there is one."""
        detector = None if people is None else people.detector
        return load_engine(self.styles, self.bundle, detector=detector, **self.style_options or {})


def drawing_identity(engine: Engine, name: str) -> Any:
    """What drawings under a name, or by rules that cast a character per person, depend on."""
    if not is_rule(name):
        return engine.identity(name)
    people = EngineRecipe.people_of(engine)
    names = {entry.partition("=")[2] or entry for entry in name.replace(" ", "").split(",")}
    names = (names | {people.characters[0]}) & set(people.characters)
    return {"cast": {name: people.identity(name) for name in sorted(names)}}
