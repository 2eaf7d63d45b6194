"""What a drawing takes from a person: colors, glasses, beard and hairdo, in a character's manner.

Levels of style mixing above 6 let the person through step by step; these are their targets
(`examples.default_bundle.attribute_offsets`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from . import hairdos
from .canvas import Canvas, Color
from .cast import CAST, Character, plain
from .hair import Layer
from .head import Head
from .pose import View
from .style import Style

Hairdo = Literal["receding", "short", "curly", "cloud", "long"]
_HAIRDOS = {
    "receding": hairdos.bram,
    "short": hairdos.jun,
    "curly": hairdos.kit,
    "cloud": hairdos.zuri,
    "long": hairdos.mina,
}
HAIRDO_OF: dict[str, Hairdo] = {  # whose they are
    "bram": "receding", "jun": "short", "kit": "curly", "zuri": "cloud", "mina": "long",
}  # fmt: skip


@dataclass(frozen=True)
class Likeness:
    """What of the person is drawn; None leaves it to the character.

    Attributes:
        skin, hair: their colors.
        glasses: what is worn; "none" takes the character's own away.
        beard, moustache: whether there is one.
        hairdo: the one that comes nearest to the person's hair.
    """

    skin: Color | None = None
    hair: Color | None = None
    glasses: Literal["none", "clear", "sun"] | None = None
    beard: bool | None = None
    moustache: bool | None = None
    hairdo: Hairdo | None = None


def with_likeness(name: str, likeness: Likeness) -> Character:
    """The character of that name with what `likeness` says of the person."""
    own = CAST[name]
    out = replace(own, style=_recolored(own.style, likeness))
    if likeness.hairdo is not None and _HAIRDOS[likeness.hairdo] is not getattr(hairdos, name):
        hairdo = _HAIRDOS[likeness.hairdo]

        def front(view: View, style: Style) -> Layer:
            layer = hairdo.front(view, style)
            layer.details = None  # bows and bands are the other character's
            return layer

        out = replace(out, back=hairdo.back, front=front)
    if likeness.beard is not None and likeness.beard != (own.under is not plain):
        under = hairdos.bram.short_beard if likeness.beard else plain
        out = replace(out, under=under)
    if likeness.moustache is not None and likeness.moustache != (own.over is not plain):
        out = replace(out, over=hairdos.bram.moustache if likeness.moustache else plain)
    if likeness.glasses == "none":
        return replace(out, extras=plain)
    if likeness.glasses is not None and (likeness.glasses == "sun" or own.extras is plain):
        sun = likeness.glasses == "sun"

        def extras(canvas: Canvas, view: View, head: Head) -> None:
            hairdos.nana.glasses(canvas, view, frame=(48, 40, 52), shine=(150, 140, 156), sun=sun)

        out = replace(out, extras=extras)
    return out


def _recolored(style: Style, likeness: Likeness) -> Style:
    changes: dict[str, Color] = {}
    if likeness.skin is not None:
        for tone in ("skin_shade", "ink", "blush", "lip", "lip_depth"):
            changes[tone] = _moved(getattr(style, tone), style.skin, likeness.skin)
        changes["skin"] = likeness.skin
    if likeness.hair is not None:
        for tone in ("hair_shade", "hair_light", "hair_ink", "brow"):
            changes[tone] = _moved(getattr(style, tone), style.hair, likeness.hair, tint=0.0)
        changes["hair"] = likeness.hair
    return replace(style, **changes)


def _moved(tone: Color, base: Color, new: Color, *, tint: float = 1.0) -> Color:
    """The tone that is to `new` what `tone` is to `base`, in Lab: darker or lighter in proportion,
    so that shadows on dark skin and light on white hair stay within what can be shown. `tint` is
    how much of the difference in hue is kept: the shade of violet hair would make blond olive."""
    (lightness, *ab), (from_l, *from_ab), (to_l, *to_ab) = (to_lab(c) for c in (tone, base, new))
    if lightness < from_l:
        out = to_l * lightness / max(from_l, 1e-3)
    else:
        out = to_l + (100 - to_l) * (lightness - from_l) / max(100 - from_l, 1e-3)
    moved = [b + (a - f) * tint for a, f, b in zip(ab, from_ab, to_ab, strict=True)]
    pixel = cv2.cvtColor(np.array([[[out, *moved]]], np.float32), cv2.COLOR_LAB2RGB)[0, 0]
    red, green, blue = (round(float(v)) for v in np.clip(pixel * 255, 0, 255))
    return red, green, blue


def to_lab(color: Color) -> tuple[float, float, float]:
    """RGB → CIELAB, L 0..100."""
    pixel = np.array([[color]], np.float32) / 255
    lightness, a, b = (float(v) for v in cv2.cvtColor(pixel, cv2.COLOR_RGB2LAB)[0, 0])
    return lightness, a, b
