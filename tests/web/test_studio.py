"""What a bundle offers, on networks of random weights."""

import numpy as np
import pytest
from PIL import Image

from tests.clips import ffmpeg
from tests.tiny_bundle import NAMES, write_bundle
from toonify.errors import InputError, UsageError
from toonify.media.images import read_image
from toonify.web.studio import EXAMPLES, Studio, Wish, example_photos


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return Studio.open(str(write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")))


def test_looks(studio):
    assert [(look.name, look.kind) for look in studio.looks] == [(n, "character") for n in NAMES]
    assert studio.levels == 8 and studio.engines == ("cdsm",)
    assert studio.preview(NAMES[0]).shape == (256, 256, 3)
    with pytest.raises(UsageError, match="Did you mean 'mina'"):
        studio.check(Wish(look="minna"))
    for wrong in (Wish(look="mina", level=9), Wish(look="mina", color=1.5)):
        with pytest.raises(UsageError, match="out of range"):
            studio.check(wrong)


def test_characters_are_drawn_by_the_engine_that_is_asked_for():
    studio = Studio.open("default")
    assert studio.engines == ("cdsm", "styleganex"), "the bundle's own first"
    look = next(look.name for look in studio.looks if look.kind == "character")
    photo = example_photos()[0]
    own, cdsm, frames = (
        studio.draw(photo, Wish(look=look, engine=name, whole=True)).rgb
        for name in (None, "cdsm", "styleganex")
    )
    assert np.array_equal(own, cdsm) and not np.array_equal(own, frames)
    clear = studio.draw(photo, Wish(look=look, whole=True, transparent=True))
    assert clear.alpha is not None and clear.alpha.min() == 0 and clear.alpha.max() == 255
    for wrong in (Wish(look=look, engine="adain"), Wish(look=studio.looks[0].name, engine="cdsm")):
        with pytest.raises(UsageError, match="engine"):
            studio.check(wrong)


def test_a_portrait_and_a_whole_picture(studio):
    photo = example_photos()[0]
    portrait = studio.draw(photo, Wish(look="mina"))
    assert portrait.rgb.shape == portrait.before.shape == (32, 32, 3)
    whole = studio.draw(photo, Wish(look="mina", whole=True))
    assert whole.rgb.shape == photo.shape and whole.before is photo
    changed = (whole.rgb != photo).any(2)
    assert changed.any() and not changed[:8, :8].any()
    with pytest.raises(InputError, match="no face"):
        studio.draw(np.full((64, 64, 3), 90, np.uint8), Wish(look="mina"))


def test_a_clip(studio, tmp_path):
    Image.fromarray(example_photos()[0]).resize((160, 160)).save(tmp_path / "face.png")
    ffmpeg("-loop", 1, "-i", tmp_path / "face.png", "-t", 0.3, "-r", 10, tmp_path / "clip.mp4")
    steps = []
    faces = studio.draw_clip(
        tmp_path / "clip.mp4",
        tmp_path / "toon.mp4",
        Wish(look="mina"),
        max_size=96,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert faces == 3 and steps[-1][0] == 3 and (tmp_path / "toon.mp4").is_file()
    assert not list(tmp_path.glob("*.parts"))

    class Enough(Exception):
        pass

    def stop(done, total):
        raise Enough

    with pytest.raises(Enough):
        studio.draw_clip(
            tmp_path / "clip.mp4",
            tmp_path / "other.mp4",
            Wish(look="mina"),
            max_size=96,
            progress=stop,
        )
    assert not (tmp_path / "other.mp4").exists()


def test_the_shipped_bundle_offers_styles_first(tmp_path):
    studio = Studio.open("default")
    kinds = [look.kind for look in studio.looks]
    assert kinds == sorted(kinds, key=("style", "character").index) and kinds[0] == "style"
    photo = read_image(sorted(EXAMPLES.glob("*.jpg"))[0]).rgb
    first = studio.looks[0].name
    portrait = studio.draw(photo, Wish(look=first, transparent=True))
    assert portrait.alpha is not None and portrait.alpha.min() == 0 and portrait.alpha.max() == 255
    assert portrait.rgb.shape == portrait.before.shape
    Image.fromarray(photo).resize((128, 128)).save(tmp_path / "face.png")
    ffmpeg("-loop", 1, "-i", tmp_path / "face.png", "-t", 0.2, "-r", 10, tmp_path / "clip.mp4")
    frames = studio.draw_clip(
        tmp_path / "clip.mp4",
        tmp_path / "toon.mp4",
        Wish(look=first),
        max_size=96,
        progress=lambda done, total: None,
    )
    assert frames == 2 and (tmp_path / "toon.mp4").is_file()
