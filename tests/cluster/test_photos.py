"""A worker draws photographs as one machine does, and leaves nothing twice."""

import os
from dataclasses import replace

import pytest

from tests.fake_engine import FakeEngine, photo
from toonify.cluster.photos import PhotoOrders, PhotoWorker
from toonify.cluster.schedule import Task
from toonify.cluster.worker import variables
from toonify.errors import InputError, ModelError, UsageError
from toonify.stylize.batch import Batch
from toonify.stylize.jobs import plan
from toonify.stylize.options import Options


@pytest.fixture
def orders(tmp_path):
    options = Options(characters=("mina",), identity={"mina": {"engine": "fake"}}, batch_size=1)
    return PhotoOrders(make=FakeEngine, options=options, reads=(), folder=str(tmp_path))


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        photo(tmp_path / f"in/{number}.png", faces=number % 3)  # the first has no face
    return plan(["in"], "out")


def task(jobs, **options):
    return Task(tuple(range(len(jobs))), tuple(jobs), (True,) * len(jobs), **options)


def reported(results):
    return [{**result.entry(), "seconds": None} for result in results]


def test_the_same_as_one_machine(orders, jobs, tmp_path, monkeypatch):
    alone = reported(Batch(FakeEngine(), orders.options).run(jobs))
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    monkeypatch.chdir("/")
    worker = PhotoWorker(orders)
    worker.prepare()
    assert reported(worker.draw(task(jobs))) == alone
    assert [record["status"] for record in alone] == ["failed", "ok", "ok"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == pictures


def test_what_a_lost_worker_left_is_drawn_anew_and_told_as_drawn(orders, jobs):
    worker = PhotoWorker(orders)
    worker.prepare()
    first = reported(worker.draw(task(jobs)))
    again = worker.draw(task(jobs, losses=1))
    assert [result.status for result in again] == ["failed", "ok", "ok"]
    assert reported(again) == first
    earlier = replace(task(jobs, losses=1), fresh=(False,) * 3)
    assert [result.status for result in worker.draw(earlier)] == ["failed", "skipped", "skipped"]


def test_other_networks_than_the_runs_are_refused(orders):
    other = replace(orders.options, identity={"mina": {"engine": "another"}})
    with pytest.raises(ModelError, match="other networks"):
        PhotoWorker(replace(orders, options=other)).prepare()


def test_a_machine_without_the_runs_folder_is_refused(orders, tmp_path):
    with pytest.raises(InputError, match="can't enter"):
        PhotoWorker(replace(orders, folder=str(tmp_path / "nowhere"))).prepare()


@pytest.mark.parametrize("address", ["", "head", "head:", ":6379", "head:0", "head:99999"])
def test_addresses(address):
    from toonify.cluster.ray_pool import check_address

    with pytest.raises(UsageError):
        check_address(address)
    assert check_address("local") == "local" and check_address("head:6379") == "head:6379"


def test_relative_paths_are_meant_from_the_callers_folder(orders, jobs, tmp_path):
    os.chdir("/")
    worker = PhotoWorker(orders)
    worker.prepare()
    worker.draw(task(jobs))
    assert (tmp_path / "out/1.png").is_file()


def test_limits_that_global_options_set_hold_for_workers_too(orders, monkeypatch):
    monkeypatch.setenv("TOONIFY_MAX_PIXELS", "1000000")
    reported = replace(orders, environment=variables())
    monkeypatch.delenv("TOONIFY_MAX_PIXELS")
    PhotoWorker(reported).prepare()
    assert os.environ["TOONIFY_MAX_PIXELS"] == "1000000"
