"""A build of a table as a process of its own, for tests that kill it: FOLDER OUT WORKERS PACE."""

import json
import os
import sys
import time

import torch
from torch import Tensor

from tests.training.tiny_training import PixelDistance, tiny_generator
from toonify.inversion.projector import ProjectionSettings
from toonify.training.characters.build import build_table
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


def main() -> None:
    folder, out, workers, pace = sys.argv[1:]
    projector = load()

    def slow(name: str, *rest: float) -> None:
        if pace == "slow" and name != "bram":
            time.sleep(60)

    report = build_table(
        folder,
        projector.generator,
        out,
        loss=projector.loss,
        settings=projector.settings,
        workers=int(workers),
        load=load,
        progress=slow,
    )
    result = {"built": report.built, "reused": report.reused}
    print(json.dumps(result | ({"failed": report.failed} if report.failed else {})))


if __name__ == "__main__":
    main()
