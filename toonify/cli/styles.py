"""What commands that draw styles share: their options, and which names are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from toonify.errors import ModelError, UsageError
from toonify.names import choose_names

if TYPE_CHECKING:
    from toonify.portrait.backgrounds import Background

StyleOption = Annotated[
    list[str],
    typer.Option(
        help="Style to draw people in as they are; repeat it, or separate with commas, or say all."
        " Also a network's file, of `toonify finetune --objective pix2pix`. Default: the bundle's"
        " first, where no --character is named."
    ),
]
BackgroundOption = Annotated[
    str | None,
    typer.Option(
        help="Behind the people of a whole picture: draw it too, keep the photo's, transparent, or"
        " a color (white, #ffcc00).",
        show_default="draw",
    ),
]
FROM_CHARACTERS = "--level, --trgb and --color"


def choose_characters(
    chosen: Sequence[str], known: Sequence[str], *, rules: bool = False
) -> tuple[str, ...]:
    """Names given on the command line against those of the bundle.

    Args:
        rules: those that cast a character per person may be given, and stay together as one.

    Raises:
        UsageError: an unknown name, or the bundle has no characters.
    """
    if not known:
        raise UsageError("the bundle has no characters", hint="Add some: toonify build-lut --help.")
    if rules and any("=" in item for item in chosen):
        from toonify.video.assignment import CharacterAssignment

        CharacterAssignment(chosen, known)
        return (",".join(chosen),)
    return choose_names("character", chosen, known)


def choose_styles(
    chosen: Sequence[str],
    characters: Sequence[str],
    bundle: str,
    *,
    other: bool = False,
    engine: str = "auto",
) -> tuple[str, ...]:
    """The styles to draw, names and files of networks; none where a character is meant.

    Args:
        chosen: as for `choose_names`.
        characters: those that were requested.
        bundle: offers styles or doesn't.
        other: the command line says by some other option that it wants no style.
        engine: "unet" knows those of networks alone.

    Raises:
        UsageError: an unknown style, or the bundle offers none.
        ModelError: there is no such bundle, or no such file of a network.
    """
    from toonify.portrait.catalog import bundle_styles, is_style_file, network_styles

    if not chosen and (characters or other):
        return ()
    files = tuple(item for item in chosen if is_style_file(item))
    for file in files:
        if not Path(file).is_file():
            raise ModelError(
                f"there is no file {file}",
                hint="Name a style, or style.safetensors of `toonify finetune`.",
            )
    chosen = [item for item in chosen if item not in files]
    if files and not chosen:
        return files
    known = network_styles(bundle) if engine == "unet" else bundle_styles(bundle)
    if not known:
        if engine == "unet":
            raise UsageError(
                f"no network of the bundle {bundle} draws a style",
                hint="Give a file of `toonify finetune --objective pix2pix` as --style.",
            )
        if chosen:
            raise UsageError(
                f"the bundle {bundle} offers no styles",
                hint="Name one of its characters, or use the default bundle.",
            )
        return ()
    return (*choose_names("style", chosen, known), *files)


def refuse_character_options(level: int | None, trgb: bool | None, color: float | None) -> None:
    """Raise UsageError where options of characters are given though none is drawn."""
    if (level, trgb, color) != (None, None, None):
        raise UsageError(
            f"{FROM_CHARACTERS} are of characters, and a style is drawn",
            hint="Leave them out, or name a --character.",
        )


def chosen_background(text: str | None) -> Background:
    """What --background says; see `parse_background`."""
    from toonify.portrait.backgrounds import parse_background

    return parse_background(text or "draw")


def document(format: str) -> Literal["svg", "pdf"] | None:
    """A format that holds shapes; None for pixels."""
    return format if format in ("svg", "pdf") else None  # type: ignore[return-value]
