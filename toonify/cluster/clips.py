"""Clips on many machines: a worker draws one from front to back, as each frame builds on the last.
Where there are more workers than clips, long ones are drawn in parts (`toonify.video.parts`).

Finished segments lie beside the output, so that whoever takes over a lost worker's clip or part
goes on behind the last of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from toonify.cluster.schedule import Pool, Task, draw_on
from toonify.cluster.worker import Orders, Worker
from toonify.engines.base import Engine
from toonify.errors import ToonifyError
from toonify.video import Options, Report, convert
from toonify.video.parts import PART, PartedClip, draw_part, parted
from toonify.video.several import failure_of

CHUNK = 1  # clips or parts a task
PATIENCE = 60.0  # seconds that a worker which counts as lost may still hold its clip


@dataclass(frozen=True)
class ClipJob:
    """A clip and the file that it becomes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class PartJob:
    """A part of a clip: the numbers of its segments, within the work on its output."""

    source: Path
    target: Path
    part: range


@dataclass(frozen=True, kw_only=True)
class ClipOrders(Orders):
    """What every worker of a run needs to know.

    Attributes:
        options: how clips are drawn.
    """

    options: Options


class ClipWorker(Worker[ClipOrders]):
    """Draws clips with one engine.

    Examples:
        >>> worker = ClipWorker(orders)
        >>> worker.prepare()
        >>> (report,) = worker.draw(task)
    """

    def prepare(self) -> None:
        """Load the networks; see `Worker.prepare`."""
        self._drawing = self._engine()
        self._check("clips", self._drawing.describe(), self._orders.options.identity)

    def draw(self, task: Task[ClipJob | PartJob]) -> list[Report | ToonifyError | None]:
        """Draw a task's clips or parts; those that fail give their error, parts else None."""
        results: list[Report | ToonifyError | None] = []
        for job in task.jobs:
            try:
                results.append(self._drawn(job, PATIENCE if task.losses else 0))
            except Exception as error:
                results.append(failure_of(error))
        return results

    def _drawn(self, job: ClipJob | PartJob, patience: float) -> Report | None:
        options = self._orders.options
        if isinstance(job, ClipJob):
            return convert(job.source, job.target, self._drawing, options, patience=patience)
        options = replace(options, parts=PART)
        draw_part(job.source, job.target, self._drawing, options, job.part)
        return None


def draw_clips(
    pool: Pool, pairs: Iterable[tuple[Path, Path]], engine: Engine, options: Options
) -> Iterator[Report | ToonifyError]:
    """What became of each clip, in their order.

    Args:
        pool: workers that draw by the same options.
        pairs: clips and the files that they become.
        engine: as the workers have it.

    Raises:
        ToonifyError: workers can't be had, or can't draw at all.
    """
    clips = list(pairs)
    with ExitStack() as stack:
        held: list[tuple[PartedClip, ExitStack] | None] = []
        jobs: list[list[ClipJob | PartJob]] = []
        for source, target in clips:
            shared = _shared(source, target, engine, options) if len(clips) < pool.workers else None
            if shared is None:
                held.append(None)
                jobs.append([ClipJob(source, target)])
                continue
            work = stack.enter_context(ExitStack())
            work.enter_context(shared)
            held.append((shared, work))
            jobs.append([PartJob(source, target, part) for part in shared.missing])
        results = draw_on(pool, chain.from_iterable(jobs), chunk=CHUNK, given_up=given_up)
        for parts, hold in zip(jobs, held, strict=True):
            found = list(islice(results, len(parts)))
            error = next((one for one in found if isinstance(one, ToonifyError)), None)
            if error is not None:
                yield error
            elif hold is None:
                (report,) = found
                assert isinstance(report, Report)
                yield report
            else:
                clip, work = hold
                work.close()
                try:
                    yield clip.finish()
                except ToonifyError as failure:
                    yield failure


def _shared(source: Path, target: Path, engine: Engine, options: Options) -> PartedClip | None:
    """A clip in parts; None where one worker draws it, or says what is wrong with it."""
    try:
        return parted(source, target, engine, options)
    except ToonifyError:
        return None


def given_up(job: ClipJob | PartJob, reason: str) -> ToonifyError:
    """The result of a clip that no worker survives."""
    return ToonifyError(f"{job.source}: {reason}")
