"""Drawn heads on photographed bodies: what goes, what stays."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from toonify.engines.head_paste import HeadPaster
from toonify.faces import align, get_detector

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def photo():
    return cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module")
def paster():
    return HeadPaster.from_bundle("default")


def drawing(size=256):
    """A small green head on a plain ground: the person's own hair would stand around it."""
    toon = np.full((size, size, 3), (220, 210, 250), np.uint8)
    cv2.ellipse(toon, (size // 2, size // 2), (size // 5, size // 4), 0, 0, 360, (40, 160, 60), -1)
    cv2.rectangle(toon, (size * 2 // 5, size // 2), (size * 3 // 5, size), (40, 160, 60), -1)
    return toon


def test_own_hair_goes_and_the_body_stays(photo, paster):
    (face, *_) = get_detector("mtcnn").detect(photo)
    out = paster(photo, drawing(), align(photo, face, 256))
    assert out.shape == photo.shape
    assert np.abs(out[120:130, 218:228].astype(int) - (40, 160, 60)).max() < 12  # the drawing
    # Above the drawing there was blond hair; now there is the gray wall behind it.
    hair, wall = (18, 36), (205, 245)
    was = photo[hair[0] : hair[1], wall[0] : wall[1]].astype(float)
    now = out[hair[0] : hair[1], wall[0] : wall[1]].astype(float)
    background = photo[20:60, 120:150].astype(float).mean((0, 1))
    assert np.abs(was.mean((0, 1)) - background).mean() > 40
    assert np.abs(now.mean((0, 1)) - background).mean() < 30
    assert np.array_equal(out[330:], photo[330:])  # the suit is untouched
    assert np.array_equal(photo, cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB))


def test_a_drawing_without_a_plain_ground_is_pasted_as_a_square(photo, paster):
    (face, *_) = get_detector("mtcnn").detect(photo)
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    out = paster(photo, noise, align(photo, face, 128))
    assert not np.array_equal(out[100:140, 200:240], photo[100:140, 200:240])
    assert np.array_equal(out[400:], photo[400:])
