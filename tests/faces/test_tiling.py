from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from toonify.faces import Face, FaceDetector, get_detector
from toonify.faces.tiling import TiledDetector
from toonify.faces.types import f32

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


class Squares(FaceDetector):
    """Finds white squares; a picture is looked at 200 px wide, 100 quickly, where they are at
    least 10 px high."""

    name = "squares"

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def smallest(self, longest, *, quick=False):
        return 10 * max(longest / (100 if quick else 200), 1)

    def detect(self, rgb, *, quick=False):
        self.sizes.append(rgb.shape[:2])
        least = self.smallest(max(rgb.shape[:2]), quick=quick)
        _, _, stats, _ = cv2.connectedComponentsWithStats((rgb[..., 0] > 128).astype(np.uint8))
        faces = []
        for x, y, w, h, _ in stats[1:]:
            if min(w, h) >= least * 0.99:
                middle = f32([x + (w - 1) / 2, y + (h - 1) / 2])
                box = f32([x - 0.5, y - 0.5, x + w - 0.5, y + h - 0.5])
                faces.append(Face(box, 1.0, f32(np.tile(middle, (5, 1)))))
        return faces

    def follow(self, rgb, face):
        return face


def picture(squares, size=(600, 400)):
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y, side in squares:
        rgb[y : y + side, x : x + side] = 255
    return rgb


GRID = [(x, y, 12) for x in range(15, 600, 63) for y in range(7, 390, 61)]


def test_small_faces_are_found_once_each_and_where_they_are():
    rgb = picture(GRID)
    assert Squares().detect(rgb) == []
    for detect in (
        TiledDetector(Squares(), min_face=12).detect,
        lambda rgb: TiledDetector(Squares(), min_face=12).glance(rgb, None),
    ):
        faces = detect(rgb)
        found = sorted((round(float(f.box[0] + 0.5)), round(float(f.box[1] + 0.5))) for f in faces)
        assert found == sorted((x, y) for x, y, _ in GRID)


def test_large_faces_stay_whole_where_tiles_cut_them():
    rgb = picture([(200, 100, 190), (20, 20, 20)])
    faces = TiledDetector(Squares(), min_face=20).detect(rgb)
    assert [round(float(face.box[2] - face.box[0])) for face in faces] == [190, 20]


def test_faces_smaller_than_the_detector_sees_are_shown_to_it_larger():
    rgb = picture([(50, 50, 6), (120, 90, 6)], size=(190, 150))
    assert TiledDetector(Squares(), min_face=12).detect(rgb) == []
    tiled = TiledDetector(Squares(), min_face=12)
    tiled.smallest = lambda longest, quick=False: 6.0  # below what users may ask for
    faces = tiled.detect(rgb)
    across = sorted(float(face.points5[0, 0]) for face in faces)
    assert across == pytest.approx([52.5, 122.5], abs=0.6)


def test_what_is_looked_for_is_told():
    base = get_detector("mtcnn")
    assert base.smallest(1000) == 24 and base.smallest(6000) == 50
    assert get_detector("mtcnn", min_face=30).smallest(6000) == 30


def test_no_tiles_where_the_whole_shows_enough():
    base = Squares()
    TiledDetector(base, min_face=60).detect(picture([(10, 10, 80)]))
    assert base.sizes == [(400, 600)]
    base = Squares()
    TiledDetector(base, min_face=20).detect_largest(picture([(10, 10, 80), (300, 300, 20)]))
    assert base.sizes == [(400, 600)]  # the largest is there: nobody asks for the others


def test_glances_at_a_clip_see_every_part_in_turn():
    rgb = picture([(430, 300, 12)])
    tiled = TiledDetector(Squares(), min_face=12)
    seen = [len(tiled.glance(rgb, turn)) for turn in range(40)]
    assert 0 < sum(seen) < 20 and max(seen) == 1
    first = seen.index(1)
    assert 1 in seen[first + 1 : first + 6]  # again, some looks later


@pytest.mark.parametrize("height", [60, 50])
def test_back_rows_of_a_group_photo(height):
    """12 people in 24 megapixels; looked at as a whole, most are missed."""
    detector = get_detector("mtcnn")
    photo = Image.open(PHOTO).convert("RGB")
    box = detector.detect(np.asarray(photo))[0].box
    k = height / float(box[3] - box[1])
    small = photo.resize(
        (round(photo.width * k), round(photo.height * k)), Image.Resampling.LANCZOS
    )
    group = Image.new("RGB", (6000, 4000), (128, 128, 128))
    for i in range(12):
        group.paste(small, (300 + i % 4 * 1400, 400 + i // 4 * 1300))
    faces = detector.detect(np.asarray(group))
    assert len(faces) == 12
    assert all(abs(float(f.box[3] - f.box[1]) - height) < 0.25 * height for f in faces)
