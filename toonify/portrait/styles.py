"""The portrait styles by name: what each does differently."""

from __future__ import annotations

from dataclasses import dataclass

from toonify.names import unknown_name


@dataclass(frozen=True)
class Style:
    """How a drawing looks. Lengths are px of a face whose eyes are 125 px apart.

    Args:
        line: width of outlines; 0 draws none.
        eye: how much larger eyes are drawn.
        skin_tones: tones that light and shade on skin are divided into, at most.
        skin_contrast, hair_contrast, contrast: of those tones, against the photograph's.
        strands: whether single strands of hair are drawn.
        softness: blur of the borders between tones.
        saturation: of every color, against the photograph's.
        colors: colors of what is not a head, and of the background.
        quiet: how far the background steps back, 0..1.
        spot_black: lightness (0..100) below which hair and clothes become plain black; 0 for never.
        halftone: distance of the dots that shade is screened with; 0 for flat shade.
        blush: warmth on the cheeks.
        paper: the background is bare paper, colors are washes.
    """

    name: str
    line: float = 2.9
    eye: float = 1.24
    skin_tones: int = 3
    skin_contrast: float = 0.9
    hair_contrast: float = 1.0
    contrast: float = 1.08
    strands: bool = True
    softness: float = 0.0
    saturation: float = 1.1
    colors: int = 7
    quiet: float = 0.3
    spot_black: float = 0.0
    halftone: float = 0.0
    blush: float = 0.0
    paper: bool = False


STYLES: dict[str, Style] = {
    style.name: style
    for style in (
        Style("ink"),
        Style(
            "soft",
            line=0.0,
            eye=1.38,
            skin_tones=4,
            skin_contrast=0.85,
            strands=False,
            softness=5.0,
            saturation=1.18,
            quiet=0.35,
            blush=0.5,
        ),
        Style(
            "comic",
            line=3.6,
            eye=1.15,
            skin_tones=2,
            skin_contrast=1.0,
            contrast=1.3,
            saturation=1.5,
            colors=5,
            quiet=0.15,
            spot_black=24.0,
            halftone=7.0,
        ),
        Style(
            "wash",
            line=1.5,
            eye=1.12,
            skin_tones=3,
            skin_contrast=0.7,
            hair_contrast=0.9,
            saturation=1.15,
            softness=1.0,
            colors=4,
            quiet=0.6,
            paper=True,
        ),
    )
}


def get_style(name: str) -> Style:
    """The style of that name.

    Raises:
        UsageError: unknown name; the message suggests the nearest one.
    """
    try:
        return STYLES[name]
    except KeyError:
        raise unknown_name("style", name, list(STYLES)) from None
