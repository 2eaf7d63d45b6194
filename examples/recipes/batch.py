"""Draw a folder from Python: the networks loaded once, one bad photo never stops the rest.

python batch.py PHOTOS TOONS [--style NAME | --character NAME] [--bundle B]
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from PIL import Image

from toonify import Toonifier, ToonifyError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def main() -> int:
    """Returns: exit status, 1 where photos failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("toons", type=Path)
    look = parser.add_mutually_exclusive_group()
    look.add_argument("--style")
    look.add_argument("--character")
    parser.add_argument("--bundle", default="default")
    options = parser.parse_args()

    toon = Toonifier.from_bundle(options.bundle)
    look = {"character": options.character} if options.character else {"style": options.style}
    options.toons.mkdir(parents=True, exist_ok=True)
    failed = 0
    with open(options.toons / "report.csv", "w", newline="", encoding="utf-8") as file:
        report = csv.writer(file)
        report.writerow(["photo", "result"])
        for photo in sorted(options.photos.iterdir()):
            if photo.suffix.lower() not in SUFFIXES:
                continue
            try:
                drawn = toon.stylize(photo, **look)
            except ToonifyError as error:
                failed += 1
                report.writerow([photo.name, str(error)])
                continue
            Image.fromarray(drawn).save(options.toons / f"{photo.stem}.png")
            report.writerow([photo.name, "drawn"])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
