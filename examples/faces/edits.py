"""Draw the documentation's pictures of edits from the portraits beside this file.

usage: python examples/faces/edits.py [FOLDER]     (docs/images by default)

inversion.jpg takes 100 steps of refinement, which need LPIPS's weights (`toonify models pull
lpips-vgg`) and some minutes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import toonify
from toonify.editing.job import EditJob, edited
from toonify.editing.named import shipped_directions
from toonify.faces import align, get_detector
from toonify.inversion.frames import resize
from toonify.inversion.super_resolution import enlarge_photo
from toonify.media.images import read_image

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ASTRONAUT = ROOT / "examples" / "astronaut.png"
PEOPLE, SMALL = ("01", "03", "04", "08", "09"), 150
PARTS = (("08", "01", "mouth"), ("03", "09", "eyes"), ("04", "08", "nose"), ("11", "09", "hair"))
TILE = 300


def tile(picture: np.ndarray, side: int = TILE) -> np.ndarray:
    """(H, W, 3) as a (side, side, 3) tile."""
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))


def directions() -> np.ndarray:
    """People along every named direction: above as far as it holds one way, below the other."""
    named = shipped_directions()
    assert named is not None
    rows = []
    for name in PEOPLE:
        photo = HERE / f"{name}.jpg"
        own = read_image(photo).rgb
        columns = [np.vstack([tile(own, SMALL)] * 2)]
        for direction, about in named.about.items():
            job = EditJob(source=photo, direction=direction, strengths=about.holds)
            columns.append(np.vstack([tile(each, SMALL) for each in edited(job).pictures]))
        rows.append(np.hstack(columns))
    return np.vstack(rows)


def parts() -> np.ndarray:
    """A photo, whose part is taken, and what comes of it; two to a row."""
    triples = []
    for photo, friend, part in PARTS:
        own, other = (read_image(HERE / f"{name}.jpg").rgb for name in (photo, friend))
        both = toonify.edit_part(own, other, part)
        triples.append(np.hstack([tile(each) for each in (own, other, both)]))
    gap = np.full((TILE, 12, 3), 255, np.uint8)
    return np.vstack(
        [np.hstack([a, gap, b]) for a, b in zip(triples[::2], triples[1::2], strict=True)]
    )


def inversion() -> np.ndarray:
    """A photo, step I, all that step I renders, 100 steps, and edits of those latents."""
    guessed = toonify.invert(ASTRONAUT, steps=0)
    rendered = toonify.invert(ASTRONAUT, steps=0, keep_background=False)
    refined = toonify.invert(ASTRONAUT, steps=100)
    pictures = [read_image(ASTRONAUT).rgb]
    pictures += [each.reconstruction for each in (guessed, rendered, refined)]
    with tempfile.TemporaryDirectory() as folder:
        latents = Path(folder) / "astronaut.safetensors"
        refined.latents.save(latents, {})
        for direction, strength in (("sefa-4", -2.0), ("sefa-4", 2.0)):
            job = EditJob(source=latents, direction=direction, strengths=(strength,), layers="0-6")
            pictures += edited(job).pictures
    return np.hstack([tile(each) for each in pictures])


def super_resolution() -> np.ndarray:
    """A face of 32 px: bicubic, enlarged by the bundle, and what it was."""
    photo = read_image(ASTRONAUT).rgb
    crop = align(photo, get_detector().detect(photo)[0], 320).image
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.png"
        Image.fromarray(resize(crop, 32, 32)).save(small)
        large = enlarge_photo(small, framing="aligned").rgb
    return np.hstack([resize(resize(crop, 32, 32), 320, 320), tile(large, 320), crop])


def main(folder: Path) -> None:
    """Write directions.jpg, local-edit.jpg, super-resolution.jpg and inversion.jpg."""
    pictures = {
        "directions": directions,
        "local-edit": parts,
        "super-resolution": super_resolution,
        "inversion": inversion,
    }
    for name, draw in pictures.items():
        Image.fromarray(draw()).save(folder / f"{name}.jpg", quality=86)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
