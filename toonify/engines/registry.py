"""Engines by name: a new engine is one module and one line here."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

from toonify.bundle import preferred_engine
from toonify.engines.base import Engine
from toonify.errors import UsageError
from toonify.names import unknown_name
from toonify.portrait.catalog import bundle_styles, is_style_file, network_styles, program_styles

ENGINES = {  # name → "module:class"; the class has `from_bundle(bundle, **options)`
    "portrait": "toonify.engines.portrait:StyleEngine",
    "unet": "toonify.engines.unet:UNetEngine",
    "blend": "toonify.engines.blend:BlendEngine",
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


def style_engine(
    styles: Sequence[str], bundle: str | os.PathLike[str] = "default", *, engine: str = "auto"
) -> str:
    """What draws these styles: "portrait", the program, "unet", a network for each, or "blend",
    the one with faces of the other.

    Args:
        styles: names, or files of networks.
        engine: "auto" takes the program wherever it draws all of them.

    Raises:
        UsageError: none draws all of them.
    """
    program, networks = program_styles(bundle), network_styles(bundle)
    drawn = [style for style in styles if style in program]
    learnt = [style for style in styles if style in networks or is_style_file(style)]
    if engine in ("auto", "portrait") and len(drawn) == len(styles):
        return "portrait"
    if engine in ("auto", "unet") and len(learnt) == len(styles):
        return "unet"
    both = [style for style in drawn if style in learnt]
    if engine == "blend" and len(both) == len(styles):
        return "blend"
    able = {"unet": learnt, "blend": both}.get(engine, drawn)
    others = [style for style in styles if style not in able]
    if engine == "auto":
        raise UsageError(
            f"no engine draws all of {', '.join(styles)}", hint="Draw them in separate runs."
        )
    both = [style for style in program if style in networks]
    known = {"unet": networks, "blend": both}.get(engine, program)
    raise UsageError(
        f"{engine} does not draw {others[0]}",
        hint=f"It draws: {', '.join(known) or 'nothing of this bundle'}.",
    )


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
