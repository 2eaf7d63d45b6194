"""Photographs on many machines: a worker draws chunks of them as one machine draws batches."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace

from toonify.cluster.schedule import Task
from toonify.cluster.worker import Orders, Worker
from toonify.stylize.batch import Batch
from toonify.stylize.jobs import Job
from toonify.stylize.options import Options, Result
from toonify.stylize.recipe import drawing_identity
from toonify.utils.outputs import InputFiles

CHUNK = 8  # photographs a task


@dataclass(frozen=True, kw_only=True)
class PhotoOrders(Orders):
    """What every worker of a run needs to know.

    Attributes:
        options: how photographs are drawn.
        reads: all that the run reads, which is never replaced.
    """

    options: Options
    reads: tuple[str, ...]


class PhotoWorker(Worker[PhotoOrders]):
    """Draws photographs with one engine.

    Examples:
        >>> worker = PhotoWorker(orders)
        >>> worker.prepare()
        >>> results = worker.draw(task)
    """

    def prepare(self) -> None:
        """Load the networks; see `Worker.prepare`."""
        engine = self._engine()
        options = self._orders.options
        for name, identity in options.identity.items():
            self._check(name, drawing_identity(engine, name), identity)
        reads = InputFiles(self._orders.reads)
        self._batch = Batch(engine, options, inputs=reads)
        self._anew = Batch(engine, replace(options, existing="overwrite"), inputs=reads)

    def draw(self, task: Task[Job]) -> list[Result]:
        """Draw a task's photographs; a failure stays with its own.

        Returns:
            A result a job, in the jobs' order.
        """
        left = [fresh and task.losses > 0 for fresh in task.fresh]  # by a lost worker, perhaps
        drawn: dict[bool, list[Result]] = {}
        for anew in dict.fromkeys(left):
            batch = self._anew if anew else self._batch
            jobs = [job for job, mine in zip(task.jobs, left, strict=True) if mine == anew]
            with closing(batch.run(jobs)) as results:
                drawn[anew] = list(results)
        return [drawn[anew].pop(0) for anew in left]


def given_up(job: Job, reason: str) -> Result:
    """The result of a photograph that no worker survives."""
    return Result(job.label, "failed", error=f"{job.name}: {reason}")
