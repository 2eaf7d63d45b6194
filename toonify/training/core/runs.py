"""The folder of a training run: snapshots, metrics, previews, and an orderly Ctrl-C.

Metrics and previews go to TensorBoard too, where it is installed.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from toonify.errors import InputError, ModelError, UsageError
from toonify.media.images import write_image
from toonify.reports.tensorboard import Board
from toonify.utils.atomic import replacing, write_text, writing

METRICS = "metrics.jsonl"
_INTACT = "The last snapshot is intact: make room and resume."
_PREVIEW = re.compile(r"preview-(\d+\.\d+)\.jpg")
_FORMER = {  # names that snapshots were once written with
    "code": "latent",
    "code_share": "character_share",
    "code_level": "character_level",
    "codes_by": "face_encoder",
    "hint_share": "supervised_share",
    "fields": "noise_rng",
    "networks": "network",
    "networks_config": "network_config",
}


def _renamed(state: dict[str, Any]) -> dict[str, Any]:
    """The state, and its config, under today's names."""
    return {
        _FORMER.get(key, key): _renamed(value) if key in ("config", "weights") else value
        for key, value in state.items()
    }


class RunFolder:
    """`snapshot.pt`, `metrics.jsonl`, `preview-KIMG.jpg` and `tensorboard/` under one folder.

    Raises:
        InputError: the folder can't be made.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.snapshot = self.path / "snapshot.pt"
        self.metrics = self.path / METRICS
        self._board = Board(self.path / "tensorboard")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"can't make the folder {self.path}: {error.strerror or error}",
                hint="Choose another `output`.",
            ) from error

    def start(self, *, resume: bool) -> dict[str, Any] | None:
        """The snapshot to go on from, or None for a fresh run.

        Raises:
            UsageError: a run lies here and is not to be resumed.
            ModelError: the snapshot is damaged.
        """
        if not self.snapshot.is_file():
            return None
        if not resume:
            raise UsageError(
                f"{self.path} already holds a run", hint="Add `resume`, or choose another `output`."
            )
        try:
            return _renamed(torch.load(self.snapshot, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ModelError(
                f"the snapshot {self.snapshot} can't be read ({error})",
                hint="Remove it to start again.",
            ) from error

    def save(self, state: dict[str, Any]) -> None:
        """Replace the snapshot, whole or not at all.

        Raises:
            InputError: it can't be written (a full disk, say); the previous one is intact.
        """
        try:
            with replacing(self.snapshot) as partial:
                torch.save(state, partial)
        except (OSError, RuntimeError) as error:  # torch wraps a full disk in RuntimeError
            raise InputError(
                f"can't write the snapshot {self.snapshot} ({error})",
                hint="The previous one is intact: make room and resume.",
            ) from error

    def keep(
        self, name: str, kimg: float, count: int, write: Callable[[Path], None] | None = None
    ) -> None:
        """Keep what belongs to a preview as NAME-KIMG, and no more than the last `count` of them.

        Args:
            name: of a model's file, which lies here, or is "snapshot.pt".
            write: writes the model; None takes the file as it lies here.

        Raises:
            InputError: it can't be written.
        """
        if not count:
            return
        stem, _, suffix = name.partition(".")
        target = self.path / f"{stem}-{kimg:09.3f}.{suffix}"
        try:
            target.unlink(missing_ok=True)
            if write is not None:
                write(target)
            else:
                _same_file(self.path / name, target)
            pattern = re.compile(rf"{re.escape(stem)}-\d+\.\d+\.{re.escape(suffix)}")
            known = sorted(p for p in self.path.iterdir() if pattern.fullmatch(p.name))
            for old in known[:-count]:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                f"can't keep {target}: {error.strerror or error}",
                hint="The last snapshot is intact: make room and resume, or give `keep` 0.",
            ) from error

    def log(self, metrics: dict[str, float]) -> None:
        """Append one line to metrics.jsonl.

        Raises:
            InputError: it can't be written (a full disk, say).
        """
        with (
            writing(self.metrics, hint=_INTACT),
            self.metrics.open("a", encoding="utf-8") as file,
        ):
            file.write(json.dumps(metrics) + "\n")
        position = (
            round(metrics["kimg"] * 1000) if "kimg" in metrics else int(metrics.get("step", 0))
        )
        values = {name: v for name, v in metrics.items() if name not in ("kimg", "step")}
        self._board.scalars(values, position)

    def forget_after(self, kimg: float) -> None:
        """Drop the metrics that a killed run wrote after its last snapshot.

        Raises:
            InputError: they can't be read or written again (a full disk, say).
        """
        self._board.purge_after(round(kimg * 1000))
        if not self.metrics.is_file():
            return
        kept = []
        with writing(self.metrics, hint=_INTACT):
            for line in self.metrics.read_text(encoding="utf-8").splitlines():
                try:
                    if json.loads(line)["kimg"] <= kimg + 1e-9:
                        kept.append(line + "\n")
                except (ValueError, KeyError):
                    continue  # half a line, cut by the kill
            write_text(self.metrics, "".join(kept))

    def preview(self, images: Tensor, kimg: float) -> Path:
        """Write a grid of (N, 3, S, S) uint8 images as `preview-KIMG.jpg`."""
        path = self.path / f"preview-{kimg:09.3f}.jpg"
        picture = grid(images).cpu()
        write_image(path, picture.permute(1, 2, 0).numpy())
        self._board.picture("preview", picture, round(kimg * 1000))
        return path


def _same_file(source: Path, target: Path) -> None:
    """Another name of a file that is only ever replaced; a copy where there are no such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def previews(folder: Path) -> list[tuple[float, Path]]:
    """(kimg, file) of the preview grids in `folder`, earliest first."""
    found = [(m, path) for path in folder.iterdir() if (m := _PREVIEW.fullmatch(path.name))]
    return sorted((float(match[1]), path) for match, path in found)


def grid(images: Tensor) -> Tensor:
    """(N, 3, S, S) → one (3, rows·S, columns·S) picture, about square, white where empty."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    missing = rows * columns - len(images)
    white = images.new_full((missing, *images.shape[1:]), 255)
    tiles = torch.cat([images, white]).unflatten(0, (rows, columns))
    return tiles.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


class Interrupt:
    """Whether Ctrl-C was pressed inside `interruptible`."""

    requested = False


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turn the first Ctrl-C into a request, so that a step is finished and a snapshot kept.

    SIGTERM, which job schedulers send, counts as well. The second one raises KeyboardInterrupt at
    once. Outside the main thread, where no handler can be set, nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupt.requested:
            raise KeyboardInterrupt
        interrupt.requested = True

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
