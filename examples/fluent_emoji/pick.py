"""Sort the heads of Fluent Emoji 3D into one folder a skin tone.

python -m examples.fluent_emoji.pick PACKAGE/assets DRAWINGS
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

# What all drawings of a folder share becomes the character: here the skin. Hair, age and beards
# differ within it, and are left to the photo.
TONES = {
    "yellow": "",
    "light": "1f3fb",
    "medium-light": "1f3fc",
    "medium": "1f3fd",
    "medium-dark": "1f3fe",
    "dark": "1f3ff",
}
WOMAN, MAN = "200d-2640-fe0f", "200d-2642-fe0f"
HAIR = [f"200d-1f9b{digit}" for digit in "0123"]  # red, curly, bald, white
# Code points of the emoji that are a head and nothing else, and what follows the skin tone in
# their names. Hats of the season, wings and bodies are left out.
HEADS = [
    *((head, "") for head in ("1f466", "1f467", "1f474", "1f475", "1f476", "1f9d2", "1f9d3")),
    *((head, after) for head in ("1f468", "1f469", "1f9d1") for after in ("", *HAIR)),
    *((head, after) for head in ("1f471", "1f473", "1f9d4") for after in ("", WOMAN, MAN)),
]


def names(tone: str) -> list[str]:
    """The files of one skin tone."""
    return ["-".join(filter(None, (head, tone, after))) + ".webp" for head, after in HEADS]


def pick(assets: Path, drawings: Path) -> int:
    """Copy the heads from the package's `assets` to DRAWINGS/TONE; returns how many.

    Raises:
        FileNotFoundError: the package has no such emoji.
    """
    for folder, tone in TONES.items():
        (drawings / folder).mkdir(parents=True, exist_ok=True)
        for name in names(tone):
            shutil.copyfile(assets / name, drawings / folder / name)
    return len(TONES) * len(HEADS)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(pick(Path(sys.argv[1]), Path(sys.argv[2])), "heads")
