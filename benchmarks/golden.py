"""Whether pictures and clips are what they were: this checkout beside another revision of it.

Each case is a command of `toonify` on the example photograph, run by both, in processes of their
own and on one thread; what they write is compared pixel by pixel. For changes that move code and
must not change a drawing: `make golden BASE=main`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PHOTO = ROOT / "examples" / "astronaut.png"
FRAMES = 5  # of the clip, a few px apart

# name → arguments; {photo}, {clip}, {style} and {out} are filled in
CASES = {
    "portrait": "stylize {photo} -o {out}/portrait.png --style ink",
    "cdsm": "stylize {photo} -o {out}/cdsm.png --character mina --engine cdsm",
    "styleganex": "stylize {photo} -o {out}/styleganex.png --character mina --engine styleganex",
    "adain": "stylize {photo} -o {out}/adain.png --engine adain --style-image {style}",
    "wct2": "stylize {photo} -o {out}/wct2.png --engine wct2 --style-image {style}",
    "edit": "edit {photo} -o {out}/edit.png --direction smile --strength 2 --steps 1",
    "edit-whole": "edit {photo} -o {out}/edit-whole.png --frame face --direction sefa-1",
    "invert": "invert {photo} -o {out}/inverted --steps 0 --frame face",
    "clip-style": "video {clip} -o {out}/clip-style --style ink",
    "clip-characters": "video {clip} -o {out}/clip-characters --character mina --engine cdsm",
}
PICTURES = (".png", ".jpg", ".gif", ".webp")


@dataclass(frozen=True)
class Difference:
    """One picture, compared.

    Attributes:
        path: below the folder of outputs.
        largest: of 255, over all pixels and channels; None where only one side has it, or the
            sizes differ.
        share: of the pixels that differ.
    """

    path: Path
    largest: int | None
    share: float = 1.0

    @property
    def same(self) -> bool:
        """Whether every pixel is."""
        return self.largest == 0

    def __str__(self) -> str:
        if self.largest is None:
            return f"{self.path}: missing, or of another size"
        if self.same:
            return f"{self.path}: identical"
        return f"{self.path}: {self.share:.2%} of the pixels differ, by {self.largest} at most"


def compare(before: Path, after: Path) -> list[Difference]:
    """The pictures of two folders, by name."""
    found = {
        path.relative_to(folder)
        for folder in (before, after)
        for path in folder.rglob("*")
        if path.suffix in PICTURES
    }
    return [_compared(before, after, path) for path in sorted(found)]


def _compared(before: Path, after: Path, path: Path) -> Difference:
    one, other = (cv2.imread(str(side / path), cv2.IMREAD_UNCHANGED) for side in (before, after))
    if one is None or other is None or one.shape != other.shape:
        return Difference(path, None)
    change = np.abs(one.astype(np.int16) - other).reshape(*one.shape[:2], -1).max(axis=-1)
    return Difference(path, int(change.max()), float((change > 0).mean()))


def write_inputs(folder: Path) -> dict[str, str]:
    """The photograph, a clip of it that moves, and a picture whose manner is taken."""
    photo = cv2.imread(str(PHOTO))
    clip, style = folder / "clip", folder / "style.png"
    clip.mkdir(parents=True)
    for number in range(FRAMES):
        shift = np.float32([[1, 0, 3 * number], [0, 1, number]])
        moved = cv2.warpAffine(photo, shift, photo.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        cv2.imwrite(str(clip / f"{number}.png"), moved)
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(style), cv2.resize(coarse, (256, 256), interpolation=cv2.INTER_CUBIC))
    return {"photo": str(PHOTO), "clip": str(clip), "style": str(style)}


def run_cases(checkout: Path, out: Path, inputs: dict[str, str], names: Sequence[str]) -> list[str]:
    """Draw the cases by a checkout of toonify; those that failed."""
    out.mkdir(parents=True)
    one = {name: "1" for name in ("OMP_NUM_THREADS", "TOONIFY_OFFLINE")}
    environment = os.environ | one | {"PYTHONPATH": str(checkout)}
    failed = []
    for name in names:
        arguments = [item.format(out=out, **inputs) for item in CASES[name].split()]
        command = [sys.executable, "-m", "toonify", "--device", "cpu", *arguments]
        done = subprocess.run(command, env=environment, cwd=out, capture_output=True, text=True)
        if done.returncode:
            failed.append(name)
            print(f"{name} by {checkout}: {done.stderr.strip()}", file=sys.stderr)
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where all is identical, 1 where it isn't, 2 where a case fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="HEAD", help="revision to compare with (HEAD)")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="golden-") as temporary:
        folder = Path(temporary)
        base = folder / "base"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(base), chosen.base], check=True)
        try:
            inputs = write_inputs(folder / "inputs")
            sides = {"before": base, "after": ROOT}
            failed = [
                name
                for side, checkout in sides.items()
                for name in run_cases(checkout, folder / side, inputs, chosen.only)
            ]
            differences = compare(folder / "before", folder / "after")
        finally:
            subprocess.run([*git, "remove", "--force", str(base)], check=True)
    for difference in differences:
        print(difference)
    if failed:
        return 2
    return 0 if differences and all(one.same for one in differences) else 1


if __name__ == "__main__":
    sys.exit(main())
