"""How cost grows with area, faces and batch: `python -m benchmarks.growth -o growth.svg`.

Processor seconds of one thread, medians, so that a busy machine tells about the same. The example
faces are enlarged, or laid side by side in one picture.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from toonify.engine import Toonifier
from toonify.media.images import read_image
from toonify.reports.chart import HEIGHT, WIDTH, curves
from toonify.utils.atomic import write_text

FACES = Path(__file__).parents[1] / "examples" / "faces"
SIDES = (256, 512, 768, 1024, 1536)  # px
CROWDS = (1, 2, 4, 9)  # faces in a picture of `SQUARE` px
SQUARE = 1024
BATCHES = (1, 2, 4, 8)
COLORS = ("#5b3cc4", "#d0612a", "#2a8f6d")
STYLE = (
    "svg text{font:11px system-ui,sans-serif;fill:#333}.grid{stroke:#ddd;stroke-width:.6}"
    ".frame{fill:none;stroke:#ccc}path,.line{fill:none;stroke-width:1.8;stroke-linejoin:round}"
    + "".join(f".c{number}{{stroke:{color}}}" for number, color in enumerate(COLORS))
)
Curve = tuple[list[float], list[float]]


def seconds(work: Callable[[], object], runs: int) -> float:
    """Median processor seconds, the first run left out."""
    work()
    taken = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def crowd(faces: list[np.ndarray], count: int) -> np.ndarray:
    """A picture (SQUARE, SQUARE, 3) with so many faces in a grid."""
    across = int(np.ceil(np.sqrt(count)))
    picture = np.full((SQUARE, SQUARE, 3), 200, np.uint8)
    side = SQUARE // across
    for number in range(count):
        y, x = divmod(number, across)
        tile = cv2.resize(faces[number % len(faces)], (side, side), interpolation=cv2.INTER_AREA)
        picture[y * side : (y + 1) * side, x * side : (x + 1) * side] = tile
    return picture


def measure(runs: int) -> dict[str, dict[str, Curve]]:
    """Chart → curve → positions and processor seconds."""
    faces = [read_image(path).rgb for path in sorted(FACES.glob("*.jpg"))]
    toon = Toonifier.from_bundle("default", device="cpu")

    def ink(photo: np.ndarray) -> Callable[[], object]:
        return lambda: toon.stylize(photo, style="ink")

    def bram(photo: np.ndarray) -> Callable[[], object]:
        return lambda: toon.stylize(photo, character="bram", paste=True)

    sized = [cv2.resize(faces[0], (side, side), interpolation=cv2.INTER_CUBIC) for side in SIDES]
    areas = [side * side / 1e6 for side in SIDES]
    crowds = [crowd(faces, count) for count in CROWDS]
    crops = [cv2.resize(face, (256, 256), interpolation=cv2.INTER_AREA) for face in faces]

    def batch(count: int) -> Callable[[], object]:
        return lambda: toon.stylize_crops(crops[:count], ["bram"], batch_size=count)

    return {
        "megapixels of a picture with one face": {
            "ink": (areas, [seconds(ink(photo), runs) for photo in sized]),
            "bram, --paste": (areas, [seconds(bram(photo), runs) for photo in sized]),
        },
        "faces in a picture of one megapixel": {
            "ink": (list(map(float, CROWDS)), [seconds(ink(photo), runs) for photo in crowds]),
            "bram, --paste": (
                list(map(float, CROWDS)),
                [seconds(bram(photo), runs) for photo in crowds],
            ),
        },
        "aligned crops in a batch; seconds a crop": {
            "bram": (
                list(map(float, BATCHES)),
                [seconds(batch(count), runs) / count for count in BATCHES],
            ),
        },
    }


def drawn(charts: dict[str, dict[str, Curve]]) -> str:
    """The charts below each other as one SVG."""
    parts = [
        curves(series, axis=axis).replace("<svg ", f'<svg y="{number * HEIGHT}" ', 1)
        for number, (axis, series) in enumerate(charts.items())
    ]
    parts = [
        part.replace('class="curves"', f'width="{WIDTH}" height="{HEIGHT}"', 1) for part in parts
    ]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT * len(parts)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("growth.svg"))
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    charts = measure(options.runs)
    write_text(options.output, drawn(charts))
    print(json.dumps(charts, indent=1))


if __name__ == "__main__":
    main()
