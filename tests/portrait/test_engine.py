"""The portrait program on a real photograph with the shipped networks."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from toonify.errors import InputError, UsageError
from toonify.portrait import STYLES, PortraitEngine, bundle_styles, render, skin
from toonify.portrait.fields import f32
from toonify.portrait.subject import CHEEKS

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"


@pytest.fixture(scope="module")
def engine():
    return PortraitEngine.from_bundle("default")


@pytest.fixture(scope="module")
def photo():
    return cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module")
def measured(engine, photo):
    return engine.analyze(photo)


def lightness(rgb):
    return cv2.cvtColor(np.float32(rgb) / 255, cv2.COLOR_RGB2LAB)[..., 0]


def flat_share(rgb):
    gray = np.float32(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    spread = cv2.blur(gray * gray, (7, 7)) - cv2.blur(gray, (7, 7)) ** 2
    return float((np.sqrt(np.maximum(spread, 0)) < 2).mean())


def test_the_bundle_offers_its_styles_default_first():
    assert bundle_styles("default")[0] == "ink"
    assert set(bundle_styles("default")) == set(STYLES)


def test_the_head_is_found(measured):
    (subject,) = measured.subjects
    parts = subject.parts
    assert parts.hair.shape == subject.rgb.shape[:2]
    nose = np.rint(subject.face.points[4]).astype(int)
    assert parts.skin[nose[1], nose[0]] > 0.5 and parts.person[nose[1], nose[0]] > 0.5
    assert subject.face.eyes[0].iris[0] < subject.face.eyes[1].iris[0]


@pytest.mark.parametrize("style", list(STYLES))
def test_every_style_draws_the_person(engine, photo, measured, style):
    drawn = engine.stylize(photo, style, faces=None) if style == "ink" else None

    picture = render(engine.draw(measured, style), size=photo.shape[1::-1])
    assert picture.shape == photo.shape and picture.dtype == np.uint8
    if drawn is not None:
        assert np.array_equal(picture, drawn)  # measuring is the same both ways
    # A drawing, not a photograph: flat areas. The person: light and dark where they were.
    assert flat_share(picture) > flat_share(photo) + 0.1
    head = (slice(50, 190), slice(160, 290))
    small = [
        cv2.resize(lightness(p[head]), (24, 24), interpolation=cv2.INTER_AREA)
        for p in (photo, picture)
    ]
    assert np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1] > 0.85


def test_skin_keeps_its_lightness(engine, photo):
    for gain in (1.0, 0.6, 0.4):
        dim = np.uint8(photo * gain)
        measured = engine.analyze(dim)

        (subject,) = measured.subjects
        picture = render(engine.draw(measured, "ink"), size=photo.shape[1::-1])
        mask = np.zeros(photo.shape[:2], np.uint8)
        to_photo = photo.shape[1] / measured.rgb.shape[1]
        for cheek in CHEEKS:
            ring = subject.face.points[list(cheek)] * subject.scale + np.float32(subject.offset)
            cv2.fillPoly(mask, [np.int32(ring * to_photo)], 1)
        difference = lightness(picture)[mask > 0].mean() - lightness(dim)[mask > 0].mean()
        assert abs(difference) < 5


def test_backgrounds(engine, photo):
    clear = engine.stylize(photo, "ink", background="transparent")
    assert clear.shape[2] == 4
    assert clear[5, 250, 3] == 0 and clear[120, 225, 3] == 255
    assert not clear[clear[..., 3] == 0].any()
    kept = engine.stylize(photo, "ink", background="keep")
    outside = clear[..., 3] == 0
    assert np.array_equal(kept[outside], photo[outside])
    green = engine.stylize(photo, "ink", background=(0, 200, 0))
    assert (green[outside] == (0, 200, 0)).all()
    with pytest.raises(UsageError):
        engine.stylize(photo, "ink", background="checkered")


def test_a_picture_without_a_face_is_drawn_as_a_scene(engine, photo):
    scene = photo[300:, :200]
    drawn = engine.stylize(scene, "comic", faces=[])
    assert drawn.shape == scene.shape
    assert flat_share(drawn) > flat_share(scene)


def test_what_is_no_picture_is_refused(engine, photo):
    with pytest.raises(UsageError):
        engine.stylize(photo[..., 0], "ink")
    with pytest.raises(UsageError):
        engine.stylize(photo.astype(np.float32), "ink")
    with pytest.raises(InputError):
        engine.stylize(photo[:9, :9], "ink")
    with pytest.raises(UsageError, match="ink"):
        engine.style("imk")


def face_window(measured):
    """The photograph's window of its one head, the drawing of it at the same size, and its face."""
    (subject,) = measured.subjects
    (x, y), scale = subject.offset, subject.scale
    drawing = PortraitEngine.from_bundle("default").draw(measured, "ink")
    picture = render(drawing, size=measured.rgb.shape[1::-1])
    matrix = np.float32([[scale, 0, x], [0, scale, y]])
    size = subject.rgb.shape[1::-1]
    drawn = cv2.warpAffine(picture, matrix, size, flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR)
    return lightness(subject.rgb), lightness(drawn), subject.face


