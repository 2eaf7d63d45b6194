"""Composed pictures as drawings, labels unchanged: a parser that also learns from these finds hair,
beards and glasses in what toonify draws."""

from __future__ import annotations

import numpy as np

from toonify.engines.unet import UNetEngine
from toonify.faces.types import RGB, f32
from toonify.portrait.backgrounds import resized
from toonify.portrait.catalog import STYLES
from toonify.portrait.crisp import crisp
from toonify.portrait.printing import print_people

ENLARGED = 2.0  # before edges are sharpened
INTEROCULAR = (35.0, 75.0)  # px between the eyes, that a composed picture may have


class Drawer:
    """Draws pictures in the bundle's styles, by their network.

    Examples:
        >>> drawing = Drawer()(rgb, np.random.default_rng(0))
    """

    def __init__(self) -> None:
        self._engine = UNetEngine.from_bundle("default")

    def __call__(self, rgb: RGB, rng: np.random.Generator) -> RGB:
        """A picture (H, W, 3) uint8 in a style drawn by lot, of the same size."""
        style = str(rng.choice(self._engine.characters))
        gain = np.exp(rng.normal(0, 0.15))
        drawn = crisp(self._engine.draw(f32(np.clip(rgb * gain, 0, 255)), style), ENLARGED)
        drawn = print_people(drawn, STYLES[style], ENLARGED * rng.uniform(*INTEROCULAR))
        return resized(drawn, (rgb.shape[1], rgb.shape[0]))
