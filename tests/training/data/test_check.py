"""The look before training: what is counted, what is named, and what is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from toonify.errors import InputError
from toonify.faces.templates import CropBox
from toonify.faces.types import Face
from toonify.training.data.check import DataReport, check_drawings
from toonify.training.data.sheets import MOST, Cell, contact_sheet, report_sheet

SKINS = {"mina": (250, 210, 190), "otto": (120, 80, 60)}
SKIES = {"mina": (200, 220, 255), "otto": (250, 230, 180)}


def head(character: str, number: int, side: int = 96) -> np.ndarray:
    """A head with hair whose features move a little with the number."""
    dx, dy = number % 4 * 4 - 6, number // 4 % 4 * 4 - 6
    k = side / 96
    image = np.full((side, side, 3), SKIES[character], np.uint8)

    def oval(x: float, y: float, a: float, b: float, color: tuple[int, ...]) -> None:
        center = (round(x * k), round(y * k))
        cv2.ellipse(image, center, (round(a * k), round(b * k)), 0, 0, 360, color, -1)

    oval(48, 40, 34, 36, (40, 30, 60) if character == "mina" else (200, 200, 205))
    oval(48 + dx / 2, 54, 26, 32, SKINS[character])
    for x in (38, 58):
        oval(x + dx, 48 + dy, 7, 4, (255, 255, 255))
        oval(x + dx, 48 + dy, 3, 4, (20, 20, 20))
    oval(48 + dx, 70 + dy / 2, 6 + number % 5, 2 + number % 4, (160, 40, 40))
    return image


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    folder = tmp_path / "drawings"
    for character in SKINS:
        (folder / character).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(head(character, number)).save(folder / character / f"{number:02}.png")
    return folder


def findings(report: DataReport) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in report.findings:
        found.setdefault(finding.kind, []).extend(finding.names)
    return found


def test_a_good_set_has_nothing_to_say(drawings: Path) -> None:
    report = check_drawings(drawings, 96)
    assert report.findings == []
    assert report.characters == {"mina": 12, "otto": 12}
    expected = "24 drawings of 2 characters, 96 px (24 RGB). Looks good."
    assert report.summary() == expected
    assert report.mean("mina").shape == (128, 128, 3)


def test_what_cannot_be_used_is_named(drawings: Path) -> None:
    (drawings / "mina" / "cut.png").write_bytes((drawings / "mina/00.png").read_bytes()[:200])
    (drawings / "otto" / "empty.jpg").touch()
    (drawings / "otto" / "source.psd").write_text("layers")
    (drawings / ".hidden.txt").write_text("not meant")
    Image.new("RGB", (4, 4)).save(drawings / "mina" / "dot.png")
    report = check_drawings(drawings, 96)
    found = findings(report)
    assert sorted(found["unreadable"]) == ["mina/cut.png", "otto/empty.jpg"]
    assert found["small"] == ["mina/dot.png"] and found["not-image"] == ["otto/source.psd"]
    assert [f.severity for f in report.findings] == ["error", "error", "error", "note"]
    assert len(report.drawings) == 24
    assert "mina/dot.png (4x4 px)" in report.summary() and "psd" not in report.summary()
    assert "psd" in report.text()


def test_copies_are_found_in_every_guise(drawings: Path) -> None:
    original = Image.open(drawings / "mina" / "03.png")
    original.save(drawings / "mina" / "same.bmp")
    smaller = original.resize((80, 80), Image.Resampling.LANCZOS)
    smaller.save(drawings / "mina" / "small.jpg", quality=90, subsampling=0)
    ImageOps.mirror(original).save(drawings / "mina" / "turned.png")
    report = check_drawings(drawings, 96)
    assert sorted(findings(report)["duplicate"]) == [
        "mina/same.bmp",
        "mina/small.jpg",
        "mina/turned.png",
    ]
    text = report.summary()
    assert "mina/03.png = mina/same.bmp" in text and "Mirrored copies: mina/03.png" in text


def test_a_landscape_and_a_misplaced_drawing_are_named(drawings: Path) -> None:
    land = np.zeros((96, 96, 3), np.uint8)
    land[:40], land[40:] = (90, 150, 240), (40, 110, 40)
    land[40:] = np.clip(
        land[40:] + np.random.default_rng(0).normal(0, 40, (56, 96, 1)), 0, 255
    ).astype(np.uint8)
    Image.fromarray(land).save(drawings / "otto" / "holiday.png")
    Image.fromarray(head("mina", 40)).save(drawings / "otto" / "wrong.png")
    report = check_drawings(drawings, 96)
    found = findings(report)
    assert found["outlier"] == ["otto/holiday.png"]
    assert found["misplaced"] == ["otto/wrong.png"]
    assert "otto/wrong.png (like mina's)" in report.summary()
    assert report.marks() == {"otto/holiday.png": "outlier", "otto/wrong.png": "misplaced"}


def test_folders_that_are_alike_are_not_told_apart(tmp_path: Path) -> None:
    for folder, offset in (("a", 0), ("b", 12)):
        (tmp_path / folder).mkdir()
        for number in range(12):
            Image.fromarray(head("mina", number + offset)).save(tmp_path / folder / f"{number}.png")
    assert "misplaced" not in findings(check_drawings(tmp_path, 96))


class Detector:
    """Finds one frame in every drawing; by its number in the file, or None."""

    name = "fake"

    def __init__(self, frames: list[CropBox | None]) -> None:
        self.frames = iter(frames)

    def detect(self, rgb: np.ndarray) -> list[Face]:
        frame = next(self.frames)
        return [frame.face()] if frame else []


def test_faces_out_of_place_ask_for_align(drawings: Path) -> None:
    right, high = CropBox(128, 128, 256), CropBox(128, 60, 130)
    report = check_drawings(drawings, 96, detector=Detector([high] * 8 + [None] + [right] * 15))
    assert report.faces_sought == 24
    assert "a face found in 23 of 24" in report.summary()
    assert "8 of 23 faces found are not where" in report.summary()
    assert "toonify align" in report.summary()
    assert findings(report)["no-face"] == ["mina/08.png"]
    few = check_drawings(drawings, 96, detector=Detector([high] + [right] * 5), most_faces=6)
    assert few.faces_sought == 6
    assert [f.kind for f in few.warnings] == []
    assert findings(few)["framing"] == ["mina/00.png"]


def test_loose_few_and_odd_shapes_are_said(drawings: Path) -> None:
    Image.fromarray(head("mina", 50)[:, :60]).save(drawings / "loose.png")
    report = check_drawings(drawings, 96)
    assert findings(report)["shape"] == ["loose.png"]
    assert "loose.png" in findings(report)["misplaced"]
    assert any("the top folder (1)" in f.text for f in report.findings)


def test_a_folder_that_cannot_name_a_character_is_said(tmp_path: Path) -> None:
    (tmp_path / "my cat").mkdir()
    Image.fromarray(head("mina", 0)).save(tmp_path / "my cat" / "a.png")
    assert "can't name a character" in check_drawings(tmp_path, 96).summary()


def test_nothing_usable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        check_drawings(tmp_path / "none", 96)
    with pytest.raises(InputError, match="no image in"):
        check_drawings(tmp_path, 96)
    (tmp_path / "a.png").write_text("no")
    with pytest.raises(InputError, match="none of the 1 images"):
        check_drawings(tmp_path, 96)


def test_one_drawing_is_few(tmp_path: Path) -> None:
    Image.fromarray(head("mina", 0)).convert("L").save(tmp_path / "a.png")
    report = check_drawings(tmp_path, 96)
    assert [(f.kind, f.severity) for f in report.findings] == [("few", "warning")]
    assert report.headline() == "1 drawing, 96 px (1 L)."


def test_report_goes_into_json_and_a_sheet(drawings: Path) -> None:
    report = check_drawings(drawings, 96)
    content = json.loads(json.dumps(report.as_json()))
    assert content["count"] == 24 and content["drawings"][0]["name"] == "mina/00.png"
    sheet = report_sheet(report)
    assert sheet.ndim == 3 and sheet.dtype == np.uint8


def test_a_long_sheet_keeps_the_odd_ones() -> None:
    color = np.zeros((16, 16, 3), np.uint8)
    cells = [Cell(color, str(i), "odd" if i % 100 == 7 else "") for i in range(1000)]
    page = contact_sheet(cells, title="t", legend={"odd": (255, 0, 0)})
    red = (page == [255, 0, 0]).all(-1).sum(1)
    assert len(page) < 40 * 140 and (red >= 112).sum() > 0
    assert page.shape[0] == contact_sheet(cells[:MOST], title="t", legend={}).shape[0]
