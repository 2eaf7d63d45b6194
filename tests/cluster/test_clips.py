"""A worker draws clips as one machine does, and goes on where a lost one was."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.video.people import SquaresEngine, folder_of, frame
from toonify.cluster.clips import ClipJob, ClipOrders, ClipWorker, draw_clips, given_up
from toonify.cluster.schedule import Task, WorkerLost
from toonify.errors import InputError, ModelError
from toonify.video import Options, convert


class Killed(BaseException):
    pass


@pytest.fixture
def orders(tmp_path):
    options = Options(characters=("jun",), identity=SquaresEngine().describe())
    return ClipOrders(make=SquaresEngine, options=options, folder=str(tmp_path))


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return folder_of(tmp_path / "in", [frame({0: (n % 70, 20)}) for n in range(60)])


def drawn(orders, *jobs, losses=0):
    worker = ClipWorker(orders)
    worker.prepare()
    return worker.draw(Task(tuple(range(len(jobs))), jobs, (True,) * len(jobs), losses))


def test_the_same_as_one_machine(orders, source, tmp_path, monkeypatch):
    alone = convert(source, tmp_path / "a.mp4", SquaresEngine(), orders.options)
    monkeypatch.chdir("/")
    (report,) = drawn(orders, ClipJob(Path("in"), Path("b.mp4")))
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()
    assert report.people == alone.people and report.frames == 60


def test_a_lost_workers_clip_is_gone_on_with(orders, source, tmp_path):
    def kill(done, total):
        if done == 55:
            raise Killed

    convert(source, tmp_path / "a.mp4", SquaresEngine(), orders.options)
    with pytest.raises(Killed):
        convert(source, tmp_path / "b.mp4", SquaresEngine(), orders.options, progress=kill)
    (report,) = drawn(orders, ClipJob(source, tmp_path / "b.mp4"), losses=1)
    assert report.resumed == 48 and report.frames == 60
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()


def test_a_clip_that_fails_never_stops_the_next(orders, source, tmp_path):
    (tmp_path / "bad.mp4").write_text("no clip\n" * 50)
    jobs = (ClipJob(Path("bad.mp4"), Path("c.mp4")), ClipJob(source, Path("d.mp4")))
    error, report = drawn(orders, *jobs)
    assert isinstance(error, InputError) and "not a video" in str(error)
    assert report.frames == 60 and (tmp_path / "d.mp4").is_file()


def test_a_clip_too_large_for_a_workers_memory_never_stops_the_next(
    orders, source, tmp_path, monkeypatch
):
    def draw(clip, *rest, **options):
        if clip.name == "large.mp4":
            raise MemoryError
        return convert(clip, *rest, **options)

    monkeypatch.setattr("toonify.cluster.clips.convert", draw)
    jobs = (ClipJob(Path("large.mp4"), Path("c.mp4")), ClipJob(source, Path("d.mp4")))
    error, report = drawn(orders, *jobs)
    assert isinstance(error, InputError) and "out of memory" in str(error)
    assert report.frames == 60


def test_other_networks_than_the_runs_are_refused(orders):
    other = replace(orders, options=replace(orders.options, identity={"engine": "another"}))
    with pytest.raises(ModelError, match="other networks"):
        drawn(other)


def test_a_clip_that_no_worker_survives_is_named():
    error = given_up(ClipJob(Path("in.mp4"), Path("out.mp4")), "3 workers were lost over it")
    assert str(error).startswith("in.mp4: 3 workers")


class Machines:
    """A pool of workers in this process; the third task costs the worker that it is given to."""

    def __init__(self, orders, workers, *, loses=False):
        self.workers, self._loses = workers, loses
        self._worker = ClipWorker(orders)
        self._worker.prepare()
        self.tasks = []

    @property
    def idle(self):
        return 0 if self.tasks and self.tasks[-1][1] else 1

    def submit(self, task):
        self.tasks.append((task, True))

    def next(self):
        task, _ = self.tasks[-1]
        self.tasks[-1] = (task, False)
        if self._loses and len(self.tasks) == 3:
            return task, WorkerLost("killed")
        return task, self._worker.draw(task)


@pytest.mark.parametrize("loses", [False, True])
def test_a_long_clip_is_drawn_by_several(orders, tmp_path, monkeypatch, loses):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("toonify.video.parts.PART", 1)
    monkeypatch.setattr("toonify.cluster.clips.PART", 1)
    source = folder_of(tmp_path / "long", [frame({0: (n % 70, 20)}) for n in range(150)])
    alone = convert(source, tmp_path / "a.mp4", SquaresEngine(), orders.options)
    pool = Machines(orders, 2, loses=loses)
    (report,) = draw_clips(pool, [(source, tmp_path / "b.mp4")], SquaresEngine(), orders.options)
    assert len(pool.tasks) == 3 + loses
    assert report.frames == alone.frames == 150 and report.people[0]["character"] == "jun"
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()
    assert not list(tmp_path.glob("*.parts*"))


def test_as_many_clips_as_workers_stay_whole(orders, source, tmp_path):
    (tmp_path / "bad.mp4").write_text("no clip\n" * 50)
    pool = Machines(orders, 2)
    pairs = [(source, tmp_path / "b.mp4"), (tmp_path / "bad.mp4", tmp_path / "c.mp4")]
    report, error = draw_clips(pool, pairs, SquaresEngine(), orders.options)
    assert report.frames == 60 and isinstance(error, InputError) and len(pool.tasks) == 2
    (error,) = draw_clips(Machines(orders, 4), pairs[1:], SquaresEngine(), orders.options)
    assert isinstance(error, InputError), "a worker says what is wrong"
