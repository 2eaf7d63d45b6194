"""A worker draws clips as one machine does, and goes on where a lost one was."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.video.people import Artist, folder_of, frame
from toonify.cluster.clips import ClipJob, ClipOrders, ClipWorker, given_up
from toonify.cluster.schedule import Task
from toonify.errors import InputError, ModelError
from toonify.video import Options, convert


class Killed(BaseException):
    pass


@pytest.fixture
def orders(tmp_path):
    options = Options(characters=("jun",), identity=Artist().describe())
    return ClipOrders(make=Artist, options=options, folder=str(tmp_path))


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return folder_of(tmp_path / "in", [frame({0: (n % 70, 20)}) for n in range(60)])


def drawn(orders, *jobs, losses=0):
    worker = ClipWorker(orders)
    worker.prepare()
    return worker.draw(Task(tuple(range(len(jobs))), jobs, (True,) * len(jobs), losses))


def test_the_same_as_one_machine(orders, source, tmp_path, monkeypatch):
    alone = convert(source, tmp_path / "a.mp4", Artist(), orders.options)
    monkeypatch.chdir("/")
    (report,) = drawn(orders, ClipJob(Path("in"), Path("b.mp4")))
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()
    assert report.people == alone.people and report.frames == 60


def test_a_lost_workers_clip_is_gone_on_with(orders, source, tmp_path):
    def kill(done, total):
        if done == 55:
            raise Killed

    convert(source, tmp_path / "a.mp4", Artist(), orders.options)
    with pytest.raises(Killed):
        convert(source, tmp_path / "b.mp4", Artist(), orders.options, progress=kill)
    (report,) = drawn(orders, ClipJob(source, tmp_path / "b.mp4"), losses=1)
    assert report.resumed == 48 and report.frames == 60
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()


def test_a_clip_that_fails_never_stops_the_next(orders, source, tmp_path):
    (tmp_path / "bad.mp4").write_text("no clip\n" * 50)
    jobs = (ClipJob(Path("bad.mp4"), Path("c.mp4")), ClipJob(source, Path("d.mp4")))
    error, report = drawn(orders, *jobs)
    assert isinstance(error, InputError) and "not a video" in str(error)
    assert report.frames == 60 and (tmp_path / "d.mp4").is_file()


def test_other_networks_than_the_runs_are_refused(orders):
    other = replace(orders, options=replace(orders.options, identity={"engine": "another"}))
    with pytest.raises(ModelError, match="other networks"):
        drawn(other)


def test_a_clip_that_no_worker_survives_is_named():
    error = given_up(ClipJob(Path("in.mp4"), Path("out.mp4")), "3 workers were lost over it")
    assert str(error).startswith("in.mp4: 3 workers")
