"""What makes a character: proportions and colors, constant over every drawing of it."""

from __future__ import annotations

from dataclasses import dataclass

from .canvas import Color


@dataclass(frozen=True)
class Style:
    """Proportions in units of the image's width, colors as (r, g, b)."""

    # colors
    skin: Color
    skin_shade: Color
    ink: Color  # lines on skin
    blush: Color
    hair: Color
    hair_shade: Color
    hair_light: Color
    hair_ink: Color
    iris: tuple[Color, Color, Color]  # dark rim and top, middle, light bottom
    lash: Color
    brow: Color
    lip: Color
    lip_depth: Color  # lower, shaded lip
    back: tuple[Color, Color]  # signature background, top and bottom
    # face: multipliers and offsets against the common head
    cheek: float = 1.0  # width of the cheeks
    jaw: float = 1.0  # width of the jaw
    chin: float = 0.850
    eye_w: float = 0.196
    eye_up: float = 0.080
    eye_low: float = 0.062
    eye_tilt: float = 0.0  # outer corner up
    eye_peak: float = 0.1  # where the upper lid is highest: - inside, + outside
    eye_round: float = 0.5  # 0 almond .. 1 circle
    iris_rx: float = 0.058
    iris_ry: float = 0.066
    lash_w: float = 0.022
    lashes: int = 0
    wing: float = 0.16  # how far the lash runs past the outer corner, in half eyes
    lower_lash: float = 0.0070
    crease: float = 0.014  # height of the lid over the lash
    brow_w: float = 0.022
    brow_y: float = 0.345
    brow_arch: float = 0.016
    nose_w: float = 0.028
    nose_z: float = 0.062
    nose_y: float = 0.612
    nose_red: float = 0.22
    mouth_w: float = 0.098
    lip_full: float = 0.0  # thickness of the painted lips
    blush_power: float = 0.35
    wrinkles: float = 0.0
    freckles: bool = False
    gap_tooth: bool = False
    ears: float = 1.0
    neck: float = 0.115
    shoulders: float = 1.0
