"""`toonify benchmark` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FACE = Path(__file__).parents[2] / "examples" / "faces" / "01.jpg"


def test_table_and_report(run, bundle, tmp_path):
    report = tmp_path / "out" / "speed.json"
    done = run("benchmark", "--bundle", bundle, "--batch-sizes", "1,2", "--runs", "1", "-o", report)
    assert done.status == 0, done.err
    assert "encode" in done.out and "draw" in done.out and "detect" not in done.out
    written = json.loads(report.read_text())
    assert {row["batch"] for row in written["timings"]} == {1, 2}
    assert written["device"] == "cpu" and "cores" in written["machine"]


def test_photo_adds_the_other_steps(run, bundle):
    done = run("benchmark", FACE, "--bundle", bundle, "--batch-sizes", "1", "--runs", "1", "--json")
    assert done.status == 0, done.err
    stages = [row["stage"] for row in done.records]
    assert stages == ["start", "read", "detect", "align", "paste", "write", "encode", "mix", "draw"]
    assert all(row["per_picture"] > 0 for row in done.records)


def test_tune_is_kept(run, bundle, home):
    done = run("benchmark", "--bundle", bundle, "--batch-sizes", "1", "--runs", "1", "--tune")
    assert done.status == 0 and "kept for auto" in done.out
    assert "batch_size" in (home / "tuning.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch-sizes", "1,x"), "no numbers"),
        (("--dtypes", "float64"), "unknown dtype"),
        (("nowhere.jpg",), "does not exist"),
        ((str(FACE.parent),), "is a folder"),
        (("--compare", "nothing:here"), "can't be imported"),
        (("--character", "nobody"), "nobody"),
    ],
)
def test_wrong_usage(run, bundle, arguments, message):
    done = run("benchmark", *arguments, "--bundle", bundle)
    assert done.status == 2 and message in done.err and done.err.count("\n") == 1
