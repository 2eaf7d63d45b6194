"""People by a network before backgrounds by the program: where which of the two draws."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from toonify.engines.registry import load_engine, load_style_engine, style_engine
from toonify.engines.unet import apart, points_of
from toonify.errors import UsageError
from toonify.media.images import read_image
from toonify.portrait import render

PHOTO = "examples/faces/05.jpg"


@pytest.fixture(scope="module")
def engine():
    return load_engine("blend", "default", dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def photo(request):
    return read_image(request.config.rootpath / PHOTO).rgb[::2, ::2].copy()


def test_people_are_the_networks_and_the_rest_the_programs(engine, photo):
    faces = engine.detector.detect(photo)
    (drawn,) = engine.draw_image(photo, ["ink"], faces=faces)
    measured = engine.measure(photo, faces)
    behind = render(engine.portraits.draw_surroundings(measured, "ink"), size=photo.shape[1::-1])
    (painted,) = engine.network.draw_image(photo, ["ink"], faces=faces)
    x, y = np.rint(faces[0].points5[2]).astype(int)  # the tip of the nose
    nose = np.s_[y - 4 : y + 5, x - 4 : x + 5]
    assert np.array_equal(drawn[nose], painted[nose])
    assert np.array_equal(drawn[:12, :40], behind[:12, :40]) and drawn.shape == photo.shape
    assert 0.3 < (drawn != behind).any(2).mean() < 0.9


def test_small_faces_are_drawn_again_as_large_as_the_network_knows_them(engine, photo):
    small = cv2.resize(photo, (64, 64), interpolation=cv2.INTER_AREA)
    crowd = np.full((400, 640, 3), 128, np.uint8)
    crowd[100:164, 300:364] = small
    (face,) = engine.detector.detect(photo)
    scale = 64 / photo.shape[1]
    placed = replace(face, points5=face.points5 * scale + np.float32([300, 100]))
    assert apart(points_of([placed])) < 30
    seen = []
    draw = engine.network.draw

    def counted(pixels, style):
        seen.append(pixels.shape)
        return draw(pixels, style)

    engine.network.draw = counted
    try:
        (drawn,) = engine.draw_image(crowd, ["ink"], faces=[placed])
    finally:
        del engine.network.draw
    assert len(seen) == 2  # the picture, the head
    assert drawn.shape == crowd.shape
    detail = np.s_[110:150, 310:350]
    assert drawn[detail].std() > 15


def test_paper_shows_through_people_drawn_in_another_style(engine, photo):
    faces = engine.detector.detect(photo)
    ink, wash = engine.draw_image(photo, ["ink", "wash"], faces=faces)
    assert wash[-20:].mean() > ink[-20:].mean()
    assert wash[:12].mean() > ink[:12].mean()


def test_nobody_is_drawn_by_the_program(engine, photo):
    sky = np.full_like(photo, (120, 160, 220))
    (drawn,) = engine.draw_image(sky, ["soft"], faces=[])
    program = load_engine("portrait", detector=engine.detector)
    assert np.array_equal(drawn, program.draw_image(sky, ["soft"], faces=[])[0])


def test_who_shows_no_face_is_drawn_by_the_network(engine, photo):
    (drawn,) = engine.draw_image(photo, ["comic"], faces=[])
    program = load_engine("portrait", detector=engine.detector)
    scene = program.draw_image(photo, ["comic"], faces=[])[0]
    face = np.s_[80:180, 190:270]
    sharp = [cv2.Laplacian(one[face], cv2.CV_32F).std() for one in (drawn, scene, photo)]
    assert sharp[0] > 1.2 * sharp[1]


def test_five_points_that_are_no_face_are_passed_over(engine, photo):
    (face,) = engine.detector.detect(photo)
    odd = replace(face, points5=np.float32([[60, 90]] * 5))
    (alone,) = engine.draw_image(photo, ["ink"], faces=[face])
    (drawn,) = engine.draw_image(photo, ["ink"], faces=[face, odd])
    assert np.array_equal(drawn, alone)
    assert engine.draw_image(photo, ["ink"], faces=[odd])[0].shape == photo.shape
    profile = replace(face, points5=face.points5[[0, 1, 2, 3, 3]])  # both corners in one place
    assert engine.draw_image(photo, ["ink"], faces=[profile])[0].shape == photo.shape


def test_stickers_stay_transparent(photo):
    engine = load_engine("blend", background="transparent", dtype="float32", device="cpu")
    (drawn,) = engine.draw_image(photo, ["ink"], faces=engine.detector.detect(photo))
    assert drawn.shape[2] == 4 and drawn[..., 3].min() == 0 < drawn[..., 3].max()
    assert (drawn[drawn[..., 3] == 0] == 0).all()


def test_clips_and_cached_drawings_know_both(engine, photo):
    identity = engine.identity("ink")
    assert identity["style"]["name"] == "ink" and "network" in identity["faces"]
    frame = engine.compositor(0).compose(photo, [])
    assert frame.shape == photo.shape and "faces" in engine.describe()


def test_it_draws_photographs_where_nothing_is_said():
    assert load_style_engine("soft", device="cpu").name == "blend"
    assert load_style_engine(device="cpu").characters[0] == "ink"
    with pytest.raises(UsageError, match="no style 'imk'"):
        load_style_engine("imk")


def test_what_both_draw():
    assert style_engine(["ink"], engine="blend") == "blend"
    with pytest.raises(UsageError, match="blend does not draw"):
        style_engine(["mine.safetensors"], engine="blend")
    with pytest.raises(UsageError, match="svg"):
        load_engine("blend", document="svg")


def test_steps_are_told_to_be_timed(engine, photo):
    faces = engine.detector.detect(photo)
    steps = dict(engine.steps(photo, "ink", faces=faces))
    assert list(steps) == ["mattes", "network", "crisp", "surroundings"]
    assert steps["network"]().shape[2] == 3
