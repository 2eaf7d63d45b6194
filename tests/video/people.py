"""People of colored squares, and an engine and a detector that know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from toonify.engines.base import Engine
from toonify.faces import Alignment, Face, FaceDetector
from toonify.faces.alignment import silhouette_mask
from toonify.faces.matte import drawing_matte
from toonify.faces.types import f32

SIDE = 16  # px of a person
HUES = ((250, 40, 40), (40, 60, 250))  # of who they are
PAINT = {"mina": (40, 200, 40), "jun": (230, 230, 40)}


def frame(people: Mapping[int, tuple[int, int]], *, shade: int = 120, size=(96, 64)) -> np.ndarray:
    """A picture with the left top corners of people, by hue."""
    rgb = np.full((size[1], size[0], 3), shade, np.uint8)
    rgb[::7, ::5] = shade // 2
    if shade > 200:  # another scene, not only another light
        rgb[:30, size[0] * 2 // 3 :] = shade // 3
        rgb[size[1] * 5 // 8 :, : size[0] // 2] = shade // 3
    for hue, (x, y) in people.items():
        rgb[y : y + SIDE, x : x + SIDE] = HUES[hue]
        rgb[y : y + SIDE // 2, x : x + SIDE // 2] = np.array(HUES[hue]) // 2  # looks somewhere
    return rgb


def folder_of(path: Path, frames: Sequence[np.ndarray]) -> Path:
    """Frames as a folder of pictures."""
    path.mkdir()
    for number, rgb in enumerate(frames):
        Image.fromarray(rgb).save(path / f"{number:04d}.png")
    return path


def face_at(x: float, y: float) -> Face:
    points = f32([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]]) * SIDE
    return Face(f32([x, y, x + SIDE, y + SIDE]), 1.0, f32(points + f32([x, y])))


class Detector(FaceDetector):
    """Finds squares by their color; one that is half covered is not found."""

    name = "squares"

    def __init__(self) -> None:
        self.whole = 0  # how often it looked at a whole picture

    def detect(self, rgb, *, quick=False):
        self.whole += 1
        faces = []
        for hue in HUES:
            close = np.abs(rgb.astype(int) - hue).max(2) < 30
            dark = np.abs(rgb.astype(int) - np.array(hue) // 2).max(2) < 20
            y, x = np.nonzero(close | dark)
            if len(x) > 0.75 * SIDE * SIDE:
                faces.append(face_at(float(x.min()), float(y.min())))
        return faces

    def follow(self, rgb, face):
        looks = self.whole
        near = [
            other for other in self.detect(rgb) if np.abs(other.box - face.box).max() < 0.6 * SIDE
        ]
        self.whole = looks
        return min(near, key=lambda other: np.abs(other.box - face.box).max(), default=None)


class SquaresEngine(Engine):
    """Draws one color, with a latent that is the mean color of the crop."""

    name = "squares"
    characters = tuple(PAINT)
    clears_hair = True

    def __init__(self, *, keeps_latents: bool = False) -> None:
        self._detector = Detector()
        self.keeps_latents = keeps_latents
        self.encoded = 0

    @property
    def detector(self):
        return self._detector

    def identity(self, character):
        return {}

    def region(self, rgb, face):
        x, y = (round(float(v)) for v in face.box[:2])
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        part = rgb[max(y, 0) : y + SIDE, max(x, 0) : x + SIDE]
        image[: part.shape[0], : part.shape[1]] = part
        return Alignment(image=image, matrix=np.array([[1.0, 0, x], [0, 1.0, y]]), face=face)

    def encode(self, regions):
        self.encoded += len(regions)
        return f32([region.image.mean((0, 1)) for region in regions])

    def render(self, regions, latents, characters):
        shades = np.clip(latents.mean(1) / 20, 0, 10).astype(np.uint8)
        return [
            np.full((SIDE, SIDE, 3), PAINT[name], np.uint8) - shade
            for name, shade in zip(characters, shades, strict=True)
        ]

    def matte(self, region, toon):
        return drawing_matte(toon)

    def mask(self, matte):
        return silhouette_mask(matte)
