import os
import subprocess
import sys
import time

import pytest

from toonify.utils import atomic


@pytest.fixture(autouse=True)
def nothing_swept(monkeypatch):
    monkeypatch.setattr(atomic, "_swept", set())


def test_whole_or_not_at_all(tmp_path):
    target = tmp_path / "new" / "a.txt"
    atomic.write_text(target, "first")
    with pytest.raises(RuntimeError), atomic.replacing(target) as path:
        path.write_text("half")
        raise RuntimeError
    assert target.read_text() == "first" and os.listdir(target.parent) == ["a.txt"]


def test_folders_too(tmp_path):
    target = tmp_path / "bundle"
    with pytest.raises(RuntimeError), atomic.TemporaryFolder(target) as folder:
        (folder.path / "a").touch()
        raise RuntimeError
    assert os.listdir(tmp_path) == []
    with atomic.TemporaryFolder(target) as folder:
        (folder.path / "a").touch()
        folder.commit()
    assert os.listdir(tmp_path) == ["bundle"] and os.listdir(target) == ["a"]
    left = tmp_path / ".bundle.0123456789ab.tmp"
    left.mkdir()
    (left / "a").touch()
    os.utime(left, (1, 1))
    atomic._swept.clear()
    atomic.write_text(tmp_path / "x", "")
    assert not left.exists()


def test_others_may_read_it_as_the_umask_says(tmp_path):
    atomic.write_bytes(tmp_path / "a", b"1")
    (tmp_path / "b").write_bytes(b"1")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_names_that_are_long_or_no_text(tmp_path):
    for name in ("x" * 250 + ".png", os.fsdecode(b"caf\xe9.png"), "\u0444" * 100):
        atomic.write_bytes(tmp_path / name, b"1")
    assert len(os.listdir(tmp_path)) == 3


def test_a_link_that_was_named_is_written_through(tmp_path):
    (tmp_path / "link").symlink_to("real")
    atomic.write_text(tmp_path / "link", "x")
    assert (tmp_path / "real").read_text() == "x" and (tmp_path / "link").is_symlink()


def test_what_a_killed_writer_left_is_taken_away_and_nothing_else(tmp_path):
    code = (
        "import os, sys, time; from toonify.utils.atomic import Temporary;"
        "t = Temporary(sys.argv[1]); print(t.path, flush=True); time.sleep(60)"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / name], stdout=subprocess.PIPE, text=True
        )
        for name in ("dead.png", "alive.png")
    ]
    try:
        dead, alive = (writer.stdout.readline().strip() for writer in writers)
        writers[0].kill()
        writers[0].wait()
        (tmp_path / ".mine.tmp").touch()
        (tmp_path / ".cache.0123.tmp").touch()
        past = time.time() - 60
        for path in tmp_path.iterdir():
            os.utime(path, (past, past))
        atomic.write_text(tmp_path / "next.txt", "x")
        assert not os.path.exists(dead) and os.path.exists(alive)
        assert {".mine.tmp", ".cache.0123.tmp", "next.txt"} < set(os.listdir(tmp_path))
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdout.close()
