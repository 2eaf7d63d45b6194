"""A stand-in for an engine: as many faces as a photo's first pixel says, flat drawings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from toonify.engines.base import Engine
from toonify.faces import Alignment, Face

SIZE = 16
COLORS = {"mina": 50, "otto": 100, "ruth": 150}


class FakeEngine(Engine):
    name = "fake"
    characters = tuple(COLORS)
    detector = None

    def __init__(self) -> None:
        self.batches: list[int] = []

    def detect(self, rgb, *, largest=False):
        return [
            Face(
                box=np.array([8 * i, 0, 8 * i + 8, 8], np.float32),
                score=1.0,
                points5=np.zeros((5, 2), np.float32),
            )
            for i in range(int(rgb[0, 0, 0]))
        ]

    def smallest_face(self, rgb):
        return 0.0

    def identity(self, character):
        return {"engine": "fake"}

    def region(self, rgb, face):
        image = np.full((SIZE, SIZE, 3), rgb[0, 0, 1], np.uint8)
        return Alignment(image=image, matrix=np.eye(2, 3), face=face)

    def encode(self, regions):
        return np.zeros((len(regions), 1), np.float32)

    def render(self, regions, latents, characters):
        return [np.full((8, 8, 3), COLORS[name], np.uint8) for name in characters]

    def draw_regions(self, regions, characters):
        self.batches.append(len(regions))
        if any((region.image == 13).all() for region in regions):
            raise RuntimeError("out of memory")
        return super().draw_regions(regions, characters)

    def paste(self, rgb, toon, region):
        out = rgb.copy()
        x0, y0, x1, y1 = region.face.box.astype(int)
        out[y0:y1, x0:x1] = toon[0, 0]
        return out


def photo(path: Path, *, faces: int = 1, shade: int = 200) -> Path:
    """A 32x16 photo with that many faces."""
    rgb = np.full((16, 32, 3), shade, np.uint8)
    rgb[0, 0, 0] = faces
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return path


def color(path: Path) -> int:
    """The value of a flat drawing."""
    values = np.unique(np.asarray(Image.open(path)))
    assert len(values) == 1
    return int(values[0])
