"""How each drawing of a folder is placed: by hand, by its face, its set, its outline, or not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toonify.errors import InputError
from toonify.faces.templates import CropBox
from toonify.faces.types import Face
from toonify.training.data.alignment import Placement, cut_drawing, place_drawings
from toonify.training.data.anchors import Anchors

WHITE = np.array([255, 255, 255], np.uint8)
SIZE = 96


class Detector:
    """Finds the frame that a drawing's top left pixel numbers."""

    name = "fake"

    def __init__(self, frames: dict[int, CropBox]) -> None:
        self.frames = frames

    def detect(self, rgb: np.ndarray) -> list[Face]:
        frame = self.frames.get(int(rgb[0, 0, 0]))
        return [frame.face()] if frame else []


def drawing(path: Path, number: int = 0, size: tuple[int, int] = (SIZE, SIZE)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    pixels[0, 0] = number
    Image.fromarray(pixels).save(path)
    return path


def place(folder: Path, detector: Detector | None, **options) -> dict[str, Placement]:
    paths = sorted(folder.rglob("*.png"))
    placed, failed = place_drawings(folder, paths, detector=detector, background=WHITE, **options)
    assert not failed
    return {p.name: p for p in placed}


def test_a_face_found_is_taken(tmp_path: Path) -> None:
    drawing(tmp_path / "a.png", 1)
    (placed,) = place(tmp_path, Detector({1: CropBox(40, 50, 60)})).values()
    assert placed.method == "face" and placed.crop.side == pytest.approx(60, abs=0.1)


@pytest.mark.parametrize("frame", [CropBox(50, 50, 8), CropBox(50, 50, 60, 120)])
def test_specks_and_upside_down_faces_are_not_believed(frame: CropBox, tmp_path: Path) -> None:
    drawing(tmp_path / "a.png", 1)
    (placed,) = place(tmp_path, Detector({1: frame})).values()
    assert placed.method == "center"


def test_a_set_that_agrees_frames_the_rest(tmp_path: Path) -> None:
    frames = {n: CropBox(48 + n % 3, 52, 70 + n % 2) for n in range(1, 8)}
    frames[7] = CropBox(15, 15, 30)  # something else
    for number in (*frames, 9):
        drawing(tmp_path / "mina" / f"{number}.png", number)
    drawing(tmp_path / "mina" / "wide.png", 10, (200, 100))  # another shape than its set
    drawing(tmp_path / "otto" / "1.png", 9)
    placed = place(tmp_path, Detector(frames))
    methods = {name: p.method for name, p in placed.items()}
    assert [methods[f"mina/{n}.png"] for n in range(1, 7)] == ["face"] * 6
    assert methods["mina/7.png"] == methods["mina/9.png"] == methods["otto/1.png"] == "set"
    assert methods["mina/wide.png"] == "center"
    frame = placed["mina/9.png"].crop
    assert (frame.x, frame.y, frame.side) == pytest.approx((49, 52, 70.5), abs=1.1)
    assert "elsewhere" in placed["mina/7.png"].note
    assert "whole folder" in placed["otto/1.png"].note


def test_a_set_that_disagrees_frames_nobody(tmp_path: Path) -> None:
    frames = {n: CropBox(20 + 9 * n, 50, 30 + 8 * n) for n in range(1, 7)}
    for number in (*frames, 9):
        drawing(tmp_path / f"{number}.png", number)
    placed = place(tmp_path, Detector(frames))
    assert placed["1.png"].method == "face" and placed["9.png"].method == "center"


def test_an_outline_places_where_no_face_is_found(tmp_path: Path) -> None:
    pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
    pixels[20:70, 30:66] = (200, 150, 120, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for detector in (Detector({}), None):
        (placed,) = place(tmp_path, detector).values()
        assert placed.method == "silhouette"
        assert placed.crop.x == pytest.approx(47.5, abs=1.5)
    crop = cut_drawing(tmp_path / "a.png", placed.crop, 64, np.array([0, 0, 255], np.uint8))
    assert crop[1, 1].tolist() == [0, 0, 255]
    assert np.abs(crop[32, 32].astype(int) - [200, 150, 120]).max() <= 1


def test_points_by_hand_go_first(tmp_path: Path) -> None:
    for name, number in (("mina/a", 1), ("mina/b", 1), ("otto/a", 1)):
        drawing(tmp_path / f"{name}.png", number)
    given = {
        "mina/*": {"eyes": [[0.4, 0.4], [0.6, 0.4]], "mouth": [0.5, 0.6]},
        "mina/b.png": {"eyes": [[40, 30], [60, 30]], "mouth": [[45, 50], [55, 50]]},
        "nobody": {"eyes": [[0.4, 0.4], [0.6, 0.4]], "mouth": [0.5, 0.6]},
    }
    (tmp_path / "eyes.json").write_text(json.dumps(given))
    anchors = Anchors.read(tmp_path / "eyes.json")
    placed = place(tmp_path, Detector({1: CropBox(48, 48, 60)}), anchors=anchors)
    assert {p.name: p.method for p in placed.values()} == {
        "mina/a.png": "anchor",
        "mina/b.png": "anchor",
        "otto/a.png": "face",
    }
    assert placed["mina/a.png"].crop.x == pytest.approx(0.5 * SIZE - 0.5, abs=0.1)
    assert placed["mina/a.png"].crop.side == pytest.approx(0.8 * SIZE, abs=0.2)
    assert placed["mina/b.png"].crop.x == pytest.approx(50, abs=0.1)
    assert anchors.unused(list(placed)) == ["nobody"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "names no drawing"),
        ('{"*": {"eyes": [[1, 2]], "mouth": [1, 2]}}', 'two "eyes"'),
        ('{"*": {"eyes": [[1, 2], [3, "x"]], "mouth": [1, 2]}}', 'two "eyes"'),
        ('{"*": [1, 2, 3]}', 'two "eyes"'),
    ],
)
def test_bad_anchor_files(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "eyes.json").write_text(text)
    with pytest.raises(InputError, match=message):
        Anchors.read(tmp_path / "eyes.json")


def test_anchors_outside_the_picture_and_bad_files_leave_a_drawing_out(tmp_path: Path) -> None:
    drawing(tmp_path / "a.png", 1)
    drawing(tmp_path / "dot.png", 1, (4, 4))
    (tmp_path / "text.png").write_text("no")
    (tmp_path / "eyes.json").write_text('{"a.png": {"eyes": [[10, 9], [900, 9]], "mouth": [9, 9]}}')
    placed, failed = place_drawings(
        tmp_path,
        sorted(tmp_path.glob("*.png")),
        detector=None,
        anchors=Anchors.read(tmp_path / "eyes.json"),
        background=WHITE,
    )
    assert not placed
    reasons = {name: str(error) for name, error in failed}
    assert "outside a picture of 96x96" in reasons["a.png"]
    assert "4 pixels" in reasons["dot.png"] and "not an image" in reasons["text.png"]
