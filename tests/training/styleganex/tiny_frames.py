"""Small frames: a folder of cutouts (black heads with blue bodies before walls, and drawn discs),
and flat pictures for every task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.training.styleganex.batch import FrameBatch
from toonify.training.styleganex.cutouts import CutoutSet, write_faces, write_index
from toonify.training.styleganex.tasks import Backbone, Task
from toonify.training.styleganex.warps import random_warp

NAMES = ("mina", "jun")
PAINT = ((40, 210, 60), (230, 60, 220))  # of the drawn heads, by character
HEAD, BODY = (0, 0, 0), (30, 40, 160)
CHIN = 0.8


def wall(number: int, size: int) -> np.ndarray:
    """A background, bright, of the number's own color."""
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    tint = np.float32([150 + 7 * (number % 5), 190, 170 - 6 * (number % 7)])
    return np.rint(tint + 20 * (x - y)[..., None]).astype(np.uint8)


def disc(size: int, radius: float, *, center: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    """(size, size) bool, in sides."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    return (x - center[0]) ** 2 + (y - center[1]) ** 2 < radius**2


def body(size: int) -> np.ndarray:
    """(size, size) bool: shoulders that run out of the crop, below where the chin fades."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    return (y > 0.92) & (np.abs(x - 0.5) < 0.3)


def drawing(size: int, color: tuple[int, int, int], *, radius: float = 0.27) -> np.ndarray:
    """RGBA of a disc, a little larger than the photographed head."""
    out = np.zeros((size, size, 4), np.uint8)
    out[..., :3] = color
    out[..., 3] = 255 * disc(size, radius)
    return out


def save(path: Path, rgba: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))


def write_cutouts(
    folder: Path,
    count: int = 6,
    *,
    size: int = 64,
    hair: np.ndarray | None = None,
    back: bool = False,
    margin: float = 0.0,
) -> Path:
    """`count` people, each with a drawing, the characters in turn.

    Args:
        hair: (size, size) bool, painted red onto every one.
        back: with something large and white that hangs behind the bodies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    faces = np.stack([wall(number, size) for number in range(count)])
    fills = faces.copy()
    people = disc(size, 0.25) | body(size)
    faces[:, body(size)] = BODY
    faces[:, disc(size, 0.25)] = HEAD
    hairs = np.zeros((size, size), np.float32)
    if hair is not None:
        faces[:, hair] = (220, 30, 30)
        people, hairs = people | hair, np.float32(hair)
    mattes = np.repeat(people[None].astype(np.float32), count, axis=0)
    write_faces(folder, faces, mattes, np.repeat(hairs[None], count, axis=0), fills)
    rows: list[dict[str, object]] = []
    for number in range(count):
        character = number % len(NAMES)
        name = f"{NAMES[character]}/{number}.png"
        save(folder / name, drawing(size, PAINT[character]))
        row: dict[str, object] = {"face": number, "character": character, "head": name}
        if back:
            row["back"] = f"{NAMES[character]}/back.png"
            save(folder / str(row["back"]), drawing(size, (255, 255, 255), radius=0.4))
        rows.append(row | {"chin": CHIN})
    write_index(folder, NAMES, rows, margin=margin)
    return folder


def cutout_set(folder: Path, count: int = 6, **options) -> CutoutSet:
    return CutoutSet(write_cutouts(folder, count, **options))


# an encoder's backbone, in place of `tasks.SIZES["12"]`
TINY = Backbone(units=(1, 1, 1, 1), channels=(16, 16, 16, 16), taps=(2, 2, 2), head_channels=8)


def flat_batch(task: Task, generator: StyleGAN2Generator, count: int, seed: int) -> FrameBatch:
    """What a source of the task gives, of smooth pictures and 64×64 targets.

    What w+ is read from is 256×256, for below it oneDNN's bfloat16 gradients of the heads' last
    convolution, which then sees a single pixel, are not finite.
    """
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=random) * 1.6 - 0.8
    targets = F.interpolate(coarse, size=(64, 64), mode="bilinear")
    frames, v = targets, None
    faces: Tensor | None = F.interpolate(targets, size=(256, 256), mode="bilinear")
    theta: Tensor | None = random_warp(count, random, tilt=10.0, zoom=0.1, shift=0.1)
    w_plus = None
    if task.labels:
        assert faces is not None
        chosen = (faces[:, :1] > 0).float()
        frames = chosen if task.labels == 1 else torch.zeros(count, task.labels, 256, 256)
        if task.labels > 1:
            frames[:, :1], frames[:, 1:2] = chosen, 1 - chosen
        faces = None
    elif task.name == "video-edit":
        v = torch.randn(count, generator.num_ws, generator.w_dim, generator=random)
    elif task.name == "video-toonify":
        w_plus = torch.randn(generator.num_ws, generator.w_dim, generator=random)
        w_plus, faces, theta = w_plus.expand(count, -1, -1), None, None
        targets = -targets
    return FrameBatch(frames, targets, faces=faces, w_plus=w_plus, v=v, theta=theta)


class FlatSource:
    """Frames of `flat_batch`; spoilt ones after `spoil` draws."""

    def __init__(
        self, task: Task, generator: StyleGAN2Generator, *, spoil: int | None = None
    ) -> None:
        self.task, self.generator, self.spoil, self.draws = task, generator, spoil, 0

    def draw(self, count: int, random: torch.Generator) -> FrameBatch:
        self.draws += 1
        seed = int(torch.randint(1000, (), generator=random))
        batch = flat_batch(self.task, self.generator, count, seed)
        if self.spoil is not None and self.draws > self.spoil:
            return replace(batch, targets=batch.targets * float("nan"))
        return batch

    def held_out(self) -> FrameBatch:
        return flat_batch(self.task, self.generator, 3, 10**6)
