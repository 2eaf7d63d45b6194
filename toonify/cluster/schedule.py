"""Which worker draws what, and what is done again when a worker is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

AHEAD = 4  # chunks a worker that are begun before the first of them is reported
MOST_LOSSES = 3  # workers that one job may cost

J = TypeVar("J")  # a photograph or clip and where its drawing goes
R = TypeVar("R")  # what became of it


class WorkerLost(Exception):
    """A worker ended, or can't be reached; what it was drawing is drawn by another."""


@dataclass(frozen=True)
class Task(Generic[J]):
    """Photographs, or a clip, that one worker draws.

    Attributes:
        numbers: of the jobs within the run, from 0 on.
        jobs: the photographs or clips.
        fresh: of each, whether no drawing of it was there when the run came to it. What is there
            then when it is drawn again was left by the lost worker, and is drawn anew.
        losses: workers lost over it so far.
    """

    numbers: tuple[int, ...]
    jobs: tuple[J, ...]
    fresh: tuple[bool, ...]
    losses: int = 0


class Pool(Protocol):
    """Workers, each of which draws one task at a time."""

    workers: int

    @property
    def idle(self) -> int:
        """How many wait for a task."""
        ...

    def submit(self, task: Task[Any]) -> None:
        """Give a task to one that is idle."""
        ...

    def next(self) -> tuple[Task[Any], list[Any] | WorkerLost] | None:
        """Wait for a task to end; None when all that happened is that a worker became idle."""
        ...


def draw_on(
    pool: Pool,
    jobs: Iterable[J],
    *,
    chunk: int,
    given_up: Callable[[J, str], R],
    fresh: Callable[[J], bool] = lambda job: True,
) -> Generator[R, None, None]:
    """One result a job, in the jobs' order, as one machine gives them.

    No more than a few chunks a worker are begun before the first of them is reported, however many
    jobs there are. A lost worker's chunk is drawn again whole; when that costs another worker,
    job by job, so that one that no worker survives fails alone.

    Args:
        pool: the workers.
        chunk: jobs a task: what a lost worker costs.
        given_up: the result of a job that no worker survives, from it and the reason.
        fresh: whether nothing lies yet where a job's drawings go.

    Raises:
        ToonifyError: workers can't be had, or can't draw at all.
    """
    waiting = enumerate(jobs)
    again: deque[Task[J]] = deque()
    results: dict[int, R] = {}
    begun = given = under_way = 0
    more = True
    while True:
        while pool.idle:
            if again:
                task = again.popleft()
            elif more and begun - given < AHEAD * pool.workers * chunk:
                taken = [pair for _, pair in zip(range(chunk), waiting, strict=False)]
                more = len(taken) == chunk
                if not taken:
                    break
                begun += len(taken)
                numbers, chosen = zip(*taken, strict=True)
                task = Task(numbers, chosen, tuple(fresh(job) for job in chosen))
            else:
                break
            pool.submit(task)
            under_way += 1
        if not more and not again and not under_way:
            return
        ended = pool.next()
        if ended is None:
            continue
        task, outcome = ended
        under_way -= 1
        if isinstance(outcome, WorkerLost):
            if len(task.jobs) == 1 and task.losses + 1 == MOST_LOSSES:
                results[task.numbers[0]] = given_up(task.jobs[0], _reason(outcome))
            else:
                again += _after_loss(task)
        else:
            results.update(zip(task.numbers, outcome, strict=True))
        while given in results:
            yield results.pop(given)
            given += 1


def _after_loss(task: Task[J]) -> list[Task[J]]:
    """What is drawn again: the chunk, and after a second loss each job alone."""
    losses = task.losses + 1
    if losses < 2 or len(task.jobs) == 1:
        return [replace(task, losses=losses)]
    each = zip(task.numbers, task.jobs, task.fresh, strict=True)
    return [Task((number,), (job,), (fresh,), losses) for number, job, fresh in each]


def _reason(loss: WorkerLost) -> str:
    return f"{MOST_LOSSES} workers were lost over it ({' '.join(str(loss).split())})"
