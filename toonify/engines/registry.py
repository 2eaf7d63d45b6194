"""Engines by name: a new engine is one module and one line here."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

from toonify.bundle import bundle_defaults
from toonify.engines.base import Engine
from toonify.errors import ModelError, UsageError
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


def style_engine(
    styles: Sequence[str],
    bundle: str | os.PathLike[str] = "default",
    *,
    engine: str = "auto",
    prefer: str | None = None,
) -> str:
    """What draws these styles: "portrait", the program, "unet", a network for each, or "blend",
    people by the one before backgrounds by the other.

    Args:
        styles: names, or files of networks.
        engine: "auto" takes the first that draws all of them.
        prefer: the engine that "auto" tries before the program, the network and the blend.

    Raises:
        UsageError: none draws all of them.
    """
    program, networks = program_styles(bundle), network_styles(bundle)
    drawn = [style for style in styles if style in program]
    learnt = [style for style in styles if style in networks or is_style_file(style)]
    able = {
        "portrait": drawn,
        "unet": learnt,
        "blend": [style for style in drawn if style in learnt],
    }
    tried = [engine] if engine != "auto" else sorted(able, key=lambda name: name != prefer)
    for name in tried:
        if len(able[name]) == len(styles):
            return name
    if engine == "auto":
        raise UsageError(
            f"no engine draws all of {', '.join(styles)}", hint="Draw them in separate runs."
        )
    other = next(style for style in styles if style not in able[engine])
    both = [style for style in program if style in networks]
    known = {"portrait": program, "unet": networks, "blend": both}[engine]
    raise UsageError(
        f"{engine} does not draw {other}",
        hint=f"It draws: {', '.join(known) or 'nothing of this bundle'}.",
    )


def load_style_engine(
    style: str | None = None,
    bundle: str | os.PathLike[str] = "default",
    *,
    device: str = "auto",
    dtype: str = "auto",
    **options: Any,
) -> Engine:
    """What draws photographs in a style: of the engines that can, the one that the bundle's
    manifest names (`defaults`: photos).

    Args:
        style: a name, or a network's file; the bundle's first when None.
        bundle: a name, or a bundle's folder.
        device: of networks ("auto", "cpu", "cuda", …); the program needs none.
        dtype: of networks ("auto", "float32", "bfloat16", …); the program needs none.
        options: of every such engine: background, max_size, detector, landmarks, offline, ….

    Raises:
        UsageError: an unknown style.
        ModelError: the bundle can't be loaded, or offers no styles.

    Examples:
        >>> engine = load_style_engine("ink")
        >>> (drawn,) = engine.draw_image(rgb, ["ink"], faces=engine.detect(rgb))
    """
    if style is None or not is_style_file(style):
        known = bundle_styles(bundle)
        if not known:
            raise ModelError(
                f"the bundle {bundle} offers no styles",
                hint="Name one of its characters, or use the default bundle.",
            )
        style = known[0] if style is None else style
        if style not in known:
            raise unknown_name("style", style, known)
    name = style_engine([style], bundle, prefer=bundle_defaults(bundle).photos)
    networks = {} if name == "portrait" else {"device": device, "dtype": dtype}
    return load_engine(name, bundle, style=style, **networks, **options)


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

    Examples:
        >>> engine = load_engine("cdsm", level=4)
        >>> (drawn,) = engine.draw_image(rgb, ["mina"], faces=engine.detect(rgb))
    """
    if name not in ENGINES:
        raise unknown_name("engine", name, list(ENGINES))
    module, _, kind = ENGINES[name].partition(":")
    engine: Engine = getattr(importlib.import_module(module), kind).from_bundle(bundle, **options)
    return engine
