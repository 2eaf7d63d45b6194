import io
import os
from pathlib import Path

import pytest
from PIL import Image

from tests.fake_engine import photo
from toonify.errors import InputError, UsageError
from toonify.stylize.jobs import numbered, plan, read_list


def test_one_photo_into_a_file_or_a_folder(tmp_path):
    source = str(photo(tmp_path / "me.jpg"))
    (job,) = plan([source], str(tmp_path / "toon.webp"))
    assert job.target == tmp_path / "toon.webp" and job.explicit
    (job,) = plan([source], str(tmp_path / "toons"))
    assert job.target == tmp_path / "toons/me.png" and not job.explicit
    (job,) = plan([source], None)
    assert job.target is None


def test_a_folder_is_mirrored(tmp_path):
    for name in ("a.jpg", "deep/b.png", "deep/er/c.webp", "notes.txt"):
        photo(tmp_path / "in" / name) if "txt" not in name else (tmp_path / "in" / name).touch()
    out = tmp_path / "out"
    flat = plan([str(tmp_path / "in")], str(out))
    assert [job.target for job in flat] == [out / "a.png"]
    deep = plan([str(tmp_path / "in")], str(out), recursive=True)
    assert [job.target for job in deep] == [
        out / "a.png",
        out / "deep/b.png",
        out / "deep/er/c.png",
    ]


def test_same_stem_keeps_both_apart(tmp_path):
    for name in ("a.jpg", "a.png", "b.jpg"):
        photo(tmp_path / name)
    targets = [job.target.name for job in plan([str(tmp_path)], str(tmp_path / "out"))]
    assert targets == ["a.jpg.png", "a.png.png", "b.png"]


def test_same_name_from_two_folders_is_refused(tmp_path):
    inputs = [str(photo(tmp_path / folder / "a.jpg")) for folder in ("x", "y")]
    with pytest.raises(UsageError, match="both become"):
        plan(inputs, str(tmp_path / "out"))


def test_streams(tmp_path):
    (job,) = plan(["-"], None)
    assert job.source is None and job.to_stdout
    (job,) = plan(["-"], str(tmp_path / "x.png"))
    assert job.target == tmp_path / "x.png" and not job.to_stdout
    (job,) = plan([str(photo(tmp_path / "me.jpg"))], "-")
    assert job.to_stdout
    with pytest.raises(UsageError, match="goes alone"):
        plan(["-", "me.jpg"], None)


@pytest.mark.parametrize("output", ["all.png", "-"])
def test_several_photos_need_a_folder(tmp_path, output):
    inputs = [str(photo(tmp_path / name)) for name in ("a.jpg", "b.jpg")]
    with pytest.raises(UsageError, match="folder"):
        plan(inputs, output)


def test_unknown_suffix_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"\.xyz"):
        plan([str(photo(tmp_path / "me.jpg"))], "toon.xyz")


