"""TensorBoard event files beside metrics.jsonl, where the `tensorboard` package is installed."""

from __future__ import annotations

import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor


class Board:
    """Scalars and preview grids of one run, over images shown (or steps); nothing without the
    package. A failing disk ends the board, never the training.

    Args:
        folder: where the event files go; made with the first entry.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._on = find_spec("tensorboard") is not None
        self._writer: Any = None
        self._purge: int | None = None

    def purge_after(self, position: int) -> None:
        """Hide what a killed run wrote after its last snapshot."""
        self._purge = position + 1

    def scalars(self, values: dict[str, float], position: int) -> None:
        self._write(lambda w: [w.add_scalar(name, v, position) for name, v in values.items()])

    def picture(self, name: str, image: Tensor, position: int) -> None:
        """`image` is (3, H, W) uint8."""

        def write(writer: Any) -> None:
            writer.add_image(name, image, position)
            writer.flush()  # with every snapshot

        self._write(write)

    def _write(self, entry: Any) -> None:
        if not self._on:
            return
        try:
            if self._writer is None:
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(self.folder), purge_step=self._purge)
                weakref.finalize(self, self._writer.close)
            entry(self._writer)
        except OSError:
            self._on = False
