"""Clips on many machines: a worker draws one from front to back, as each frame builds on the last.

Finished segments lie beside the output, so that whoever takes over a lost worker's clip goes on
behind the last of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toonify.cluster.schedule import Task
from toonify.cluster.worker import Orders, Worker
from toonify.errors import ToonifyError
from toonify.video import Options, Report, convert

CHUNK = 1  # clips a task
PATIENCE = 60.0  # seconds that a worker which counts as lost may still hold its clip


@dataclass(frozen=True)
class ClipJob:
    """A clip and the file that it becomes."""

    source: Path
    target: Path


@dataclass(frozen=True, kw_only=True)
class ClipOrders(Orders):
    """What every worker of a run is told.

    Attributes:
        options: how clips are drawn.
    """

    options: Options


class ClipWorker(Worker[ClipOrders]):
    """Draws clips with one engine.

    Example:
        >>> worker = ClipWorker(orders)
        >>> worker.prepare()
        >>> (report,) = worker.draw(task)
    """

    def prepare(self) -> None:
        """Load the networks; see `Worker.prepare`."""
        self._drawing = self._engine()
        self._check("clips", self._drawing.describe(), self._orders.options.identity)

    def draw(self, task: Task[ClipJob]) -> list[Report | ToonifyError]:
        """Draw a task's clips; those that fail give their error."""
        results: list[Report | ToonifyError] = []
        for job in task.jobs:
            patience = PATIENCE if task.losses else 0
            try:
                report = convert(
                    job.source,
                    job.target,
                    self._drawing,
                    self._orders.options,
                    patience=patience,
                )
            except ToonifyError as error:
                results.append(error)
            else:
                results.append(report)
        return results


def given_up(job: ClipJob, reason: str) -> ToonifyError:
    """The result of a clip that no worker survives."""
    return ToonifyError(f"{job.source}: {reason}")
