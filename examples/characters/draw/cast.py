"""The cast: six characters, each a style, a hairdo, clothes and extras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import clothes, hairdos
from .canvas import Canvas, rgb
from .hair import Layer
from .head import Head
from .pose import View
from .style import Style


def plain(canvas: Canvas, view: View, head: Head) -> None:
    """Nothing is worn there."""


@dataclass(frozen=True)
class Character:
    """Everything needed to draw one member of the cast."""

    style: Style
    back: Callable[[Canvas, View, Style], None]
    front: Callable[[View, Style], Layer]
    clothes: Callable[[Canvas, View, Style], None]
    behind: Callable[[Canvas, View, Head], None] = plain  # at the ears
    under: Callable[[Canvas, View, Head], None] = plain  # on the skin, before the mouth
    over: Callable[[Canvas, View, Head], None] = plain  # after the mouth
    extras: Callable[[Canvas, View, Head], None] = plain  # last of all


CAST: dict[str, Character] = {
    "mina": Character(
        Style(
            skin=rgb("#fde3d6"), skin_shade=rgb("#f0b9b4"), ink=rgb("#57304a"),
            blush=rgb("#f58a9a"), hair=rgb("#3c2b5e"), hair_shade=rgb("#261a42"),
            hair_light=rgb("#8268b8"), hair_ink=rgb("#160e2b"),
            iris=(rgb("#4a2390"), rgb("#8a4fd6"), rgb("#d9a6ff")), lash=rgb("#1d1230"),
            brow=rgb("#34244f"), lip=rgb("#f0909c"), lip_depth=rgb("#d96a80"),
            back=(rgb("#d9ccff"), rgb("#ecd3f4")), cheek=1.0, jaw=0.92, chin=0.846, eye_w=0.200,
            eye_up=0.084, eye_low=0.064, eye_tilt=0.006, eye_peak=0.05, eye_round=0.62,
            iris_rx=0.062, iris_ry=0.074, lash_w=0.026, wing=0.32, brow_w=0.016,
            brow_y=0.338, ears=0.0, nose_w=0.021, nose_z=0.055, mouth_w=0.088, lip_full=0.012,
            blush_power=0.5, neck=0.095, shoulders=0.92,
        ),
        hairdos.mina.back, hairdos.mina.front, clothes.mina,
    ),
    "jun": Character(
        Style(
            skin=rgb("#f3cba5"), skin_shade=rgb("#d99c78"), ink=rgb("#4d2a22"),
            blush=rgb("#e88a6a"), hair=rgb("#1f4a5e"), hair_shade=rgb("#122f42"),
            hair_light=rgb("#4fa3ad"), hair_ink=rgb("#081a28"),
            iris=(rgb("#8a4a08"), rgb("#e09a1c"), rgb("#ffe07a")), lash=rgb("#14141f"),
            brow=rgb("#12293a"), lip=rgb("#d98a74"), lip_depth=rgb("#b8604f"),
            back=(rgb("#ffe6b8"), rgb("#ffd0a4")), cheek=0.97, jaw=1.09, chin=0.866, eye_w=0.186,
            eye_up=0.066, eye_low=0.048, eye_tilt=0.014, eye_peak=0.16, eye_round=0.25,
            iris_rx=0.053, iris_ry=0.060, lash_w=0.021, lower_lash=0.0060, brow_w=0.034,
            brow_y=0.356, brow_arch=0.012, nose_w=0.029, nose_z=0.068, mouth_w=0.100,
            blush_power=0.2, neck=0.135, shoulders=1.08,
        ),
        hairdos.jun.back, hairdos.jun.front, clothes.jun,
    ),
    "zuri": Character(
        Style(
            skin=rgb("#9a5f3d"), skin_shade=rgb("#733f2d"), ink=rgb("#2e130f"),
            blush=rgb("#c4513f"), hair=rgb("#3a2420"), hair_shade=rgb("#231413"),
            hair_light=rgb("#6b4438"), hair_ink=rgb("#120808"),
            iris=(rgb("#3d5a1c"), rgb("#86a83a"), rgb("#e0e08a")), lash=rgb("#140a0c"),
            brow=rgb("#21110f"), lip=rgb("#b8505a"), lip_depth=rgb("#8c3444"),
            back=(rgb("#bff0e2"), rgb("#dbf0cc")), cheek=1.0, jaw=0.94, chin=0.854, eye_w=0.200,
            eye_up=0.076, eye_low=0.056, eye_tilt=0.014, eye_peak=0.12, eye_round=0.4,
            iris_rx=0.058, iris_ry=0.067, lash_w=0.027, lashes=1, wing=0.30, brow_w=0.024,
            brow_y=0.345, brow_arch=0.022, nose_w=0.036, nose_z=0.052, mouth_w=0.100,
            lip_full=0.034, blush_power=0.35, neck=0.105, shoulders=0.95,
        ),
        hairdos.zuri.back, hairdos.zuri.front, clothes.zuri, behind=hairdos.zuri.earrings,
    ),
    "bram": Character(
        Style(
            skin=rgb("#f0b596"), skin_shade=rgb("#d18a72"), ink=rgb("#5a2620"),
            blush=rgb("#dd5a4a"), hair=rgb("#c8672e"), hair_shade=rgb("#96441f"),
            hair_light=rgb("#e89a58"), hair_ink=rgb("#4d1d10"),
            iris=(rgb("#1d4a7a"), rgb("#4a90c8"), rgb("#a8dcf5")), lash=rgb("#3d1c18"),
            brow=rgb("#a8562a"), lip=rgb("#cf7a6c"), lip_depth=rgb("#aa5148"),
            back=(rgb("#c9dfc4"), rgb("#dde6cc")), cheek=1.03, jaw=1.14, chin=0.870,
            eye_w=0.158, eye_up=0.054, eye_low=0.043, eye_tilt=-0.008, eye_peak=0.0,
            eye_round=0.6, iris_rx=0.044, iris_ry=0.050, lash_w=0.019, wing=0.10, brow_w=0.046,
            brow_y=0.366, brow_arch=0.014, nose_w=0.048, nose_z=0.085, nose_y=0.622,
            nose_red=0.38, mouth_w=0.094, lip_full=0.012, blush_power=0.55, wrinkles=1.0,
            ears=1.15, neck=0.15, shoulders=1.15,
        ),
        hairdos.bram.back, hairdos.bram.front, clothes.bram, under=hairdos.bram.beard,
        over=hairdos.bram.moustache,
    ),
    "nana": Character(
        Style(
            skin=rgb("#f7d3bd"), skin_shade=rgb("#dfa492"), ink=rgb("#5c3340"),
            blush=rgb("#f0707a"), hair=rgb("#d4d6e2"), hair_shade=rgb("#a3a6bf"),
            hair_light=rgb("#fafbff"), hair_ink=rgb("#54567a"),
            iris=(rgb("#4d3a2c"), rgb("#8a6a4a"), rgb("#cfae84")), lash=rgb("#3f2a3a"),
            brow=rgb("#8486a4"), lip=rgb("#e0808a"), lip_depth=rgb("#c45f70"),
            back=(rgb("#ffe0d1"), rgb("#f1dde8")), cheek=1.05, jaw=1.06, chin=0.852,
            eye_w=0.160, eye_up=0.062, eye_low=0.050, eye_tilt=-0.007, eye_peak=-0.05,
            eye_round=0.7, iris_rx=0.048, iris_ry=0.055, lash_w=0.021, wing=0.2, brow_w=0.024,
            brow_y=0.318, nose_w=0.034, nose_z=0.062, nose_red=0.35, mouth_w=0.092,
            lip_full=0.009, blush_power=0.75, wrinkles=0.8, neck=0.118, shoulders=0.95,
        ),
        hairdos.nana.back, hairdos.nana.front, clothes.nana, extras=hairdos.nana.extras,
    ),
    "kit": Character(
        Style(
            skin=rgb("#fddcc0"), skin_shade=rgb("#f0b08c"), ink=rgb("#6b3020"),
            blush=rgb("#f78a6a"), hair=rgb("#f2691f"), hair_shade=rgb("#c4431a"),
            hair_light=rgb("#ffab57"), hair_ink=rgb("#6b1d0d"),
            iris=(rgb("#0f5c38"), rgb("#2fae62"), rgb("#b4f09a")), lash=rgb("#3d1810"),
            brow=rgb("#a83a12"), lip=rgb("#ee8a7a"), lip_depth=rgb("#d0605a"),
            back=(rgb("#bfe6ff"), rgb("#d2f3ec")), cheek=1.06, jaw=1.10, chin=0.836, eye_w=0.200,
            eye_up=0.088, eye_low=0.070, eye_peak=0.0, eye_round=1.0, iris_rx=0.062,
            iris_ry=0.072, lash_w=0.020, wing=0.08, brow_w=0.027, brow_y=0.336, nose_w=0.024,
            nose_z=0.048, nose_y=0.605, nose_red=0.35, mouth_w=0.094, blush_power=0.6,
            freckles=True, gap_tooth=True, ears=1.2, neck=0.096, shoulders=0.80,
        ),
        hairdos.kit.back, hairdos.kit.front, clothes.kit,
    ),
}  # fmt: skip
