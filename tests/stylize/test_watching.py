import os
from itertools import chain

import pytest

from tests.fake_engine import FakeEngine, photo
from toonify.errors import InputError
from toonify.stylize.batch import Batch
from toonify.stylize.options import Options
from toonify.stylize.watching import watch


def looks(folder, output, events, **options):
    """Names of the jobs of each look; `events` happen between them."""
    steps = iter(events)

    def sleep(seconds):
        next(steps, lambda: (_ for _ in ()).throw(KeyboardInterrupt))()

    found, now = [], []
    try:
        for job in watch(folder, output, sleep=sleep, **options):
            if job is None:
                found.append(now)
                now = []
            else:
                now.append(job.source.name)
    except KeyboardInterrupt:
        return found
    raise AssertionError("it has an end")


def old(path):
    os.utime(path, (1, 1))
    return path


def test_photos_are_taken_once_they_have_settled(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    old(photo(folder / "a.png"))
    photo(folder / "b.png")
    found = looks(
        folder,
        out,
        [
            lambda: photo(folder / "c.png"),
            lambda: photo(folder / "c.png", shade=3, faces=2),
            lambda: None,
            lambda: photo(folder / "a.png", shade=7),
            lambda: None,
            lambda: None,
        ],
    )
    assert found[:2] == [["a.png"], ["b.png"]]
    assert [*chain(*found)].count("c.png") == 1 and "c.png" not in found[1] + found[0]
    assert [*chain(*found)].count("a.png") == 2, "again, since it has changed"
    assert found[-1] == []


def test_drawings_are_no_photos(tmp_path):
    folder = tmp_path / "in"
    old(photo(folder / "a.png"))
    out = folder / "toons"
    engine = FakeEngine()

    def stop(seconds):
        raise KeyboardInterrupt

    batch = Batch(engine, Options(characters=("mina",), existing="skip"))
    results = []
    with pytest.raises(KeyboardInterrupt):
        results += batch.run(watch(folder, out, recursive=True, sleep=stop))
    assert (out / "a.png").is_file(), "drawn before the next look"
    assert looks(folder, out, [lambda: None], recursive=True) == [["a.png"], []]


def test_a_folder_that_goes_away_is_told(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(InputError, match="gone"):
        list(watch(folder, tmp_path / "out", sleep=lambda seconds: folder.rmdir()))
