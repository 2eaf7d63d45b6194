"""`--engine` and what goes with it, the same wherever pictures are drawn."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.bundle import bundle_defaults
from toonify.errors import UsageError

if TYPE_CHECKING:
    from toonify.bundle import Defaults
    from toonify.engines.base import Engine


class EngineName(StrEnum):
    """What draws: names of `toonify.engines.registry`, and auto."""

    auto = "auto"
    portrait = "portrait"
    unet = "unet"
    blend = "blend"
    cdsm = "cdsm"
    styleganex = "styleganex"
    adain = "adain"
    wct2 = "wct2"


class Backend(StrEnum):
    """What computes the networks of styles: `toonify.engines.unet.Runtime`."""

    auto = "auto"
    onnx = "onnx"
    openvino = "openvino"
    opencv = "opencv"
    torch = "torch"


TRANSFER = (EngineName.adain, EngineName.wct2)
NETWORKS = (EngineName.unet, EngineName.blend)  # styles drawn by networks
PEOPLE = (EngineName.cdsm, EngineName.styleganex)
STYLES = (EngineName.portrait, EngineName.unet, EngineName.blend)

EngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="What draws: portrait styles by program, unet by a network, blend people by the"
        " network before backgrounds by program, cdsm characters on each face's crop, styleganex"
        " characters into the whole frame, adain in the manner of --style-image, wct2 in the colors"
        " and light of one. Default: what the bundle names.",
        show_default=False,
    ),
]
# how a character is mixed in; None: as the bundle says
LevelOption = Annotated[
    int | None,
    typer.Option(
        help="First layer taken from the character: fewer is more cartoon.",
        show_default="the bundle's: 6; of heads set into pictures and clips 12",
    ),
]
TrgbOption = Annotated[
    bool | None,
    typer.Option(
        "--trgb/--no-trgb", help="Take the character's color layers.", show_default="trgb"
    ),
]
ColorOption = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, help="How much of the character's colors.", show_default="1.0"),
]


def check_engine(
    engine: EngineName, *, styles: bool = False, characters: bool = False, pictures: bool = False
) -> None:
    """Refuse an engine that can't draw what is requested.

    Args:
        styles, characters, pictures: those were requested, by option.

    Raises:
        UsageError: it can't.
    """
    if engine in TRANSFER and not pictures:
        raise UsageError("--engine is of a style picture", hint="Add --style-image PICTURE.")
    if pictures and engine not in (*TRANSFER, EngineName.auto):
        raise UsageError(
            f"--engine {engine.value} takes no --style-image", hint="Leave one of them out."
        )
    if engine in STYLES and characters:
        raise UsageError(
            f"--engine {engine.value} draws styles, not characters", hint="Leave one of them out."
        )
    if engine in PEOPLE and styles and not characters:
        raise UsageError(
            f"--engine {engine.value} draws characters, not styles", hint="Name a --character."
        )


def defaults_of(bundle: str) -> Defaults:
    """What the bundle's manifest says for options that are not given."""
    return bundle_defaults(bundle)


def check_mixing(engine: Engine, *, given: bool) -> None:
    """Refuse --level, --trgb and --color where an engine has no part for them.

    Raises:
        UsageError: they are `given`, and it has none.
    """
    from toonify.engines.styleganex import StyleGANEXEngine

    if given and isinstance(engine, StyleGANEXEngine) and not engine.model.mixes:
        raise UsageError(
            "--level, --trgb and --color are of the engine cdsm: here all of a latent is the"
            " character's",
            hint="Leave them out, or add --engine cdsm.",
        )
