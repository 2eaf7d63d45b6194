"""What a worker does: make an engine once, draw tasks."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from toonify.cluster.schedule import Task
from toonify.errors import InputError, ModelError
from toonify.stylize.batch import Batch
from toonify.stylize.options import Options, Result
from toonify.utils.outputs import InputFiles


@dataclass(frozen=True)
class Orders:
    """What every worker of a run is told.

    Attributes:
        make: gives an engine, to be pickled by reference: a module's function, or a `partial` of
            one.
        identify: engine and a name → what its drawings depend on.
        options: how photographs are drawn.
        reads: all that the run reads, which is never replaced.
        folder: the caller's working folder, from which relative paths are meant.
    """

    make: Callable[[], Any]
    identify: Callable[[Any, str], Any]
    options: Options
    reads: tuple[str, ...]
    folder: str


class Worker:
    """Draws tasks with one engine.

    Example:
        >>> worker = Worker(orders)
        >>> worker.prepare()
        >>> results = worker.draw(task)
    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def prepare(self) -> None:
        """Load the networks.

        Raises:
            InputError: this machine doesn't have the run's folder.
            ModelError: the networks can't be loaded, or aren't the run's.
        """
        orders = self._orders
        try:
            os.chdir(orders.folder)
        except OSError as error:
            raise InputError(
                f"a worker can't enter {orders.folder}: {error.strerror or error}",
                hint="All machines need the same files under the same paths.",
            ) from error
        engine = orders.make()
        for name, identity in orders.options.identity.items():
            if orders.identify(engine, name) != identity:
                raise ModelError(
                    f"a worker would draw {name} by other networks than this machine",
                    hint="Install the same toonify and bundle on all machines.",
                )
        reads = InputFiles(orders.reads)
        self._batch = Batch(engine, orders.options, inputs=reads)
        self._anew = Batch(engine, replace(orders.options, existing="overwrite"), inputs=reads)

    def draw(self, task: Task) -> list[Result]:
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
