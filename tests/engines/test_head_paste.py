"""Drawn heads on bodies: what goes, what stays."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from toonify.bundle import bundle_folder
from toonify.engines.head_paste import HeadPaster
from toonify.faces import align, get_detector
from toonify.lut import CharacterTable
from toonify.portrait.layers import Layers

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def photo():
    return cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module")
def paster():
    return HeadPaster.from_bundle("default")


@pytest.fixture(scope="module")
def drawing():
    """A bald man with a beard, drawn: the person's own hair would stand around him."""
    preview = CharacterTable.load(bundle_folder("default") / "characters.safetensors")["bram"]
    return cv2.resize(preview.preview, (256, 256), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def face(photo):
    return get_detector("mtcnn").detect(photo)[0]


@pytest.fixture(scope="module")
def where(photo, paster, face):
    return align(photo, face, 256), *paster.measure(photo, [face])


def test_own_hair_goes_and_the_body_stays(photo, paster, where, drawing):
    out = paster(Layers.of_photo(photo), drawing, *where).flat()
    assert out.shape == photo.shape
    beard = out[172:180, 205:245].astype(int)  # the drawing's
    assert (beard[..., 0] > 2 * beard[..., 2]).mean() > 0.5
    # Above the drawing there was blond hair; now there is the gray wall behind it.
    hair, wall = (18, 36), (205, 245)
    was = photo[hair[0] : hair[1], wall[0] : wall[1]].astype(float)
    now = out[hair[0] : hair[1], wall[0] : wall[1]].astype(float)
    background = photo[20:60, 120:150].astype(float).mean((0, 1))
    assert np.abs(was.mean((0, 1)) - background).mean() > 40
    assert np.abs(now.mean((0, 1)) - background).mean() < 30
    assert np.array_equal(out[330:], photo[330:])  # the suit is untouched
    assert np.array_equal(photo, cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB))


def test_in_a_drawn_picture_what_is_behind_shows_and_the_neck_reaches_up(
    photo, paster, where, drawing
):
    person = np.zeros(photo.shape[:2], np.uint8)
    person[20:, 100:400] = 255
    skin, blue = (200, 150, 120), (10, 20, 200)
    people = np.full_like(photo, skin)
    picture = Layers(people, person, np.full_like(photo, blue))
    placed = paster(picture, drawing, *where, tinted=False)
    out = placed.flat()
    assert np.abs(out[22:34, 205:245].astype(int) - blue).max() < 40  # where there was hair
    assert np.array_equal(out[330:, 110:390], people[330:, 110:390])
    # the jaw was taken out, the chin of the drawing ends higher: no gap to what is behind
    assert np.abs(out[195:205, 215:232].astype(int) - blue).sum(2).min() > 150
    assert picture.alpha is person and person.min() == 0  # nothing given is changed
    sticker = paster(Layers(people, person, None), drawing, *where).flat()
    assert sticker.shape[2] == 4
    assert sticker[25:32, 210:240, 3].max() < 60 and sticker[124, 222, 3] > 250


def test_a_head_that_is_no_face_is_set_in_by_its_silhouette(photo, paster, where):
    toon = np.full((256, 256, 3), (220, 210, 250), np.uint8)
    cv2.ellipse(toon, (128, 128), (60, 90), 0, 0, 360, (40, 160, 60), -1)
    out = paster(Layers.of_photo(photo), toon, *where).flat()
    green = np.abs(out.astype(int) - (40, 160, 60)).max(2) < 12
    rows = np.flatnonzero(green.any(1))
    assert green[120:130, 218:228].all() and rows[-1] - rows[0] > 70


def test_everybody_is_measured_for_themselves(photo, paster):
    both = np.concatenate([photo[:300], np.ascontiguousarray(photo[:300, ::-1])], axis=1)
    faces = get_detector("mtcnn").detect(both)
    heads = paster.measure(both, faces)
    assert len(faces) == 2
    for face, head in zip(faces, heads, strict=True):
        left, right = face.points5[[0, 1], 0]
        chin = head.jaw[len(head.jaw) // 2]
        assert left < chin[0] < right and chin[1] > face.points5[3, 1]
    nobody = replace(faces[0], points5=faces[0].points5 + 90, box=faces[0].box + 90)
    assert paster.measure(both, [faces[0], nobody])[0] is not None


def test_a_drawing_without_a_plain_ground_is_pasted_as_a_square(photo, paster, face):
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    nothing = np.zeros(photo.shape[:2], np.uint8)
    placed = paster(Layers(photo, nothing, None), noise, align(photo, face, 128), None)
    assert not np.array_equal(placed.people[100:140, 200:240], photo[100:140, 200:240])
    assert placed.alpha[120, 220] == 255 and not placed.alpha[400:].any()
