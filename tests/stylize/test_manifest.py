import json

import pytest

from toonify.errors import UsageError
from toonify.stylize.manifest import Manifest


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def record(source, **more):
    return {"source": source, "status": "ok", "seconds": 1.5, **more}


def test_runs_append_what_is_new(tmp_path):
    path = tmp_path / "deep" / "m.jsonl"
    with Manifest(path) as manifest:
        manifest.add(record("a"))
        manifest.add(record("b", faces=1))
    with Manifest(path) as manifest:
        manifest.add(record("a", seconds=None))
        manifest.add(record("b", faces=2))
        manifest.add(record("c"))
    assert [line["source"] for line in lines(path)] == ["a", "b", "b", "c"]


def test_a_line_that_a_kill_cut_off_is_written_again(tmp_path):
    path = tmp_path / "m.jsonl"
    with Manifest(path) as manifest:
        manifest.add(record("a"))
        manifest.add(record("b"))
    path.write_bytes(path.read_bytes()[:-20])
    with Manifest(path) as manifest:
        manifest.add(record("a"))
        manifest.add(record("b"))
    assert [line["source"] for line in lines(path)] == ["a", "b"]


@pytest.mark.parametrize("text", ["my notes\n", "[1]\n", '{"a": 1}\n', "\x89PNG"])
def test_other_files_stay(tmp_path, text):
    path = tmp_path / "m.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match="no manifest"):
        Manifest(path)
    assert path.read_text() == text


def test_names_that_are_no_text_come_back(tmp_path):
    path = tmp_path / "m.jsonl"
    for _ in range(2):
        with Manifest(path) as manifest:
            manifest.add(record("caf\udce9"))
    assert [line["source"] for line in lines(path)] == ["caf\udce9"]
