import os

import pytest
from PIL import Image

from toonify.errors import InputError
from toonify.media.scan import scan_images
from toonify.utils.links import FOLLOW_LINKS

SUFFIXES = (".png", ".jpg")


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)
    return path


def names(paths, root):
    return [path.relative_to(root).as_posix() for path in paths]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "in"
    for name in ("b.png", "a.JPG", "deep/c.png", ".hidden/d.png", ".e.png", "note.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(path) if path.suffix != ".txt" else path.touch()
    return root


def test_pictures_by_suffix_in_order(folder):
    assert names(scan_images(folder, suffixes=SUFFIXES).images, folder) == ["a.JPG", "b.png"]
    deep = scan_images(folder, recursive=True, suffixes=SUFFIXES)
    assert names(deep.images, folder) == ["a.JPG", "b.png", "deep/c.png"]


def test_links_are_followed_within_the_folder_only(folder, tmp_path, monkeypatch):
    picture(tmp_path / "other/private.png")
    (folder / "out.png").symlink_to("../other/private.png")
    (folder / "in.png").symlink_to("deep/c.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "round.png").symlink_to("round.png")
    (folder / "other").symlink_to(tmp_path / "other")
    scan = scan_images(folder, recursive=True, suffixes=SUFFIXES)
    assert names(scan.images, folder) == ["a.JPG", "b.png", "deep/c.png", "in.png"]
    assert names(scan.linked, folder) == ["gone.png", "out.png", "round.png"]
    monkeypatch.setenv(FOLLOW_LINKS, "1")
    scan = scan_images(folder, suffixes=SUFFIXES)
    assert "out.png" in names(scan.images, folder)
    assert names(scan.linked, folder) == ["gone.png", "round.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_pipes_are_told_of(folder):
    os.mkfifo(folder / "pipe.png")
    (reported,) = scan_images(folder, suffixes=SUFFIXES).unreadable
    assert reported == (folder / "pipe.png", "it is a pipe, not a file")


def test_a_sub_folder_that_can_not_be_read_stops_nothing(folder, monkeypatch):
    real = os.scandir

    def refuse(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    scan = scan_images(folder, recursive=True, suffixes=SUFFIXES)
    assert len(scan.images) == 2 and scan.unreadable == [(folder / "deep", "Permission denied")]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="can't read the folder"):
        scan_images(tmp_path / "gone", suffixes=SUFFIXES)
