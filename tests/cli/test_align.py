"""`check` and `align` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FACES = Path(__file__).parents[2] / "examples" / "faces"


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    """Two faces that are found, one outline, and a file that is no image."""
    folder = tmp_path / "drawings"
    for name in ("mina/01", "mina/02"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.open(FACES / f"{name[-2:]}.jpg").resize((160, 160)).save(folder / f"{name}.png")
    outline = np.zeros((120, 90, 4), np.uint8)
    outline[30:90, 25:70] = (200, 150, 120, 255)
    (folder / "otto").mkdir()
    Image.fromarray(outline).save(folder / "otto" / "a.png")
    (folder / "otto" / "b.png").write_text("no image")
    return folder


def test_align_places_names_and_shows(run, drawings: Path, tmp_path: Path) -> None:
    out = tmp_path / "aligned"
    result = run("align", drawings, "-o", out, "--size", "64", "--background", "#0000ff")
    assert result.status == 1 and "otto/b.png is left out" in result.err
    assert "2 by face, 1 by silhouette" in result.out
    assert Image.open(out / "mina/01.png").size == (64, 64)
    assert Image.open(out / "otto/a.png").getpixel((1, 1)) == (0, 0, 255)
    records = [
        json.loads(line) for line in (tmp_path / "aligned-manifest.jsonl").read_text().splitlines()
    ]
    assert [(r["name"], r["method"]) for r in records] == [
        ("mina/01.png", "face"),
        ("mina/02.png", "face"),
        ("otto/a.png", "silhouette"),
        ("otto/b.png", "failed"),
    ]
    assert Image.open(tmp_path / "aligned-sheet.png").width > 500
    again = run("align", drawings, "-o", out, "--size", "64")
    assert again.status == 2 and "--overwrite" in again.err


def test_align_takes_points_and_speaks_json(run, drawings: Path, tmp_path: Path) -> None:
    (drawings / "otto" / "b.png").unlink()
    eyes = tmp_path / "eyes.json"
    entry = {"eyes": [[0.4, 0.4], [0.6, 0.4]], "mouth": [0.5, 0.6]}
    eyes.write_text(json.dumps({"*": entry, "none/*": entry}))
    result = run("--json", "align", drawings, "-o", tmp_path / "al", "--size", 64, "--anchor", eyes)
    assert result.status == 0
    assert {r["method"] for r in result.records} == {"anchor"} and len(result.records) == 3
    assert "'none/*'" in result.err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["drawings", "-o", "drawings/aligned"], 2, "lie in each other"),
        (["drawings", "-o", "out", "--background", "mauvish"], 2, "no color"),
        (["drawings", "-o", "out", "--sheet", "out/sheet.png"], 2, "among the drawings"),
        (["drawings", "-o", "out", "--anchor", "eyes.json"], 1, "can't read"),
        (["nothing", "-o", "out"], 1, "not a folder"),
        (["empty", "-o", "out"], 1, "no image in"),
    ],
)
def test_align_refuses(run, drawings, tmp_path, monkeypatch, arguments, status, message) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    result = run("align", *arguments)
    assert result.status == status and message in result.err
    assert not (tmp_path / "out").exists()


def test_align_of_nothing_usable(run, drawings: Path, tmp_path: Path) -> None:
    result = run("align", drawings / "otto", "-o", tmp_path / "al", "--size", 64)
    assert result.status == 1 and (tmp_path / "al" / "a.png").exists()
    (drawings / "otto" / "a.png").write_text("no image either")
    result = run("align", drawings / "otto", "-o", tmp_path / "none")
    assert result.status == 1 and "no usable drawing" in result.err
    assert result.err.count("left out") == 2 and not (tmp_path / "none").exists()


def test_check_writes_a_report(run, drawings: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    result = run("check", drawings, "-o", report, "--size", "128")
    assert result.status == 1 and "otto/b.png is left out" in result.err
    assert "3 drawings of 2 characters" in result.out and "a face found in 2 of 3" in result.out
    assert {p.name for p in report.iterdir()} == {
        "mean.png",
        "report.json",
        "sheet.png",
        "summary.txt",
    }
    assert json.loads((report / "report.json").read_text())["count"] == 3
    (drawings / "otto" / "b.png").unlink()
    result = run("--json", "check", drawings, "--size", "128", "--no-faces")
    assert result.status == 0 and result.records[0]["faces_sought"] == 0


def test_check_refuses(run, drawings: Path, tmp_path: Path) -> None:
    assert run("check", drawings, "-o", drawings / "report").status == 2
    assert run("check", tmp_path / "nothing").status == 1
    assert run("check", drawings, "--size", "4").status == 2
