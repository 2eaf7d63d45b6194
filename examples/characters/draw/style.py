"""What makes a character: proportions and colours, constant over every drawing of it."""

from __future__ import annotations

from dataclasses import dataclass

from .canvas import Color


@dataclass(frozen=True)
class Style:
    """Proportions in units of the image's width, colours as (r, g, b)."""

    # colours
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
    chin: float = 0.885
    eye_w: float = 0.170
    eye_up: float = 0.062
    eye_low: float = 0.044
    eye_tilt: float = 0.0  # outer corner up
    iris_rx: float = 0.044
    iris_ry: float = 0.054
    lash_w: float = 0.017
    lashes: int = 0
    lower_lash: float = 0.0032
    crease: float = 1.0
    brow_w: float = 0.015
    brow_y: float = 0.375
    brow_arch: float = 0.016
    nose_w: float = 0.026
    nose_z: float = 0.062
    nose_y: float = 0.612
    mouth_w: float = 0.083
    lip_full: float = 0.0  # thickness of the painted lips
    blush_power: float = 0.35
    wrinkles: float = 0.0
    freckles: bool = False
    gap_tooth: bool = False
    ears: float = 1.0
    neck: float = 0.115
    shoulders: float = 1.0
