"""Engines by name: a new engine is one module and one line here."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import Any

from toonify.bundle import preferred_engine
from toonify.engines.base import Engine
from toonify.names import unknown_name
from toonify.portrait.catalog import bundle_styles


@dataclass(frozen=True)
class EngineInfo:
    """What is known of an engine without importing it.

    Attributes:
        home: "module:class"; the class has `from_bundle(bundle, **options)`.
        about: one line for help.
        finds_faces: it draws people; otherwise whole pictures, whatever they show.
    """

    home: str
    about: str
    finds_faces: bool = True

    def load(self, bundle: str | os.PathLike[str], **options: Any) -> Engine:
        """Import the class and make the engine."""
        module, _, name = self.home.partition(":")
        kind = getattr(importlib.import_module(module), name)
        engine: Engine = kind.from_bundle(bundle, **options)
        return engine


_TRANSFER = "toonify.engines.style_transfer"
ENGINES: dict[str, EngineInfo] = {
    "portrait": EngineInfo(
        "toonify.engines.portrait:StyleEngine", "styles that keep the person, by program"
    ),
    "cdsm": EngineInfo(
        "toonify.engines.cdsm:CdsmEngine", "characters, by style mixing on each face's crop"
    ),
    "styleganex": EngineInfo(
        "toonify.engines.styleganex:StyleGANEXEngine", "characters, drawn into the whole frame"
    ),
    "adain": EngineInfo(
        f"{_TRANSFER}:AdaINEngine", "in the manner of any picture", finds_faces=False
    ),
    "wct2": EngineInfo(
        f"{_TRANSFER}:WCT2Engine", "the colors and light of any photo", finds_faces=False
    ),
}


def default_engine(
    bundle: str | os.PathLike[str] = "default", *, style: bool = False, character: bool = False
) -> str:
    """The engine that a bundle's drawings are made with where none is named.

    Args:
        style: a style is asked for.
        character: a character is asked for.

    Returns:
        "portrait" for styles, and where nothing is asked for and the bundle has some; for
        characters what the bundle's manifest names.

    Raises:
        ModelError: there is no such bundle.
    """
    if style or (not character and bundle_styles(bundle)):
        return "portrait"
    return preferred_engine(bundle)


def load_engine(
    name: str = "cdsm", bundle: str | os.PathLike[str] = "default", **options: Any
) -> Engine:
    """An engine on a bundle's networks.

    Args:
        name: a key of `ENGINES`.
        bundle: a shipped bundle's name or a bundle's folder.
        options: of the engine's `from_bundle`: level, background, images, detector, ….

    Raises:
        UsageError: an unknown name, or options out of range.
        ModelError: the bundle can't be loaded, or has no networks for this engine.

    Example:
        >>> engine = load_engine("cdsm", level=4)
        >>> (drawn,) = engine.draw_image(rgb, ["mina"], faces=engine.detect(rgb))
    """
    if name not in ENGINES:
        raise unknown_name("engine", name, list(ENGINES))
    return ENGINES[name].load(bundle, **options)
