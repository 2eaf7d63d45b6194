"""Drawings to order: a character drawn in the pose and expression of a sampled face."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from examples.characters.draw import Pose, draw
from toonify.errors import InputError


def pose_of(measures: dict[str, Any]) -> Pose:
    """Measures of a face (`toonify.faces.mesh`) → pose of a drawing.

    The ranges are the percentiles of faces sampled from the prior.
    """

    def ramp(value: float, low: float, high: float) -> float:
        return (value - low) / (high - low)

    def eye(opening: float) -> float:
        return float(np.clip(np.interp(opening, (0.15, 0.27, 0.38), (0.0, 1.0, 1.3)), 0, 1.3))

    brow = (measures["brow_left"] + measures["brow_right"]) / 2
    return Pose(
        yaw=float(np.clip(measures["yaw"], -42, 42)),
        pitch=float(np.clip(measures["pitch"], -22, 22)),
        roll=float(np.clip(measures["roll"], -12, 12)),
        gaze_x=float(np.clip(2.2 * measures["gaze_x"], -1, 1)),
        gaze_y=float(np.clip(2.2 * measures["gaze_y"], -1, 1)),
        eye_left=eye(measures["eye_left"]),
        eye_right=eye(measures["eye_right"]),
        brow=float(np.clip((brow - 0.327) / 0.06, -1, 1)),
        mouth_open=float(np.clip(ramp(measures["mouth_open"], 0.03, 0.42), 0, 1)),
        smile=float(np.interp(measures["smile"], (-0.08, 0.02, 0.30), (-0.6, 0.05, 1.0))),
        mouth_width=float(np.clip((measures["mouth_width"] - 0.92) / 0.25, -1, 1)),
        light=-0.5,
    )


def choose_faces(measures: list[dict[str, Any]], count: int, *, seed: int = 0) -> list[int]:
    """Indices of `count` faces: half as they come, half spread over rare poses."""
    keys = ("yaw", "pitch", "gaze_x", "gaze_y", "eye_left", "mouth_open", "smile")
    table = np.array([[m[k] for k in keys] for m in measures])
    table = (table - table.mean(0)) / table.std(0)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(measures))
    plain = order[: count // 2]
    rest = order[count // 2 :]
    weight = np.square(np.clip(table[rest], -3, 3)).sum(1)
    rare = rng.choice(rest, count - len(plain), replace=False, p=weight / weight.sum())
    return [int(i) for i in np.concatenate((plain, rare))]


def _draw_one(job: tuple[str, str, int, dict[str, Any]]) -> None:
    path, name, size, measures = job
    cv2.setNumThreads(1)
    if Path(path).exists():
        return
    anchors = np.asarray(measures["anchors"], dtype=np.float64)
    image = draw(name, pose_of(measures), size=size, anchors=anchors)
    temporary = f"{path}.tmp.png"
    cv2.imwrite(temporary, image[..., ::-1])
    Path(temporary).replace(path)


def draw_pairs(
    measures: list[dict[str, Any]],
    names: tuple[str, ...],
    folder: Path,
    *,
    per_character: int,
    size: int,
    workers: int = 2,
) -> None:
    """Draw every character in `per_character` poses of its own; what exists is kept."""
    jobs, listed = [], []
    for k, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for face in choose_faces(measures, per_character, seed=k):
            path = folder / name / f"{face:05d}.png"
            jobs.append((str(path), name, size, measures[face]))
            listed.append({"file": f"{name}/{face:05d}.png", "character": name, "face": face})
    # characters take turns, so that a part is as mixed as the whole
    order = np.random.default_rng(0).permutation(len(jobs))
    # not forked: torch's threads would not survive it
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_draw_one, [jobs[i] for i in order], chunksize=8))
    (folder / "pairs.json").write_text(json.dumps([listed[i] for i in order]))


class DrawnPairs:
    """A `PairSource` of the files `draw_pairs` wrote.

    Args:
        codes: the code of every sampled face, (N, w_dim) or (N, num_ws, w_dim); several such
            tensors (the sampled codes and an encoder's, say) are taken as pairs of their own.
        styles: character → (w_dim,) style code.
    """

    def __init__(
        self,
        folder: Path,
        codes: Sequence[Tensor],
        styles: dict[str, Tensor],
        *,
        num_ws: int,
        size: int,
    ) -> None:
        self._rows = json.loads((folder / "pairs.json").read_text())
        self._folder, self._codes, self._styles, self._num_ws = folder, codes, styles, num_ws
        self._size = size

    def __len__(self) -> int:
        return len(self._rows) * len(self._codes)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = [self._rows[i % len(self._rows)] for i in index.tolist()]
        faces = torch.stack(
            [
                self._widen(self._codes[i // len(self._rows)][row["face"]])
                for i, row in zip(index.tolist(), rows, strict=True)
            ]
        )
        styles = torch.stack([self._styles[row["character"]] for row in rows])
        images = [self._read(row["file"]) for row in rows]
        targets = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
        return faces, styles[:, None].expand(-1, self._num_ws, -1), targets

    def _widen(self, code: Tensor) -> Tensor:
        return code.float().expand(self._num_ws, -1) if code.ndim == 1 else code.float()

    def _read(self, name: str) -> np.ndarray:
        image = cv2.imread(str(self._folder / name))
        if image is None:
            raise InputError(f"{self._folder / name} can't be read", mend="Remove it; draw again.")
        if image.shape[0] != self._size:
            image = cv2.resize(image, (self._size, self._size), interpolation=cv2.INTER_AREA)
        return image[..., ::-1]
