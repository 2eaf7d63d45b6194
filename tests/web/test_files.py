"""The private folder of a server."""

import os
import subprocess
import sys

import pytest

from toonify.web.files import PREFIX, PrivateFolder
from toonify.web.limits import Limits

KILLED = """
import os, sys, tempfile
tempfile.tempdir = sys.argv[1]
from toonify.web.files import PrivateFolder
from toonify.web.limits import Limits
folder = PrivateFolder(Limits())
folder.new_file("me.jpg").write_bytes(b"a photo")
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there is no telling which ones are used")
def test_what_a_killed_server_left_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("toonify.utils.atomic._AGE", -1)
    running = PrivateFolder(Limits())
    (tmp_path / "toonify-other").mkdir()
    (tmp_path / f"{PREFIX}file").write_text("a file")
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = set(tmp_path.glob(f"{PREFIX}*")) - {running.path, tmp_path / f"{PREFIX}file"}
    assert any(left.iterdir())
    folder = PrivateFolder(Limits())
    assert not left.exists(), "what was kept in it is gone"
    assert running.path.is_dir() and folder.path.is_dir(), "one that runs keeps its own"
    assert (tmp_path / "toonify-other").is_dir() and (tmp_path / f"{PREFIX}file").is_file()
    running.close()
    folder.close()
    assert not running.path.exists()
