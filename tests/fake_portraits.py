"""A stand-in for `PortraitEngine`: as many faces as the photo's first pixel says, flat drawings."""

from __future__ import annotations

import numpy as np

from tests.fake_engine import FakeEngine
from toonify.faces import FaceDetector
from toonify.portrait.analysis import Analysis
from toonify.portrait.engine import PortraitEngine
from toonify.portrait.shapes import Drawing, ellipse

NAMES = ("ink", "soft", "comic", "wash")
SHADES = {name: number / (len(NAMES) + 1) for number, name in enumerate(NAMES, 1)}


class FakeDetector(FaceDetector):
    """Finds faces 8 px wide, side by side."""

    name = "fake"

    def __init__(self) -> None:
        self.looked = 0

    def detect(self, rgb, *, quick=False):
        self.looked += 1
        return FakeEngine().detect(rgb)

    def follow(self, rgb, face):
        return face


class FakePortraits(PortraitEngine):
    """Draws a disc on a ground of each style's shade."""

    def __init__(self, **options) -> None:
        super().__init__(None, detector=FakeDetector(), **options)  # type: ignore[arg-type]
        self.measured: list[int] = []

    def analyze(self, photo, *, faces=None, memory=None, people=None):
        faces = self.detector.detect(photo) if faces is None else faces
        self.measured.append(len(faces))
        return Analysis(photo, np.zeros(photo.shape[:2], np.float32), [], tuple(faces))

    def draw(self, photo, style=None, *, faces=None, memory=None, people=None):
        measured = photo if isinstance(photo, Analysis) else self.analyze(photo, faces=faces)
        height, width = measured.rgb.shape[:2]
        shade = SHADES.get(self.style(style).name, 0.9)  # of others that a bundle offers
        if memory is not None:  # as much of what was seen before as of the frame
            memory.begin(measured.rgb)
            shade += float(memory.average("mean", [measured.rgb.mean() / 2000], share=0.1)[0])
        drawing = Drawing(width, height, np.float32([shade] * 3))
        disc = [ellipse((width / 2, height / 2), height / 4)]
        drawing.add(disc, (1, 0, 0))
        drawing.silhouette = disc
        return drawing
