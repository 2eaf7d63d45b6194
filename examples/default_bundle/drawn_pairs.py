"""Drawings to order: a character drawn in the pose and expression that a latent stands for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from examples.characters.draw import Pose, draw
from toonify.errors import InputError
from toonify.faces.mesh import FaceMesh
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.encoders.pose_reader import PoseReader

Measures = dict[str, float]


def pose_of(measures: Measures) -> Pose:
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


# A photo's latents say less of an expression than the photo does: what is drawn makes up for it.
# The reciprocal of the slope between photo and reading over photographs, on the strong side.
GAIN = {
    "yaw": 1.08,
    "pitch": 1.2,
    "gaze_x": 1.5,
    "gaze_y": 1.4,
    "eye_left": 1.25,
    "eye_right": 1.25,
    "brow_left": 1.4,
    "brow_right": 1.4,
    "mouth_open": 1.25,
    "mouth_width": 1.12,
    "smile": 1.18,
}
ANCHORS = ("left_x", "left_y", "right_x", "right_y", "mouth_x", "mouth_y")
_RARE = ("yaw", "pitch", "gaze_x", "eye_left", "mouth_open", "smile")


def measure_faces(mesh: FaceMesh, images: np.ndarray) -> tuple[list[str], Tensor]:
    """Names and values (N, K) of pose, expression and the positions of eyes and mouth.

    Args:
        images: (N, H, W, 3) uint8, aligned faces.
    """
    names: list[str] = []
    rows = []
    for image in images:
        found = mesh.measure(np.asarray(image))
        points = (found.eye_center_left, found.eye_center_right, found.mouth_center)
        scalars = found.scalars()
        names = [*scalars, *ANCHORS]
        places = [float(v) / image.shape[0] for point in points for v in point]
        rows.append([*(float(v) for v in scalars.values()), *places])
    return names, torch.tensor(rows)


def read_poses(reader: PoseReader, generator: MobileGenerator, latents: Tensor) -> list[Measures]:
    """What to draw for each of the latents (N, num_ws, w_dim): the reading, exaggerated."""
    gain = torch.tensor([GAIN.get(name, 1.0) for name in reader.names])
    values = reader.mean + gain * (reader.read(generator, latents) - reader.mean)
    return [dict(zip(reader.names, row, strict=True)) for row in values.tolist()]


def choose(measures: Sequence[Measures], count: int, *, seed: int = 0) -> list[int]:
    """`count` indices in mixed order: half as they come, half spread over rare poses."""
    table = np.array([[m[k] for k in _RARE] for m in measures])
    table = (table - table.mean(0)) / table.std(0)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(measures))
    plain, rest = order[: count // 2], order[count // 2 :]
    weight = np.square(np.clip(table[rest], -3, 3)).sum(1)
    rare = rng.choice(rest, count - len(plain), replace=False, p=weight / weight.sum())
    return [int(i) for i in rng.permutation(np.concatenate((plain, rare)))]


def _draw_one(job: tuple[str, str, int, Measures]) -> None:
    path, name, size, measures = job
    cv2.setNumThreads(1)
    if Path(path).exists():
        return
    anchors = np.array([measures[name] for name in ANCHORS]).reshape(3, 2)
    image = draw(name, pose_of(measures), size=size, anchors=anchors)
    temporary = f"{path}.tmp.png"
    cv2.imwrite(temporary, image[..., ::-1])
    Path(temporary).replace(path)


def draw_pairs(
    latents: Tensor,
    measures: Sequence[Measures],
    names: Sequence[str],
    folder: Path,
    *,
    size: int,
    workers: int = 2,
) -> None:
    """Draw the characters in turn, one picture a latent; what exists is kept.

    Args:
        latents: (N, num_ws, w_dim), kept beside the pictures.
        measures: N of them, from `read_poses`.
    """
    jobs, listed = [], []
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index, row in enumerate(measures):
        name = names[index % len(names)]
        file = f"{name}/{index:05d}.png"
        jobs.append((str(folder / file), name, size, row))
        listed.append({"file": file, "character": name})
    # not forked: torch's threads would not survive it
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_draw_one, jobs, chunksize=8))
    torch.save(latents.half(), folder / "latents.pt")
    (folder / "pairs.json").write_text(json.dumps(listed))


class DrawnPairs:
    """A `PairSource` of what `draw_pairs` wrote.

    Args:
        styles: character → (w_dim,) style.
        num_ws: rows of the w+ to give.
        size: of the drawings to give, at most that of the files.
    """

    def __init__(self, folder: Path, styles: dict[str, Tensor], *, num_ws: int, size: int) -> None:
        self._rows = json.loads((folder / "pairs.json").read_text())
        self._latents = torch.load(folder / "latents.pt", weights_only=True)
        self._folder, self._styles, self._num_ws, self._size = folder, styles, num_ws, size

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = [self._rows[i] for i in index.tolist()]
        faces = self._latents[index][:, : self._num_ws].float()
        styles = torch.stack([self._styles[row["character"]] for row in rows])
        images = [self._read(row["file"]) for row in rows]
        targets = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
        return faces, styles[:, None].expand(-1, self._num_ws, -1), targets

    def _read(self, name: str) -> np.ndarray:
        image = cv2.imread(str(self._folder / name))
        if image is None:
            raise InputError(f"{self._folder / name} can't be read", hint="Remove it; draw again.")
        if image.shape[0] != self._size:
            image = cv2.resize(image, (self._size, self._size), interpolation=cv2.INTER_AREA)
        return image[..., ::-1]