def test_nothing_to_read(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        plan([str(tmp_path / "me.jpg")], "toon.png")
    with pytest.raises(InputError, match="`recursive`"):
        plan([str(tmp_path)], str(tmp_path / "out"))


def test_numbered():
    assert numbered(Path("a/x.png"), face=2, character="mina") == Path("a/x-face2-mina.png")
    assert numbered(Path("a/x.y.png"), character="mina") == Path("a/x.y-mina.png")
    assert numbered(Path("x.png")) == Path("x.png")


def test_names_that_would_meet_stay_apart(tmp_path):
    for name in ("a.jpg", "a.png", "a.jpg.png", "a.jpg.png.webp", "b.jpg"):
        photo(tmp_path / name)
    jobs = plan([str(tmp_path)], str(tmp_path / "out"))
    targets = {job.source.name: job.target.name for job in jobs}
    assert len(set(targets.values())) == 5 and targets["b.jpg"] == "b.png"
    assert all(target.startswith(source[:-4]) for source, target in targets.items())


def test_what_lies_in_the_output_folder_is_no_photograph(tmp_path):
    photo(tmp_path / "in/a.png")
    photo(tmp_path / "in/toons/a.png")
    reported = []
    (job,) = plan(
        [str(tmp_path / "in")], str(tmp_path / "in/toons"), recursive=True, note=reported.append
    )
    assert job.source == tmp_path / "in/a.png" and "toonify's own" in reported[0]
    (job,) = plan([str(tmp_path / "in/toons/a.png")], str(tmp_path / "in/toons2"))
    assert job.source == tmp_path / "in/toons/a.png"


def test_patterns_are_filled_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.jpg", "in/deep/b.jpg", "in/deep/c.png", "other/d.jpg", "in/[x].jpg"):
        photo(Path(name))
    (tmp_path / "in/note.txt").touch()
    jobs = plan(["in/**/*.jpg"], "out")
    targets = {str(job.source): str(job.target) for job in jobs}
    assert targets == {
        "in/[x].jpg": "out/[x].png",
        "in/a.jpg": "out/a.png",
        "in/deep/b.jpg": "out/deep/b.png",
    }
    (job,) = plan(["in/[x].jpg"], "x.png")
    assert job.source == Path("in/[x].jpg"), "a file of this very name"
    with pytest.raises(InputError, match="no picture matches"):
        plan(["in/*.bmp"], "out")


def test_listed_photos_keep_their_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["in/a.jpg", "./in/deep/b.jpg", "../far.jpg", str(tmp_path / "x/c.jpg"), "folder"]
    for name in [*names[:4], "folder/d.jpg"]:
        photo(Path(name))
    jobs = plan([], "out", listed=names)
    assert [str(job.target) for job in jobs] == [
        "out/in/a.png",
        "out/in/deep/b.png",
        "out/far.png",
        "out/c.png",
        "out/folder/d.png",
    ]
    twice = [str(tmp_path / "x/c.jpg"), str(tmp_path / "y/c.jpg")]
    targets = [job.target for job in plan([], "out", listed=twice)]
    assert len(set(targets)) == 2 and all(str(t).startswith("out/") for t in targets)


def test_lists_of_files():
    lines = io.BytesIO(b"a b.jpg\r\n\ncaf\xe9.jpg\n")
    assert read_list(lines, "list") == ["a b.jpg", os.fsdecode(b"caf\xe9.jpg")]
    assert read_list(io.BytesIO(b"a\nb.jpg\0c.jpg\0"), "list", null=True) == ["a\nb.jpg", "c.jpg"]
    for data in (b"", b"\n\n", b"a.jpg\0b.jpg\0"):
        with pytest.raises(InputError):
            read_list(io.BytesIO(data), "list")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("a.JPG", "a.jpg"),
        ("a.jfif", "a.jpg"),
        ("a.heic", "a.jpg"),
        ("a.webp", "a.webp"),
        ("a.png", "a.png"),
        ("a.tif", "a.png"),
        ("a", "a.png"),
    ],
)
def test_whole_photos_stay_of_their_kind(tmp_path, source, target):
    (tmp_path / source).touch()
    (job,) = plan([str(tmp_path / source)], f"{tmp_path}/out/", suffix="")
    assert job.target == tmp_path / "out" / target


def test_kinds_of_one_name_keep_their_own_and_never_meet(tmp_path):
    for name in ("a.jpg", "a.png", "a.jpeg", "a.png.png", "b.jpg"):
        photo(tmp_path / f"in/{name}")
    jobs = plan([str(tmp_path / "in")], str(tmp_path / "out"), suffix="")
    targets = {job.source.name: job.target.name for job in jobs}
    assert len(set(targets.values())) == 5 and targets["b.jpg"] == "b.jpg"
    assert targets["a.jpg"] == "a.jpg.jpg" and targets["a.png"].endswith(".png")


def test_other_files_are_counted_and_named_once(tmp_path):
    photo(tmp_path / "in/a.jpg")
    for name in ("notes.txt", "b.txt", "c.docx", "Thumbs.db", ".hidden"):
        (tmp_path / f"in/{name}").touch()
    reported = []
    jobs = plan([str(tmp_path / "in")], str(tmp_path / "out"), note=reported.append)
    assert [job.source.name for job in jobs] == ["a.jpg"]
    assert (
        len(reported) == 1
        and reported[0].startswith("3 files are no pictures")
        and ".txt" in reported[0]
    )


def test_pictures_without_a_suffix_are_known_by_content(tmp_path):
    photo(tmp_path / "in/a.jpg")
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    (tmp_path / "in/IMG_0001").write_bytes(data.getvalue())
    (tmp_path / "in/Makefile").write_text("all:")
    reported = []
    jobs = plan([str(tmp_path / "in")], str(tmp_path / "out"), note=reported.append)
    assert {job.source.name for job in jobs} == {"a.jpg", "IMG_0001"}
    assert reported == [f"1 file is no picture in {tmp_path / 'in'} (no suffix): left out"]
