"""A build of a table; as a process (FOLDER OUT WORKERS) a slow one, for tests that kill it."""

import os
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from tests.training.tiny_training import PixelDistance, tiny_generator
from toonify.inversion.projector import ProjectionSettings
from toonify.training.characters.build import TableReport, build_table
from toonify.training.characters.jobs import Projector


class Deadly(PixelDistance):
    """Takes the process with it when it sees a black drawing."""

    def features(self, images: Tensor) -> list[Tensor]:
        if not images.requires_grad and bool((images == -1).all()):
            os._exit(9)
        return super().features(images)


def load() -> Projector:
    torch.set_num_threads(1)
    settings = ProjectionSettings(steps=3, batch_size=2)
    return Projector(generator=tiny_generator("mobile"), loss=Deadly(), settings=settings)


def build(folder: Path, out: Path, *, workers: int, slow: bool = False) -> TableReport:
    """A table; `slow` waits for its end with any character but bram."""
    projector = load()

    def wait(name: str, *rest: float) -> None:
        if slow and name != "bram":
            time.sleep(60)

    return build_table(
        folder,
        projector.generator,
        out,
        loss=projector.loss,
        settings=projector.settings,
        workers=workers,
        load=load,
        progress=wait,
    )


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]), workers=int(sys.argv[3]), slow=True)
