"""How long a step of each training takes: `python -m benchmarks.trainers [--only NAME…]`.

Each case is a command of `toonify` with its own defaults, the sizes that people train at, on the
example faces and drawings, stopped after some steps. A step is what passes between two of the same
optimizer's, in processor seconds of one thread, so that a busy machine tells about the same;
medians leave out snapshots and whatever else comes now and then. `--checkout FOLDER` times another
revision of toonify, and `--before` each trainer's first one, in a worktree of its own:

    python -m benchmarks.trainers --before -o before.json
    python -m benchmarks.trainers -o now.json

The face generator (`toonify models pull ffhq-mobile`) must be there; weights that a training needs
are downloaded once.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FACES = ROOT / "examples" / "faces"
RESOLUTION = 512  # of the face generator
PER_CHARACTER = 4  # drawings


@dataclass(frozen=True)
class Case:
    """One training.

    Attributes:
        arguments: of `toonify`; what `write_inputs` names is filled in.
        batch: pictures that a step learns from.
        first: a revision in which it was there for the first time, or none of today's kernels yet.
        former: the arguments in that revision's words; None for the same.
    """

    arguments: str
    batch: int
    first: str
    former: str | None = None


_ENCODER = "train-encoder -o {out} --photos {faces} --aligned --held-out 4"
_BANDS = "0ab3d2a"  # before blocks ran in bands
CASES = {
    "finetune, paired": Case(
        "finetune --data {drawings} --base {prior} --encoder default -o {out}", 4, _BANDS
    ),
    "finetune, adversarial": Case(
        "finetune --data {drawings} --base {prior} --objective adversarial -o {out}", 8, _BANDS
    ),
    "finetune, pix2pix": Case("finetune --data {pairs} --objective pix2pix -o {out}", 8, "4f03919"),
    "invert-character": Case(
        "invert-character {drawings}/mina --generator {prior} -o {out}.safetensors", 4, _BANDS
    ),
    "train-encoder": Case(f"{_ENCODER} --generator {{prior}}", 32, _BANDS),
    "train-encoder, inversion": Case(f"{_ENCODER} --task inversion --generator default", 4, _BANDS),
    "train-encoder, sketch": Case(f"{_ENCODER} --task sketch --generator default", 4, _BANDS),
    "train-encoder, hfgi": Case(
        f"{_ENCODER} --task hfgi --generator default --face-encoder default --photo-share 1",
        8,
        "7dfa27a",
        f"{_ENCODER} --task hfgi --generator default --codes-by default --photo-share 1",
    ),
    "train-encoder, fusion": Case(
        "train-encoder -o {out} --task fusion --generator default", 8, "5eedbca"
    ),
    "train-encoder, drawing": Case(
        "train-encoder -o {out} --task drawing --generator default", 32, "243663f"
    ),
    "train-encoder, restoration": Case(
        "train-encoder -o {out} --photos {faces} --aligned --task restoration"
        " --generator default --face-encoder default",
        6,
        "0b464ab",
    ),
    "train-style": Case("train-style --content {faces} --style {drawings} -o {out}", 8, "f37bdae"),
    "train-style, compact": Case(
        "train-style --compact --content {faces} --style {drawings} -o {out}", 3, "f37bdae"
    ),
    "train-stylemap": Case("train-stylemap --photos {faces} --aligned -o {out}", 4, "f37bdae"),
    "distill": Case("distill {prior} -o {out}", 32, _BANDS),
    "distill, StyleGAN2": Case("distill {prior} -o {out} --layout stylegan2", 8, _BANDS),
}


def write_inputs(folder: Path) -> dict[str, str]:
    """Faces, drawings, pairs of photograph and drawing, and the face generator at 512×512."""
    drawings, pairs, prior = (folder / name for name in ("drawings", "pairs", "prior.safetensors"))
    pairs.mkdir(parents=True)
    side = str(RESOLUTION)
    for line in (
        f"examples.characters.draw {drawings} --size {side} --per-character {PER_CHARACTER}",
        f"toonify --quiet models convert ffhq-mobile --resolution {side} -o {prior}",
        f"toonify --quiet stylize {FACES} -o {pairs / 'drawings'} --style ink",
    ):
        command = [sys.executable, "-m", *line.split()]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    (pairs / "photos").mkdir()
    for drawn in (pairs / "drawings").glob("*.*"):
        source = next(FACES.glob(f"{drawn.stem}.*"), None)
        if source is None:
            drawn.unlink()
        else:
            os.link(source, pairs / "photos" / source.name)
    return {
        "faces": str(FACES),
        "drawings": str(drawings),
        "pairs": str(pairs),
        "prior": str(prior),
    }


def seconds_of_steps(checkout: Path, arguments: Sequence[str], steps: int) -> list[float]:
    """Processor seconds of each step of a training by a checkout of toonify; [] where it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(checkout)}
    line = [sys.executable, str(Path(__file__)), "--steps", str(steps), "--run", *arguments]
    done = subprocess.run(line, env=environment, cwd=checkout, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr.strip()[-500:], file=sys.stderr)
        return []
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def run(arguments: Sequence[str], steps: int) -> None:
    """A command of toonify in this process, which ends after some steps and prints their seconds.

    The first three steps are left out: memory and kernels are new to them.
    """
    from torch.optim.optimizer import register_optimizer_step_post_hook

    marks: dict[Any, list[float]] = {}
    known = importlib.metadata.version

    def version(distribution_name: str) -> str:  # former revisions ask for the name they had
        return known("toonify-toolkit" if distribution_name == "toonify" else distribution_name)

    def note(optimizer: Any, *_: Any) -> None:
        marks.setdefault(optimizer, []).append(time.process_time())
        if min(map(len, marks.values())) > steps + 3:
            # of several networks the one that steps least often: once a step
            least = min(marks.values(), key=len)[3:]
            print(json.dumps([b - a for a, b in itertools.pairwise(least)]), flush=True)
            os._exit(0)

    register_optimizer_step_post_hook(note)
    importlib.metadata.version = version
    sys.argv = ["toonify", "--quiet", "--device", "cpu", *arguments]
    runpy.run_module("toonify", run_name="__main__")


