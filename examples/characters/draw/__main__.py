"""Write drawings of the cast: ``python -m examples.characters.draw OUT --per-character 80``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from . import NAMES, Pose, draw, landmarks, random_pose

_SHEET = (
    Pose(smile=0.35, light=-0.4),
    Pose(yaw=28, smile=0.8, mouth_open=0.5, brow=0.5, light=-0.8, sway=0.5),
    Pose(yaw=-32, pitch=6, roll=-4, gaze_x=-0.5, smile=0.2, light=0.7),
    Pose(yaw=10, pitch=-10, roll=5, eye_left=0.0, eye_right=0.0, smile=1.0, light=0.5),
    Pose(yaw=-14, pitch=8, eye_left=1.25, eye_right=1.25, brow=1.0, mouth_open=0.6,
         mouth_width=-1.0, light=-0.6, sway=-0.6),
    Pose(yaw=18, pitch=-4, brow=-1.0, smile=-0.7, gaze_x=0.4, eye_left=0.8, eye_right=0.8,
         light=1.0),
)  # fmt: skip


def _write(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a PNG whole or not at all."""
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise OSError(f"could not encode {path}")
    part = path.with_name(path.name + ".part")
    part.write_bytes(data.tobytes())
    os.replace(part, path)


def sheet(size: int) -> NDArray[np.uint8]:
    """(6·size, 6·size, 3): one row a character, several poses."""
    rows = [np.concatenate([draw(n, p, size=size) for p in _SHEET], 1) for n in NAMES]
    return np.concatenate(rows)


def write_characters(out: Path, per_character: int, size: int, seed: int, background: str) -> None:
    """Write OUT/<name>/0000.png … and OUT/<name>/poses.json for the whole cast."""
    for index, name in enumerate(NAMES):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([seed, index])
        records = []
        for i in range(per_character):
            pose = Pose(smile=0.3) if i == 0 else random_pose(rng)
            file = f"{i:04d}.png"
            ground = (
                f"random:{int(rng.integers(1 << 30))}" if background == "random" else background
            )
            _write(folder / file, draw(name, pose, size=size, background=ground))
            points = np.round(landmarks(name, pose), 5).tolist()
            records.append({"file": file, **asdict(pose), "landmarks": points})
        part = folder / "poses.json.part"
        part.write_text(json.dumps(records, indent=1) + "\n")
        os.replace(part, folder / "poses.json")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {value}")
    return value


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="examples.characters.draw", description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, help="folder to write into")
    parser.add_argument("--per-character", type=_positive, default=80)
    parser.add_argument("--size", type=_positive, default=512, help="pixels (default 512)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--background", choices=("signature", "random"), default="signature")
    parser.add_argument("--sheet", type=Path, help="also write a contact sheet (PNG)")
    args = parser.parse_args(argv)
    if args.out is None and args.sheet is None:
        parser.error("give a folder OUT, or --sheet FILE, or both")
    try:
        if args.sheet is not None:
            args.sheet.parent.mkdir(parents=True, exist_ok=True)
            _write(args.sheet, sheet(min(args.size, 256)))
        if args.out is not None:
            write_characters(args.out, args.per_character, args.size, args.seed, args.background)
    except OSError as error:
        print(f"error: {error}. Choose a folder that can be written", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
