"""Photographs and what the portrait program draws of them, for the network that draws styles.

`python -m examples.default_bundle.style_pairs faces/ -o runs/styles`: sampled faces are put
together anew (framing, other people, hats, hands, backgrounds, light), and drawn in every style.
The folder is what `toonify finetune --objective pix2pix` reads. Begun pairs are gone on with.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from toonify.bundle import bundle_folder, part_path, read_manifest
from toonify.faces.mesh import FaceMesh
from toonify.faces.parsing import GLASSES, FaceParser
from toonify.faces.person import PersonMatte
from toonify.faces.types import f32
from toonify.media.images import iter_images, read_image, write_image
from toonify.portrait.engine import PortraitEngine
from toonify.portrait.program import draw_picture
from toonify.portrait.shapes import render
from toonify.portrait.styles import STYLES
from toonify.training.parsing.compose import compose
from toonify.training.parsing.faces import LabeledFace, LabeledFaces

SIDE = 256  # px of the photographs
SCALE = 2  # px of the drawing a px of the photograph, so that pairs may be enlarged in training
BARE = 0.25  # share of faces that stay as they were sampled


class ParsedFaces(LabeledFaces):
    """Face pictures (256, 256, 3) with the labels of the bundle's own parser."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(iter_images(folder))
        shipped = bundle_folder("default")
        manifest = read_manifest(shipped)
        self._parser = FaceParser(part_path(shipped, manifest, "parsing"))
        self._matte = PersonMatte(part_path(shipped, manifest, "person_matte"))
        self._mesh = FaceMesh(part_path(shipped, manifest, "face_mesh").parent)
        self._known: dict[int, LabeledFace] = {}
        self._cumulative = np.arange(1, len(self.paths) + 1) / len(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> LabeledFace:
        if number not in self._known:
            self._known[number] = self._parsed(read_image(self.paths[number]).rgb)
        return self._known[number]

    def _parsed(self, rgb: np.ndarray) -> LabeledFace:
        parsing = self._parser.parse(rgb)
        kind = max(parsing.glasses, key=lambda name: parsing.glasses[name])
        attributes = f32(
            [GLASSES.index(kind), parsing.beard, parsing.moustache, parsing.headwear > 0.5]
        )
        points = f32(self._mesh.measure(rgb).points3d)
        return LabeledFace(rgb, parsing.map((SIDE, SIDE)), self._matte(rgb), points, attributes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faces", type=Path, help="FFHQ crops of 256 px, sampled from the prior")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--style", action="append", choices=list(STYLES), dest="styles")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    photos, drawings = options.output / "photos", options.output / "drawings"
    faces, program = ParsedFaces(options.faces), PortraitEngine.from_bundle()
    # a frame of a clip is no sheet of paper: dots that stand still while people move would shimmer
    styles = [replace(STYLES[name], halftone=0) for name in options.styles or STYLES]
    began = time.monotonic()
    for number in range(options.first, options.first + options.count):
        name = f"{number:05d}.png"
        missing = [style for style in styles if not (drawings / style.name / name).exists()]
        if not missing:
            continue
        rng = np.random.default_rng([11, number])
        if rng.random() < BARE:
            photo = faces[faces.pick(rng)].rgb
        else:
            photo = compose(faces, rng, camera=False).rgb
        write_image(photos / name, photo)
        seen = program.analyze(photo)
        for style in missing:
            shapes = draw_picture(seen.rgb, seen.person, seen.subjects, style)
            drawn = render(shapes, size=(SIDE * SCALE, SIDE * SCALE))
            write_image(drawings / style.name / name, drawn)
        if number % 50 == 0:
            print(f"{number} pairs, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