@contextmanager
def worktree(revision: str, folder: Path) -> Iterator[Path]:
    """A checkout of a revision, removed afterwards."""
    place = folder / revision
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(place), revision], check=True)
    try:
        yield place
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=True)


def main() -> None:
    """Print a line a training, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--steps", type=int, default=9, help="that are timed (9)")
    parser.add_argument("--before", action="store_true", help="each trainer's first revision")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="another revision's folder")
    parser.add_argument("--inputs", type=Path, help="keep what is trained on in this folder")
    parser.add_argument("-o", "--output", type=Path, help="figures, as JSON")
    parser.add_argument("--run", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        run(chosen.run, chosen.steps)
        return
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="trainers-") as temporary:
        folder = Path(temporary)
        place = chosen.inputs or folder / "inputs"
        names = ("drawings", "pairs", "prior.safetensors")
        if all((place / name).exists() for name in names):
            inputs = {Path(name).stem: str(place / name) for name in names} | {"faces": str(FACES)}
        else:
            inputs = write_inputs(place)
        for number, name in enumerate(chosen.only):
            case = CASES[name]
            words = case.former if chosen.before and case.former else case.arguments
            arguments = [item.format(out=folder / str(number), **inputs) for item in words.split()]
            if chosen.before:
                with worktree(case.first, folder) as checkout:
                    seconds = seconds_of_steps(checkout, arguments, chosen.steps)
            else:
                seconds = seconds_of_steps(chosen.checkout.resolve(), arguments, chosen.steps)
            if not seconds:
                print(f"{name}: could not be run")
                continue
            median = statistics.median(seconds)
            found[name] = {"seconds": median, "images_per_second": case.batch / median}
            print(f"{name}: {median:.3f} s, {case.batch / median:.2f} images/s", flush=True)
    if chosen.output:
        chosen.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
