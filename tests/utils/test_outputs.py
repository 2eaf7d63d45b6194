import os

import pytest

from toonify.errors import ToonifyError, UsageError
from toonify.utils.links import real_path
from toonify.utils.outputs import InputFiles, check_output


@pytest.fixture
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "path",
    ["a\0b.png", "x" * 300 + ".png", "file/below.png", "loop.png"],
    ids=["nul", "long", "below a file", "loop"],
)
def test_what_can_be_no_file_is_refused_before_anything_is_drawn(there, path):
    (there / "file").write_text("mine")
    (there / "loop.png").symlink_to("loop.png")
    with pytest.raises(ToonifyError) as refused:
        check_output(path, InputFiles(), named=True)
    assert len(str(refused.value)) < 400


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_are_for_lines_alone(there):
    os.mkfifo("pipe.png")
    with pytest.raises(UsageError, match="pipe"):
        check_output("pipe.png", InputFiles(), named=True)
    check_output("pipe.png", InputFiles(), named=True, streams=True)


def test_two_options_never_name_one_file(there):
    (there / "real").mkdir()
    (there / "link").symlink_to("real")
    reads = InputFiles()
    check_output("real/a.png", reads, option="-o", named=True)
    check_output("real/../real/a.png", reads, option="-o", named=True)
    with pytest.raises(UsageError, match="--sheet and -o are one file"):
        check_output("link/a.png", reads, option="--sheet", named=True)
    assert reads.is_taken("link/a.png") and not reads.is_taken("link/b.png")


def test_hard_links_are_one_file(there):
    (there / "a.png").write_bytes(b"a")
    os.link("a.png", "b.png")
    reads = InputFiles()
    check_output("a.png", reads, option="-o", named=True)
    with pytest.raises(UsageError, match="one file"):
        check_output("b.png", reads, option="--manifest", named=True)


def test_a_link_in_a_circle_leads_nowhere_and_raises_nothing(there):
    (there / "loop").symlink_to("loop")
    assert real_path("loop").name == "loop" and real_path(there / "x" / ".." / "y").name == "y"
