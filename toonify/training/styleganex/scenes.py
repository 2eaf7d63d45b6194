"""Windows of whole photographs, for the encoder that inverts frames.

An encoder that has seen faces alone takes clothes, hands and walls for faces, too: whatever is in a
frame comes out of the generator as hair, skin and eyes. Here it sees what is around people, with
w+ of whoever is there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.errors import InputError, UsageError
from toonify.faces.subject import Subject
from toonify.inversion.frames import prepare_input
from toonify.media.images import iter_images, read_image
from toonify.training.styleganex.batch import FrameBatch
from toonify.utils.progress import Progress, no_progress
from toonify.utils.tensors import to_tensor

SIDE = 224  # px of a window
ZOOM = 0.25  # largest natural logarithm of its magnification
HELD_OUT = 4

log = logging.getLogger(__name__)


class SceneFrames:
    """Windows (B, 3, SIDE, SIDE) of photographs whose eyes are as far apart as in every frame.

    Args:
        folder: photographs with a face each; those without, and those that are nearly all face,
            are left out.
        subject: finds the face.
        encode: reads w+ of aligned faces, (B, 3, 256, 256) in [-1, 1] → (B, num_ws, w_dim).
        progress: opens a bar for the photographs.

    Raises:
        UsageError: fewer than five photographs serve.
    """

    def __init__(
        self,
        folder: Path,
        subject: Subject,
        encode: Callable[[Tensor], Tensor],
        *,
        progress: Progress = no_progress,
    ) -> None:
        self._encode = encode
        self._frames: list[np.ndarray] = []
        self._faces: list[np.ndarray] = []
        self._w_plus: dict[int, Tensor] = {}
        paths = sorted(iter_images(folder))
        with progress("photographs") as bar:
            for done, path in enumerate(paths, 1):
                self._add(path, subject)
                bar(done, len(paths))
        if len(self._frames) <= HELD_OUT:
            raise UsageError(
                f"{folder} holds {len(self._frames)} photographs with a face and something around"
                " it",
                hint=f"Give {HELD_OUT + 1} or more, of {SIDE} px with the eyes 64 px apart.",
            )

    def _add(self, path: Path, subject: Subject) -> None:
        try:
            seen = prepare_input(read_image(path).flat, "whole", subject)
        except InputError as error:
            log.warning("%s is left out: %s", path.name, error)
            return
        if seen.frame is not None and min(seen.frame.shape[:2]) >= SIDE:
            self._frames.append(seen.frame)
            self._faces.append(seen.face)

    def draw(self, count: int, random: torch.Generator) -> FrameBatch:
        trained = len(self._frames) - HELD_OUT
        numbers = torch.randint(trained, (count,), generator=random).tolist()
        return self._batch(numbers, np.random.default_rng(_seed(random)))

    def held_out(self) -> FrameBatch:
        numbers = list(range(len(self._frames) - HELD_OUT, len(self._frames)))
        return self._batch(numbers, np.random.default_rng(1))

    def _batch(self, numbers: list[int], rng: np.random.Generator) -> FrameBatch:
        windows = torch.cat([self._window(self._frames[number], rng) for number in numbers])
        w_plus = torch.cat([self._read(number) for number in numbers])
        return FrameBatch(windows, windows, w_plus=w_plus)

    def _read(self, number: int) -> Tensor:
        if number not in self._w_plus:
            with torch.no_grad():
                self._w_plus[number] = self._encode(to_tensor(self._faces[number])).cpu()
        return self._w_plus[number]

    @staticmethod
    def _window(frame: np.ndarray, rng: np.random.Generator) -> Tensor:
        height, width = frame.shape[:2]
        zoom = float(np.exp(rng.uniform(-ZOOM, ZOOM)))
        side = min(height, width, round(SIDE / zoom))
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        window = to_tensor(np.ascontiguousarray(frame[top : top + side, left : left + side]))
        if side == SIDE:
            return window
        size = (SIDE, SIDE)
        return F.interpolate(
            window, size, mode="bicubic", antialias=True, align_corners=False
        ).clamp(-1, 1)


def _seed(random: torch.Generator) -> int:
    return int(torch.randint(2**31, (), generator=random))
