"""Which square of a picture is read."""

import numpy as np
import pytest

from toonify.errors import InputError, UsageError
from toonify.faces.subject import Square, check_domain

Y, X = np.mgrid[:60, :100]
PHOTO = np.stack([X, Y, np.zeros_like(X)], axis=2).astype(np.uint8)  # says where each pixel is


def place(box, size=20, photo=PHOTO):
    """Left, top, right, bottom that a crop shows, and its side in px."""
    crop = Square(box).crop(photo, size)
    assert crop.image.shape == (size, size, 3)
    ends = crop.to_photo(np.array([[-0.5, -0.5], [size - 0.5, size - 0.5]], np.float32)) + 0.5
    return [round(float(value)) for value in ends.ravel()]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (None, [20, 0, 80, 60]),  # the middle
        ((10, 20, 20, 20), [10, 20, 30, 40]),
        ((10, 20, 40, 20), [10, 10, 50, 50]),  # the square around it
        ((60, 40, 40, 20), [60, 20, 100, 60]),  # moved into the picture
        ((0, 0, 90, 40), [0, -15, 90, 75]),  # larger than the picture
    ],
)
def test_the_square(box, expected):
    assert place(box) == expected


def test_the_crop_shows_its_place_and_knows_it():
    crop = Square((10, 20, 20, 20)).crop(PHOTO, 20)
    assert np.array_equal(crop.image, PHOTO[20:40, 10:30])
    half = Square((10, 20, 20, 20)).crop(PHOTO, 10)
    center = half.to_photo(np.array([[4.5, 4.5]], np.float32))[0]
    assert np.allclose(center, [19.5, 29.5]), "pixel centers at integers"
    assert abs(int(half.image[5, 5, 0]) - 20.5) < 1


def test_beyond_the_picture_it_is_reflected():
    image = Square((0, 0, 90, 40)).crop(PHOTO, 90).image
    assert np.array_equal(image[15:75], PHOTO[:, :90])
    assert np.array_equal(image[14], PHOTO[0, :90]) and np.array_equal(image[75], PHOTO[59, :90])


@pytest.mark.parametrize(
    "box", [(1, 2, 3), (0, 0, 30, 15), (-1, 0, 30, 30), (0, 0, 30.5, 30), (0, 0, None, 30), "0,0,a"]
)
def test_what_makes_no_box_is_refused(box):
    with pytest.raises(UsageError, match="`box`"):
        Square(box)


def test_a_box_beyond_the_picture_is_refused_with_its_size():
    with pytest.raises(InputError, match="100x60 px"):
        Square((50, 0, 60, 20)).crop(PHOTO, 20)


def test_boxes_are_of_other_subjects_than_faces():
    check_domain("any", (0, 0, 30, 30))
    with pytest.raises(UsageError, match="`domain` any"):
        check_domain("faces", (0, 0, 30, 30))
    with pytest.raises(UsageError, match="any"):
        check_domain("cars", None)


def test_edits_fade_where_the_picture_goes_on():
    square = Square()
    reach = square.reach(square.crop(PHOTO, 32), PHOTO, 64)
    assert reach[0, 32] == 1 and reach[63, 32] == 1, "the picture ends above and below"
    assert reach[32, 0] < 0.3 and reach[32, 63] < 0.3 and reach[32, 32] == 1
