"""Draw the documentation's pictures of styles from the portraits beside this file.

usage: python examples/faces/figures.py [FOLDER]     (docs/images by default)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from toonify.engine import Toonifier
from toonify.engines.blend import BlendEngine
from toonify.engines.unet import UNetEngine
from toonify.media.images import read_image
from toonify.portrait import PortraitEngine, render

HERE = Path(__file__).parent
TILE = 260
HERO = ("01", "02", "03", "04", "12", "09")
STYLES = ("05", "07", "10", "11")
LEVELS, DRAWN_AS = (6, 8, 9, 10, 12), ("jun", "nana")
PEOPLE = ("01", "04", "06", "08", "12")
BLENDED = ("10", "09")
BY_NETWORK = ("02", "05", "06", "09")
PASTED = (("02", "bram"), ("04", "jun"), ("05", "nana"))


def tile(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) as a (TILE, TILE, 3) tile."""
    return np.asarray(Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.LANCZOS))


def main(folder: Path) -> None:
    """Write hero.jpg (people, and the same people drawn), styles.jpg (every style), network.jpg
    (the same by the network), blend.jpg (faces by the network, the rest by program), levels.jpg
    (characters that let people through) and paste.jpg (heads set into photographs)."""
    engine = PortraitEngine.from_bundle("default")
    columns = []
    for name in HERO:
        photo = read_image(HERE / f"{name}.jpg").rgb
        drawn = render(engine.draw(photo, "ink"), size=(2 * TILE, 2 * TILE))
        columns.append(np.vstack([tile(photo), tile(drawn)]))
    Image.fromarray(np.hstack(columns)).save(folder / "hero.jpg", quality=90)
    rows = []
    for name in STYLES:
        photo = read_image(HERE / f"{name}.jpg").rgb
        measured = engine.analyze(photo)
        drawn = [render(engine.draw(measured, s), size=(2 * TILE, 2 * TILE)) for s in engine.styles]
        rows.append(np.hstack([tile(picture) for picture in (photo, *drawn)]))
    Image.fromarray(np.vstack(rows)).save(folder / "styles.jpg", quality=90)
    network = UNetEngine.from_bundle("default")
    rows = []
    for name in BY_NETWORK:
        photo = read_image(HERE / f"{name}.jpg").rgb
        faces = network.detector.detect(photo)
        drawn = network.draw_image(photo, network.characters, faces=faces)
        rows.append(np.hstack([tile(np.asarray(picture)) for picture in (photo, *drawn)]))
    Image.fromarray(np.vstack(rows)).save(folder / "network.jpg", quality=90)
    blend, row = BlendEngine.from_bundle("default"), []
    for name in BLENDED:
        photo = read_image(HERE / f"{name}.jpg").rgb
        faces = blend.detector.detect(photo)
        drawn = (one.draw_image(photo, ["ink"], faces=faces)[0] for one in (blend, network))
        row += [tile(np.asarray(p)) for p in (photo, engine.stylize(photo, "ink"), *drawn)]
    Image.fromarray(np.hstack(row)).save(folder / "blend.jpg", quality=88)
    toonifier = Toonifier.from_bundle("default")
    rows = []
    for name in PEOPLE:
        photo = read_image(HERE / f"{name}.jpg").rgb
        row = [tile(photo)]
        for level in LEVELS:
            drawn = toonifier.stylize_crops([photo], DRAWN_AS, level=level)[0]
            row += [tile(picture) for picture in drawn]
        rows.append(np.hstack([row[0], *row[1::2], *row[2::2]]))
    sheet = Image.fromarray(np.vstack(rows))
    sheet = sheet.resize((1760, 160 * len(rows)), Image.Resampling.LANCZOS)
    sheet.save(folder / "levels.jpg", quality=84)
    row = []
    for name, character in PASTED:
        photo = read_image(HERE / f"{name}.jpg").rgb
        six, own = (
            toonifier.stylize(photo, character=character, paste=True, level=level)
            for level in (6, None)
        )
        row += [tile(picture) for picture in (photo, six, own)]
    sheet = Image.fromarray(np.hstack(row)).resize((1440, 160), Image.Resampling.LANCZOS)
    sheet.save(folder / "paste.jpg", quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "docs" / "images")
