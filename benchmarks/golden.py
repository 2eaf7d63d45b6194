"""Whether pictures, clips and trainings are what they were: this checkout beside another revision.

Each case is a command of `toonify` on the example photograph, or a few steps of a training on tiny
networks, run by both, in processes of their own and on one thread. Pictures are compared pixel by
pixel, networks weight by weight. For changes that move code and must not change what comes out:
`make golden BASE=main`. Commands and options that only one of them has are named, and left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from safetensors.torch import load_file

from benchmarks.golden_inputs import write_inputs, write_training_inputs

ROOT = Path(__file__).resolve().parents[1]
USAGE = 2  # exit status of commands and options that are not there

# name → arguments; {out} and what `golden_inputs` writes are filled in
DRAWINGS = {
    "portrait": "stylize {photo} -o {out}/portrait.png --style ink",
    "program": "stylize {photo} -o {out}/program.png --style soft --engine portrait",
    "unet": "stylize {photo} -o {out}/unet.png --style wash --engine unet",
    "paste": "stylize {photo} -o {out}/paste.png --character bram --paste",
    "cdsm": "stylize {photo} -o {out}/cdsm.png --character mina --engine cdsm",
    "styleganex": "stylize {photo} -o {out}/styleganex.png --character mina --engine styleganex",
    "adain": "stylize {photo} -o {out}/adain.png --engine adain --style-image {style}",
    "wct2": "stylize {photo} -o {out}/wct2.png --engine wct2 --style-image {style}",
    "edit": "edit {photo} -o {out}/edit.png --direction smile --strength 2 --steps 1",
    "edit-whole": "edit {photo} -o {out}/edit-whole.png --frame face --direction sefa-1",
    "edit-hfgi": "edit {photo} -o {out}/edit-hfgi.png --direction yaw --method hfgi",
    "invert": "invert {photo} -o {out}/inverted --steps 0 --frame face",
    "clip-style": "video {clip} -o {out}/clip-style --style ink",
    "clip-program": "video {clip} -o {out}/clip-program --style comic --engine portrait",
    "clip-characters": "video {clip} -o {out}/clip-characters --character mina --engine cdsm",
}
_ENCODER = "train-encoder -o {out}/NAME --generator {face} --photos {faces} --aligned --held-out 4"
_FRAMES = "train-encoder -o {out}/NAME --photos {faces} --aligned --held-out 4 --identity 0"
_SMALL = "--layout stylegan2 --resolution 64 --channel-base 512 --channel-max 16"
TRAININGS = {
    "finetune-paired": "finetune --data {drawings} --base {face} -o {out}/NAME --freeze-below 8"
    " --steps 2",
    "finetune-adversarial": "finetune --data {drawings} --base {face} -o {out}/NAME"
    " --objective adversarial --freeze-below 8 --kimg 0.016 --augment bgc --augment-p 0.5",
    "finetune-pix2pix": "finetune --data {pairs} --objective pix2pix -o {out}/NAME --steps 2"
    " --batch-size 1",
    "table": "build-lut {drawings} --generator {face} -o {out}/NAME/table.safetensors --steps 2",
    "encoder": f"{_ENCODER} --identity 0 --kimg 0.008 --batch-size 4",
    "encoder-restyle": f"{_ENCODER} --identity 0 --kimg 0.002 --batch-size 2 --variant restyle"
    " --size 10 --steps 2",
    "frames": f"{_FRAMES} --task inversion --generator {{frames}} --kimg 0.004 --batch-size 2",
    "hfgi": f"{_FRAMES} --task hfgi --generator default --codes-by default --photo-share 1"
    " --kimg 0.002 --batch-size 2",
    "distill": f"distill {{teacher}} -o {{out}}/NAME {_SMALL} --batch-size 2 --steps 2",
    "distill-hybrid": "distill {fine} -o {out}/NAME --width 16 --batch-size 2 --steps 2",
    "style": "train-style --content {faces} --style {drawings}/mina -o {out}/NAME --crop 64"
    " --batch-size 1 --steps 2",
    "style-compact": "train-style --compact --content {faces} --style {drawings}/mina"
    " -o {out}/NAME --crop 64 --batch-size 2 --steps 2",
    "stylemap": "train-stylemap --photos {faces} --aligned -o {out}/NAME --size 64 --map-size 32"
    " --kimg 0.004 --batch-size 2",
}
BY_ALEX = ("encoder", "encoder-restyle", "hfgi", "stylemap")  # whose LPIPS is AlexNet's
CASES = DRAWINGS | {name: line.replace("NAME", name) for name, line in TRAININGS.items()}
PICTURES, NETWORKS = (".png", ".jpg", ".gif", ".webp"), (".safetensors",)


@dataclass(frozen=True)
class Difference:
    """One picture or network, compared.

    Attributes:
        path: below the folder of outputs.
        largest: of 255, over all pixels and channels, or over all weights; None where only one
            side has it, or the sizes or names differ.
        share: of the pixels, or weights, that differ.
    """

    path: Path
    largest: float | None
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
        parts = "weights" if self.path.suffix in NETWORKS else "pixels"
        return f"{self.path}: {self.share:.2%} of the {parts} differ, by {self.largest:.6g} at most"


def compare(before: Path, after: Path) -> list[Difference]:
    """The pictures and networks of two folders, by name; previews of trainings are left out."""
    found = {
        path.relative_to(folder)
        for folder in (before, after)
        for path in folder.rglob("*")
        if path.suffix in PICTURES + NETWORKS and not path.name.startswith("preview-")
    }
    return [_compared(before, after, path) for path in sorted(found)]


def _compared(before: Path, after: Path, path: Path) -> Difference:
    if path.suffix in NETWORKS:
        return _compared_networks(before, after, path)
    one, other = (cv2.imread(str(side / path), cv2.IMREAD_UNCHANGED) for side in (before, after))
    if one is None or other is None or one.shape != other.shape:
        return Difference(path, None)
    change = np.abs(one.astype(np.int16) - other).reshape(*one.shape[:2], -1).max(axis=-1)
    return Difference(path, int(change.max()), float((change > 0).mean()))


def _compared_networks(before: Path, after: Path, path: Path) -> Difference:
    if not all((side / path).is_file() for side in (before, after)):
        return Difference(path, None)
    one, other = (load_file(side / path) for side in (before, after))
    if {k: v.shape for k, v in one.items()} != {k: v.shape for k, v in other.items()}:
        return Difference(path, None)
    changes = [(value.double() - other[name].double()).abs() for name, value in one.items()]
    differ = sum(int((change > 0).sum()) for change in changes)
    largest = max((float(change.max()) for change in changes if change.numel()), default=0.0)
    return Difference(path, largest, differ / max(1, sum(change.numel() for change in changes)))


def run_cases(
    checkout: Path, out: Path, inputs: dict[str, str], names: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Run the cases by a checkout of toonify; those that it doesn't know, and those that failed."""
    out.mkdir(parents=True)
    one = {name: "1" for name in ("OMP_NUM_THREADS", "TOONIFY_OFFLINE")}
    environment = os.environ | one | {"PYTHONPATH": str(checkout)}
    unknown, failed = [], []
    for name in names:
        arguments = [item.format(out=out, **inputs) for item in CASES[name].split()]
        command = [sys.executable, "-m", "toonify", "--device", "cpu"]
        if name in TRAININGS:
            command += ["--dtype", "float32"]
            environment["TOONIFY_LPIPS"] = inputs["alex" if name in BY_ALEX else "vgg"]
        line = [*command, *arguments]
        done = subprocess.run(line, env=environment, cwd=out, capture_output=True, text=True)
        if done.returncode:
            (unknown if done.returncode == USAGE else failed).append(name)
            print(f"{name} by {checkout}: {done.stderr.strip()}", file=sys.stderr)
    return unknown, failed


def _forget(out: Path, name: str) -> None:
    for path in out.glob(f"{name}*"):
        if path.is_dir() and path.name == name:
            shutil.rmtree(path)
        elif path.stem == name:
            path.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where all is identical, 1 where it isn't, 2 where a case fails, or nobody knows it."""
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
            if set(TRAININGS).intersection(chosen.only):
                inputs |= write_training_inputs(folder / "training")
            (missed, failed), (gone, also) = (
                run_cases(checkout, folder / side, inputs, chosen.only)
                for side, checkout in (("before", base), ("after", ROOT))
            )
            alone = set(missed) ^ set(gone)
            failed += [*also, *set(missed).intersection(gone)]
            for name in alone:  # what the other made of it is nothing to compare
                for side in ("before", "after"):
                    _forget(folder / side, name)
            differences = compare(folder / "before", folder / "after")
        finally:
            subprocess.run([*git, "remove", "--force", str(base)], check=True)
    for name in sorted(alone):
        print(f"{name}: only {'this checkout' if name in missed else chosen.base} knows it")
    for difference in differences:
        print(difference)
    if failed:
        return 2
    return 0 if differences and all(one.same for one in differences) else 1


if __name__ == "__main__":
    sys.exit(main())
