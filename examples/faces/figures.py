"""Draw the documentation's pictures of styles from the portraits beside this file.

usage: python examples/faces/figures.py [FOLDER]     (docs/images by default)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from toonify.engine import Toonifier
from toonify.engines.base import Engine
from toonify.engines.registry import load_engine, load_style_engine
from toonify.media.images import read_image

HERE = Path(__file__).parent
TILE = 260
HERO = ("01", "02", "03", "04", "12", "09")
STYLES = ("05", "07", "10", "11")
LEVELS, DRAWN_AS = (6, 8, 9, 10, 12), ("jun", "nana")
PEOPLE = ("01", "04", "06", "08", "12")
COMPARED = ("10", "09", "06")
ENGINES = ("blend", "unet", "portrait")
PASTED = (
    ("02", "bram"),
    ("05", "mina"),
    ("04", "jun"),
    ("08", "zuri"),
    ("12", "kit"),
    ("06", "nana"),
)
ASTRONAUT = HERE.parent / "astronaut.png"
AROUND = (slice(0, 300), slice(74, 374))  # her head in it


def tile(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) as a (TILE, TILE, 3) tile."""
    return np.asarray(Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.LANCZOS))


def drawings(engine: Engine, photo: np.ndarray, styles: Sequence[str]) -> list[np.ndarray]:
    """A photograph (H, W, 3) in some styles, as tiles, drawn at twice their size."""
    large = np.asarray(Image.fromarray(photo).resize((2 * TILE, 2 * TILE)))
    drawn = engine.draw_image(large, styles, faces=engine.detect(large))
    return [tile(np.asarray(picture)) for picture in drawn]


def main(folder: Path) -> None:
    """Write hero.jpg (people, and the same people drawn), styles.jpg (every style), engines.jpg
    (the same style by each engine), levels.jpg (characters that let people through), paste.jpg
    (heads set into pictures) and frames.jpg (the same beside StyleGANEX)."""
    engine = load_style_engine()
    columns = []
    for name in HERO:
        photo = read_image(HERE / f"{name}.jpg").rgb
        columns.append(np.vstack([tile(photo), *drawings(engine, photo, ["ink"])]))
    Image.fromarray(np.hstack(columns)).save(folder / "hero.jpg", quality=90)
    rows = []
    for name in STYLES:
        photo = read_image(HERE / f"{name}.jpg").rgb
        rows.append(np.hstack([tile(photo), *drawings(engine, photo, engine.characters)]))
    Image.fromarray(np.vstack(rows)).save(folder / "styles.jpg", quality=90)
    engines = [load_engine(name) for name in ENGINES]
    rows = []
    for name in COMPARED:
        photo = read_image(HERE / f"{name}.jpg").rgb
        drawn = [drawings(one, photo, ["ink"])[0] for one in engines]
        rows.append(np.hstack([tile(photo), *drawn]))
    Image.fromarray(np.vstack(rows)).save(folder / "engines.jpg", quality=88)
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
    columns = []
    for name, character in PASTED:
        photo = read_image(HERE / f"{name}.jpg").rgb
        own, six = (
            toonifier.stylize(photo, character=character, paste=True, level=level)
            for level in (None, 6)
        )
        columns.append(np.vstack([tile(picture) for picture in (photo, own, six)]))
    Image.fromarray(np.hstack(columns)).save(folder / "paste.jpg", quality=88)
    photo = read_image(ASTRONAUT).rgb
    whole = load_engine("styleganex")
    columns = [np.vstack([tile(photo[AROUND]), np.full((TILE, TILE, 3), 255, np.uint8)])]
    for character in toonifier.characters:
        (frame,) = whole.draw_image(photo, [character], faces=whole.detect(photo))
        head = toonifier.stylize(photo, character=character, paste=True)
        columns.append(np.vstack([tile(np.asarray(frame)[AROUND]), tile(head[AROUND])]))
    Image.fromarray(np.hstack(columns)).save(folder / "frames.jpg", quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "docs" / "images")
