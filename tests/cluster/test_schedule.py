"""What is drawn by whom, with workers that are lost on the way."""

from pathlib import Path

import pytest

from toonify.cluster.photos import given_up
from toonify.cluster.schedule import AHEAD, MOST_LOSSES, WorkerLost, draw_on
from toonify.stylize.jobs import Job
from toonify.stylize.options import Result


class FakePool:
    """Workers that draw in the reverse of the order that they were asked in, and some that die.

    `deadly`: name of a photograph → how many workers it costs.
    """

    def __init__(self, workers=2, deadly=None):
        self.workers, self.deadly = workers, dict(deadly or {})
        self.under_way, self.submitted, self.drawn = [], [], []

    @property
    def idle(self):
        return self.workers - len(self.under_way)

    def submit(self, task):
        assert self.idle > 0
        self.under_way.append(task)
        self.submitted.append(task)

    def next(self):
        task = self.under_way.pop()
        for job in task.jobs:
            if self.deadly.get(job.name, 0) > 0:
                self.deadly[job.name] -= 1
                return task, WorkerLost("it was killed")
        self.drawn += [job.name for job in task.jobs]
        return task, [Result(job.label, "ok") for job in task.jobs]


def jobs(count):
    return [Job(Path(f"{number:03}.jpg"), Path(f"out/{number:03}.png")) for number in range(count)]


def draw(pool, count, chunk=4, fresh=lambda job: True):
    return list(draw_on(pool, jobs(count), chunk=chunk, given_up=given_up, fresh=fresh))


@pytest.mark.parametrize("count", [0, 1, 4, 30])
def test_results_come_in_order_each_once(count):
    pool = FakePool()
    results = draw(pool, count)
    assert [result.source for result in results] == [job.label for job in jobs(count)]
    assert sorted(pool.drawn) == [job.name for job in jobs(count)]


def test_a_lost_worker_costs_its_chunk_only():
    pool = FakePool(deadly={"005.jpg": 1})
    results = draw(pool, 12)
    assert [result.status for result in results] == ["ok"] * 12
    (again,) = [task for task in pool.submitted if task.losses]
    assert [job.name for job in again.jobs] == ["004.jpg", "005.jpg", "006.jpg", "007.jpg"]
    assert len(pool.submitted) == 4 and len(pool.drawn) == 12


def test_a_photo_that_no_worker_survives_fails_alone():
    pool = FakePool(deadly={"005.jpg": 99})
    results = draw(pool, 12)
    (failed,) = [result for result in results if result.status == "failed"]
    assert failed.source == "005.jpg" and "it was killed" in failed.error
    assert 99 - pool.deadly["005.jpg"] == MOST_LOSSES
    assert [result.source for result in results] == [job.label for job in jobs(12)]


def test_what_was_there_before_the_run_is_told_from_what_a_lost_worker_left():
    pool = FakePool(deadly={"001.jpg": 1})
    requested = []

    def fresh(job):
        requested.append(job.name)
        return job.name != "002.jpg"

    draw(pool, 4, fresh=fresh)
    assert [task.fresh for task in pool.submitted] == [(True, True, False, True)] * 2
    assert len(requested) == 4  # not again after the loss: its own drawings may be there then


def test_no_more_is_begun_than_a_few_chunks_a_worker():
    begun = []

    def endless():
        for job in jobs(1000):
            begun.append(job)
            yield job

    class Slow(FakePool):
        def next(self):  # the first chunk comes last
            self.under_way.sort(key=lambda task: -task.numbers[0])
            if len(self.under_way) > 1:
                return super_next(self, 0)
            return super().next()

    def super_next(pool, at):
        task = pool.under_way.pop(at)
        return task, [Result(job.label, "ok") for job in task.jobs]

    pool = Slow()
    next(draw_on(pool, endless(), chunk=4, given_up=given_up))
    assert len(begun) <= AHEAD * pool.workers * 4
