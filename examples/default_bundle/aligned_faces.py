"""Aligned faces of every kind, to learn enlarging faces from.

`python -m examples.default_bundle.aligned_faces faces/ -o runs/aligned`: sampled faces are put
together anew (skin and hair colors, glasses, hats, hands, backgrounds, light), each where an FFHQ
crop has it. The folder is what `train-encoder --task restoration` learns from. Begun
folders are gone on with.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from examples.default_bundle.style_pairs import ParsedFaces
from toonify.media.images import write_image
from toonify.training.parsing.compose import compose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faces", type=Path, help="FFHQ crops of 256 px, sampled from the prior")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2500)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    faces = ParsedFaces(options.faces)
    for number in range(options.count):
        made = options.output / f"{number:05d}.png"
        if not made.exists():
            rng = np.random.default_rng([15, number])
            write_image(made, compose(faces, rng, camera=False, aligned=True).rgb)


if __name__ == "__main__":
    main()
