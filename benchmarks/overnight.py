"""Many small photographs, drawn in one go, and drawn while the run is killed again and again.

    python -m benchmarks.overnight PHOTOS [--count N] [--kills K] [--style S | --character C]

PHOTOS are copied, with a px of their own each, until there are enough. Prints photographs a second
(in one run, and one process a photograph for comparison), memory of the process after a tenth of
them and at the end, and whether the killed run's drawings and manifest are those of the other one.
The exit status is 1 if they aren't.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

TOONIFY = [sys.executable, "-m", "toonify", "--offline", "--quiet", "stylize"]
LEFT_OUT = ("seconds",)  # of manifests: they differ between any two runs


def photographs(source: Path, folder: Path, count: int) -> list[Path]:
    """`count` photographs, no two of them alike."""
    files = [path for path in sorted(source.iterdir()) if path.suffix.lower() in (".jpg", ".png")]
    made = []
    for number in range(count):
        pixels = np.array(Image.open(files[number % len(files)]).convert("RGB"))
        pixels[0, 0] = number % 256, number // 256, 0
        made.append(folder / f"{number:05}.png")
        Image.fromarray(pixels).save(made[-1])
    return made


def memory_of(process: int) -> float:
    """MB that a process holds."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def run_through(command: list[str], drawn: Path, count: int) -> tuple[float, float, float]:
    """Seconds, and MB after a tenth of the photographs and near the end."""
    started, early, late = time.perf_counter(), 0.0, 0.0
    process = subprocess.Popen(command)
    while process.poll() is None:
        time.sleep(0.2)
        done = len(list(drawn.glob("*"))) if drawn.is_dir() else 0
        try:
            late = memory_of(process.pid) or late
        except OSError:
            continue
        if done >= count / 10 and not early:
            early = late
    if process.returncode:
        sys.exit(f"toonify ended with {process.returncode}")
    return time.perf_counter() - started, early, late


def contents(folder: Path) -> dict[str, str]:
    """Hashes of what lies in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def records(manifest: Path, folder: Path) -> list[str]:
    """A manifest's records, sorted, without what differs between any two runs."""
    lines = []
    for line in manifest.read_text().splitlines():
        record = json.loads(line)
        kept = {key: value for key, value in record.items() if key not in LEFT_OUT}
        lines.append(json.dumps(kept, sort_keys=True).replace(str(folder), "OUT"))
    return sorted(lines)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--single", type=int, default=5, help="photographs drawn one by one")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--style")
    kind.add_argument("--character")
    given = parser.parse_args()
    how = ["--style", given.style] if given.style else ["--character", given.character or "mina"]
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        (base / "in").mkdir()
        made = photographs(given.photos, base / "in", given.count)
        command = [*TOONIFY, str(base / "in"), "--aligned", *how]

        started = time.perf_counter()
        for number, photo in enumerate(made[: given.single]):
            one = [*TOONIFY, str(photo), "--aligned", *how, "-o", str(base / f"one/{number}.png")]
            subprocess.run(one, check=True)
        single = (time.perf_counter() - started) / max(1, given.single)

        whole = [*command, "-o", str(base / "a"), "--manifest", str(base / "a.jsonl")]
        seconds, early, late = run_through(whole, base / "a", given.count)
        print(
            f"{given.count} photographs in {seconds:.0f} s: {given.count / seconds:.2f} a second;"
        )
        print(f"one process a photograph: {1 / single:.2f} a second.")
        print(f"memory: {early:.0f} MB after a tenth, {late:.0f} MB at the end.", flush=True)

        random.seed(0)
        killed = [*command, "-o", str(base / "b"), "--manifest", str(base / "b.jsonl")]
        killed.append("--skip-existing")
        for _ in range(given.kills):
            process = subprocess.Popen(killed)
            time.sleep(random.uniform(0.3, 1.3) * seconds / (given.kills + 1))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        subprocess.run(killed, check=True)
        same = contents(base / "a") == contents(base / "b")
        recorded = records(base / "a.jsonl", base / "a") == records(base / "b.jsonl", base / "b")
        hidden = [path.name for path in (base / "b").iterdir() if path.name.startswith(".")]
        print(f"killed {given.kills} times: drawings {'identical' if same else 'DIFFER'},", end=" ")
        print(
            f"manifest {'identical' if recorded else 'DIFFERS'}, left behind: {hidden or 'nothing'}"
        )
        sys.exit(0 if same and recorded and not hidden else 1)


if __name__ == "__main__":
    main()
