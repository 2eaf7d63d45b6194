"""Where a portrait is cut out of its photograph."""

import numpy as np
import pytest

from toonify.faces.alignment import aligned_face
from toonify.faces.types import Face
from toonify.portrait.analysis import portrait_square

SIZE = 100


def moved(side, x=0.0, y=0.0):
    """The face of an FFHQ crop of this side, which lies at (x, y)."""
    face = aligned_face(side)
    by = np.float32([x, y])
    return Face(box=face.box + np.tile(by, 2), score=1.0, points5=face.points5 + by, points68=None)


def corners(face, photo):
    matrix = portrait_square(face, SIZE, photo, loose=1.25)
    ends = np.array([[-0.5, -0.5], [SIZE - 0.5, SIZE - 0.5]])
    return ends @ matrix[:, :2].T + matrix[:, 2] + 0.5


def test_it_is_loose_where_there_is_room():
    (left, top), (right, bottom) = corners(moved(100, 200, 200), (600, 600))
    assert right - left == pytest.approx(125, abs=3) and bottom - top == pytest.approx(125, abs=3)
    assert (left + right) / 2 == pytest.approx(250, abs=3)


@pytest.mark.parametrize("place", [(0, 0), (8, 3), (290, 280)])
def test_it_stays_within_the_photograph(place):
    (left, top), (right, bottom) = corners(moved(100, *place), (400, 400))
    assert min(left, top) > -1.5 and max(right, bottom) < 401.5


def test_an_ffhq_crop_is_taken_as_it_is():
    (left, top), (right, bottom) = corners(moved(256), (256, 256))
    assert np.allclose([left, top, right, bottom], [0, 0, 256, 256], atol=4)


def test_a_face_that_is_cut_off_stays_in_it():
    face = moved(100, -60, 0)
    (left, _), (right, _) = corners(face, (400, 400))
    eyes = face.points5[:2, 0]
    assert left < eyes.min() + 1 and eyes.max() < right and left < -20, "not moved too far"
