"""Engines by name: a new engine is one module and one line here."""

from __future__ import annotations

import importlib
import os
from typing import Any

from toonify.bundle import preferred_engine
from toonify.engines.base import Engine
from toonify.names import unknown_name
from toonify.portrait.catalog import bundle_styles

ENGINES = {  # name → "module:class"; the class has `from_bundle(bundle, **options)`
    "portrait": "toonify.engines.portrait:StyleEngine",
    "cdsm": "toonify.engines.cdsm:CdsmEngine",
    "styleganex": "toonify.engines.styleganex:StyleGANEXEngine",
    "adain": "toonify.engines.style_transfer:AdaINEngine",
    "wct2": "toonify.engines.style_transfer:WCT2Engine",
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
    module, _, kind = ENGINES[name].partition(":")
    engine: Engine = getattr(importlib.import_module(module), kind).from_bundle(bundle, **options)
    return engine