def test_the_planes_of_the_face_are_drawn(measured, monkeypatch):
    def likeness():
        photo, drawn, face = face_window(measured)
        u = face.unit
        middle = np.rint(face.points[[6, 4, 98, 327, 205, 425, 17]]).astype(int)
        (x0, y0), (x1, y1) = middle.min(0), middle.max(0)
        bands = [
            cv2.GaussianBlur(p, (0, 0), 2.5 * u) - cv2.GaussianBlur(p, (0, 0), 11 * u)
            for p in (photo, drawn)
        ]
        return np.corrcoef(*[band[y0:y1, x0:x1].ravel() for band in bands])[0, 1]

    drawn = likeness()
    monkeypatch.setattr(skin, "PLANES", 0.0)
    assert drawn > likeness() + 0.03


def test_people_are_found_without_being_measured(engine, photo):
    faces = engine.detector.detect(photo)
    found = engine.find_people(photo, faces=faces)
    x, y = np.rint(faces[0].points5[2] * found.rgb.shape[1] / photo.shape[1]).astype(int)
    assert found.person.shape == found.rgb.shape[:2] and not found.subjects
    assert found.person[y, x] > 0.9 and found.person[:20, :20].max() < 0.1
    behind = engine.draw_surroundings(found, "ink")
    assert behind.silhouette and {shape.layer for shape in behind.shapes} == {"background"}
    turned = engine.find_people(photo, faces=[]).person  # by the matte alone
    x, y = np.rint(faces[0].points5[2] * turned.shape[1] / photo.shape[1]).astype(int)
    assert turned[y, x] > 0.9 and turned[:20, :20].max() < 0.1
    assert engine.find_people(photo * 0 + 90, faces=[]).person.max() < 0.1


def test_who_shows_no_face_is_somebody_too(engine, photo):
    scene = np.hstack([photo, photo[:, ::-1]])
    faces = sorted(engine.detector.detect(scene), key=lambda face: face.points5[0, 0])
    found = engine.find_people(scene, faces=faces[:1])
    (x0, y0), (x1, y1) = (faces[1].points5.min(0), faces[1].points5.max(0))
    scale = found.rgb.shape[1] / scene.shape[1]
    rows, columns = slice(int(y0 * scale), int(y1 * scale)), slice(int(x0 * scale), int(x1 * scale))
    assert found.person[rows, columns].mean() > 0.4


def test_five_points_on_clothes_cut_no_hole(engine, photo):
    (face,) = engine.detector.detect(photo)
    whole = engine.find_people(photo, faces=[face]).person
    tiny = replace(face, points5=f32((face.points5 - face.points5[2]) * 0.06 + [200, 420]))
    found = engine.find_people(photo, faces=[face, tiny]).person
    assert np.abs(found - whole).max() < 0.2


def test_beside_a_profile_is_nobody(engine, photo):
    """A head is laid over what a matte does not see, not around what it does."""
    (face,) = engine.detector.detect(photo)
    left = int(face.points5[:, 0].min())
    cut = photo.copy()
    cut[:, :left] = 200  # half a face
    before = engine._analyzer._matte
    engine._analyzer._matte = lambda rgb: f32(np.abs(f32(rgb) - 200).max(2) > 3)
    try:
        found = engine.find_people(cut, faces=[face])
    finally:
        engine._analyzer._matte = before
    scale = found.rgb.shape[1] / photo.shape[1]
    apart = float(np.hypot(*(face.points5[1] - face.points5[0])))
    assert found.person[:, : int((left - 0.4 * apart) * scale)].max() < 0.2


def test_faces_are_people_whatever_the_matte_says(engine, photo):
    (face,) = engine.detector.detect(photo)
    before = engine._analyzer._matte
    engine._analyzer._matte = lambda rgb: np.full(rgb.shape[:2], 0.1, np.float32)
    try:
        found = engine.find_people(photo, faces=[face])
    finally:
        engine._analyzer._matte = before
    scale = found.rgb.shape[1] / photo.shape[1]
    for x, y in np.rint(face.points5 * scale).astype(int):
        assert found.person[y, x] > 0.9
