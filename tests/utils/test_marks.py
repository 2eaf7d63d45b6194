import io

import numpy as np
import pytest
from PIL import Image

from toonify.errors import UsageError
from toonify.utils import marks
from toonify.utils.outputs import InputFiles, check_output, is_ours, made_by_toonify

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 31, 3), np.uint8)
KINDS = {".png": {}, ".jpg": {"quality": 80}, ".webp": {"lossless": True}, ".gif": {}}


def encoded(suffix, **more):
    file = io.BytesIO()
    kind = {".jpg": "JPEG"}.get(suffix, suffix[1:].upper())
    Image.fromarray(PICTURE).save(file, kind, **KINDS[suffix], **more)
    return file.getvalue()


@pytest.mark.parametrize("suffix", KINDS)
def test_marks_do_not_touch_the_picture(tmp_path, suffix):
    plain, path = encoded(suffix), tmp_path / f"a{suffix}"
    path.write_bytes(marks.stamp(plain, path.name, {"kind": "drawing", "input": "f" * 64}))
    before = np.asarray(Image.open(io.BytesIO(plain)).convert("RGB"))
    assert (np.asarray(Image.open(path).convert("RGB")) == before).all()
    assert marks.read_mark(path)["input"] == "f" * 64
    assert marks.is_unchanged(path) and is_ours(path) and made_by_toonify(path)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_marks_go_with_other_metadata(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x010E] = "a description"
    plain, path = encoded(suffix, exif=exif), tmp_path / f"a{suffix}"
    path.write_bytes(marks.stamp(plain, path.name, {"kind": "drawing"}))
    assert Image.open(path).getexif()[0x010E] == "a description"
    assert marks.is_unchanged(path)


@pytest.mark.parametrize("suffix", KINDS)
def test_copies_under_other_names_and_edited_files_are_not_ours(tmp_path, suffix):
    data = marks.stamp(encoded(suffix), f"a{suffix}", {"kind": "drawing"})
    copy, edited = tmp_path / f"b{suffix}", tmp_path / f"a{suffix}"
    copy.write_bytes(data)
    assert marks.read_mark(copy) and not is_ours(copy) and not made_by_toonify(copy)
    middle = len(data) // 2
    edited.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    assert not is_ours(edited) and made_by_toonify(edited)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF8;", b"RIFF1234WEBP"]
)
def test_what_is_cut_off_or_something_else_has_no_mark(tmp_path, data):
    for tail in (b"", b"tEXttoonify\0", b"TOON", b"!\xfe\xff", b"\xff\xfe\0\x20toonify\0{"):
        (tmp_path / "a.png").write_bytes(data + tail)
        assert marks.read_mark(tmp_path / "a.png") is None
        assert not marks.is_unchanged(tmp_path / "a.png")


def test_names_are_compared_as_people_read_them(tmp_path):
    data = marks.stamp(encoded(".png"), "e\u0301.png", {"kind": "drawing"})
    (tmp_path / "\u00e9.png").write_bytes(data)
    assert is_ours(tmp_path / "\u00e9.png")


def test_crops_are_made_to_be_read(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(marks.stamp(encoded(".png"), path.name, {"kind": marks.CROP}))
    assert is_ours(path) and not made_by_toonify(path)


def test_digests_do_not_hang_on_the_order_of_keys():
    assert marks.digest({"a": 1, "b": [2]}) == marks.digest({"b": [2], "a": 1})
    assert marks.digest({"a": 1}) != marks.digest({"a": 1.5})


@pytest.mark.parametrize(
    ("name", "text", "ours"),
    [
        ("report.json", '{"toonify": "0.1", "rows": []}', True),
        ("report.json", '{"rows": []}', False),
        ("report.json", '"toonify"x', False),
        ("index.html", '<head><meta name="generator" content="toonify">', True),
        ("index.html", "<head>", False),
        ("a-loss.csv", "kind,step,loss\n", True),
        ("a-loss.csv", "date,sum\n", False),
        ("m.jsonl", '{"source": "a.png", "status": "ok"}\n', True),
        ("m.jsonl", '{"event": 1}\n', False),
        ("summary.txt", "toonify check: 3 drawings", True),
        ("summary.txt", "my summary", False),
        ("snapshot.pt", "", False),
    ],
)
def test_texts_are_known_by_what_they_say(tmp_path, name, text, ours):
    (tmp_path / name).write_text(text)
    assert is_ours(tmp_path / name) is ours
    if ours:
        check_output(tmp_path / name, InputFiles())
    else:
        with pytest.raises(UsageError, match="not toonify's"):
            check_output(tmp_path / name, InputFiles())
        check_output(tmp_path / name, InputFiles(), named=True)
