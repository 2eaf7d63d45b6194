"""Draw the documentation's sheet of style transfer: portraits in the manner of drawn pictures.

usage: python -m examples.style_transfer.figure [OUT.jpg] [--network FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from examples.style_transfer.styles import MANNERS, composition
from toonify.checkpoints.style_networks import load_style_network
from toonify.engines.style_transfer import StyleTransferEngine, bundle_style_network
from toonify.media.images import read_image

ROOT = Path(__file__).parents[2]
PEOPLE = ("01", "06", "08", "12")
# manner and seed of its picture
STYLES = (("strokes", 3), ("cells", 8), ("woodcut", 5), ("dots", 2), ("wash", 4), ("rings", 6))
TILE = 192


def style_picture(manner: str, seed: int) -> np.ndarray:
    """(384, 384, 3) uint8, drawn by program."""
    rng = np.random.default_rng([11, seed])
    draw = {made.__name__: made for made in MANNERS}[manner]
    picture = np.clip(draw(rng, np.ascontiguousarray(composition(rng, 384))), 0, 1)
    return np.asarray(np.rint(picture * 255), np.uint8)


def tile(picture: np.ndarray) -> np.ndarray:
    """(TILE, TILE, 3)."""
    return np.asarray(cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "out", type=Path, nargs="?", default=ROOT / "docs/images/style-transfer.jpg"
    )
    parser.add_argument("--network", type=Path, help="the bundle's by default")
    options = parser.parse_args()
    network = load_style_network(options.network or bundle_style_network("default", "adain"))
    photos = [read_image(ROOT / f"examples/faces/{name}.jpg").rgb for name in PEOPLE]
    blank = np.full((TILE, TILE, 3), 255, np.uint8)
    rows = [np.hstack([blank, *(tile(photo) for photo in photos)])]
    for manner, seed in STYLES:
        style = style_picture(manner, seed)
        engine = StyleTransferEngine(network, [style])
        rows.append(np.hstack([tile(style), *(tile(engine.stylize(photo)) for photo in photos)]))
    Image.fromarray(np.vstack(rows)).save(options.out, quality=80)


if __name__ == "__main__":
    main()
