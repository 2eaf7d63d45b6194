"""The program's drawings with faces by a network: where which of the two draws."""

import numpy as np
import pytest

from toonify.engines.registry import load_engine, style_engine
from toonify.errors import UsageError
from toonify.media.images import read_image

PHOTO = "examples/faces/05.jpg"


@pytest.fixture(scope="module")
def engine():
    return load_engine("blend", "default", dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def photo(request):
    return read_image(request.config.rootpath / PHOTO).rgb[::2, ::2].copy()


def test_faces_are_the_networks_and_the_rest_the_programs(engine, photo):
    faces = engine.detector.detect(photo)
    (drawn,) = engine.draw_image(photo, ["ink"], faces=faces)
    program = load_engine("portrait", detector=engine.detector)
    (flat,) = program.draw_image(photo, ["ink"], faces=faces)
    (painted,) = engine.network.draw_image(photo, ["ink"], faces=faces)
    x, y = np.rint(faces[0].points5[2]).astype(int)  # the tip of the nose
    nose = np.s_[y - 4 : y + 5, x - 4 : x + 5]
    assert np.array_equal(drawn[nose], painted[nose])
    assert np.array_equal(drawn[:12], flat[:12]) and drawn.shape == photo.shape
    assert 0.1 < (drawn != flat).any(2).mean() < 0.6


def test_nobody_is_drawn_by_the_program(engine, photo):
    sky = np.full_like(photo, (120, 160, 220))
    (drawn,) = engine.draw_image(sky, ["soft"], faces=[])
    program = load_engine("portrait", detector=engine.detector)
    assert np.array_equal(drawn, program.draw_image(sky, ["soft"], faces=[])[0])


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


def test_what_both_draw():
    assert style_engine(["ink"], engine="blend") == "blend"
    with pytest.raises(UsageError, match="blend does not draw"):
        style_engine(["mine.safetensors"], engine="blend")
    with pytest.raises(UsageError, match="svg"):
        load_engine("blend", document="svg")
