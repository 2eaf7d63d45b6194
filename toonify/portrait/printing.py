"""How a style puts people on paper who are drawn as pixels: spot blacks, halftone, washes.

The program's shapes have all that; a network's drawing gets it here.
"""

from __future__ import annotations

import cv2
import numpy as np

from toonify.faces.types import RGB
from toonify.portrait.fields import Field, blur, f32, smoothstep
from toonify.portrait.styles import Style

REACH = 0.55  # of the distance between the eyes: light is what is light for its surroundings
SHADE = (5.0, 26.0)  # by how much darker shade is: where dots begin, and where they are largest
LIFTED = 0.55  # of what shade is darker by, that dots stand for
THIN = 0.18  # of what is darker than paper, that it shines through
SKIN_DARKER = 14.0  # than hair and clothes skin must be to be blackened
DOT = 0.66  # lightness of dots against what they stand on


def print_people(people: RGB, style: Style, interocular: float) -> RGB:
    """Finish what a network drew of people.

    Args:
        people: (H, W, 3) uint8.
        style: see `Style.spot_black`, `halftone` and `paper`.
        interocular: px between the eyes of the largest face.

    Returns:
        (H, W, 3) uint8; `people` itself where the style asks for nothing.
    """
    if not (style.spot_black or style.halftone or style.paper):
        return people
    lab = f32(cv2.cvtColor(f32(people) / 255, cv2.COLOR_RGB2LAB))
    skin = smoothstep(np.minimum(lab[..., 1], lab[..., 2]), 4, 9)  # by its hue
    if style.paper:  # shines through all but skin and what is darkest, such as eyes
        thin = (1 - skin) * np.minimum(lab[..., 0] / 40, 1)
        lab[..., 0] += (100 - lab[..., 0]) * (THIN * thin)
        lab[..., 1:] *= (1 - 0.1 * thin)[..., None]
    if style.halftone:
        _screen(lab, style.halftone * interocular / 125.0, interocular * REACH)
    if style.spot_black:
        # skin in shade is dark, not black
        darkness = style.spot_black - lab[..., 0] - SKIN_DARKER * skin
        lab *= (1 - smoothstep(darkness, 0, 6) * 0.9)[..., None]
    printed = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.clip(np.rint(printed * 255), 0, 255).astype(np.uint8)


def _screen(lab: Field, pitch: float, reach: float) -> None:
    """Turn shade into dots, `pitch` px apart, at 45°, in place."""
    light = lab[..., 0]
    around = light
    for _ in range(2):  # the lighter half of the surroundings tells what lies in light
        mean = blur(around, reach)
        around = np.maximum(around, mean)
    lit = blur(around, reach / 2)
    shade = smoothstep(blur(lit - light, pitch * 0.6), *SHADE) * smoothstep(light, 20, 32)
    height, width = light.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    turn = np.float32(np.pi * np.sqrt(2) / pitch)
    wave = (np.cos((x + y) * turn / np.sqrt(2)) + np.cos((x - y) * turn / np.sqrt(2))) / 2
    soft = max(2.0 / pitch, 0.15)
    dots = smoothstep(wave - (1.05 - 1.25 * shade), -soft, soft) * (shade > 0.02)
    light += (lit - light) * np.minimum(shade, 1) * LIFTED
    light *= 1 - dots * (1 - DOT)
