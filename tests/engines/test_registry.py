"""Every engine behind one interface: photographs, batches of crops and clips' frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.fake_portraits import FakePortraits
from tests.tiny_bundle import NAMES, add_frame_parts, write_bundle
from toonify.engines.base import Engine, aligned_region
from toonify.engines.cdsm import CdsmEngine
from toonify.engines.combined import CombinedEngine
from toonify.engines.portrait import StyleEngine
from toonify.engines.registry import ENGINES, load_engine
from toonify.engines.style_transfer import StyleTransferEngine
from toonify.errors import UsageError
from toonify.faces.alignment import aligned_face
from toonify.media.images import write_image
from toonify.video.clips import clip_engine


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_frame_parts(write_bundle(tmp_path_factory.mktemp("bundles") / "all"))


def photo(side: int = 160, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (side // 20, side // 20, 3), dtype=np.uint8)
    return coarse.repeat(20, 0).repeat(20, 1)


@pytest.fixture(scope="module", params=["cdsm", "styleganex", "adain", "wct2", "portrait"])
def engine(request: pytest.FixtureRequest, bundle: Path, tmp_path_factory) -> Engine:
    if request.param == "portrait":
        return StyleEngine(FakePortraits(), "soft")
    if request.param in ("cdsm", "styleganex"):
        return load_engine(request.param, bundle, device="cpu", dtype="float32")
    picture = tmp_path_factory.mktemp("styles") / "style.png"
    write_image(picture, photo(seed=5))
    return load_engine(request.param, "default", images=[picture], device="cpu")


def test_engines_know_their_names_and_say_what_drawings_depend_on(engine: Engine) -> None:
    assert engine.name in ENGINES and engine.characters
    assert engine.kind in ("character", "style")
    described = engine.describe()
    assert json.loads(json.dumps(described)) == described
    assert described["engine"] == engine.name


def test_a_photograph_is_drawn_whole_and_stays_as_it_is(engine: Engine) -> None:
    picture = photo()
    before = picture.copy()
    names = engine.characters[:2]
    faces = [aligned_face(160)]
    drawn = engine.draw_image(picture, names, faces=faces)
    assert len(drawn) == len(names) and (picture == before).all()
    for one in drawn:
        assert isinstance(one, np.ndarray)
        assert one.shape == picture.shape and one.dtype == np.uint8
        assert (one != picture).any()


def test_regions_are_drawn_under_every_name(engine: Engine, monkeypatch) -> None:
    monkeypatch.setattr("toonify.engines.style_transfer.CROP", 128)  # VGG takes seconds for 512
    regions = [engine.region(photo(seed=seed), aligned_face(160)) for seed in range(3)]
    rows = engine.draw_regions(regions, engine.characters[:2])
    assert len(rows) == 3 and all(len(row) == len(engine.characters[:2]) for row in rows)
    latents = engine.encode(regions)
    assert len(latents) == 3 and latents.dtype == np.float32
    assert engine.draw_regions([], engine.characters[:1]) == []


def test_frames_of_clips(engine: Engine) -> None:
    frame = photo()
    compositor = engine.compositor(0.5)
    assert (compositor is not None) == engine.whole_image
    region = engine.locate(frame, aligned_face(160))
    (toon,) = engine.draw_located([region], engine.encode([region]), engine.characters[:1])
    assert toon.dtype == np.uint8
    if compositor is not None:
        assert compositor.compose(frame, []).shape == frame.shape
        compositor.restore(compositor.state())
    else:
        assert engine.paste(frame, toon, region).shape == frame.shape


def test_names_that_are_none(bundle: Path) -> None:
    with pytest.raises(UsageError, match=r"no engine 'cdms'.*cdsm"):
        load_engine("cdms", bundle)


def test_bundles_name_their_engine(bundle: Path) -> None:
    assert clip_engine("default").name == clip_engine("default", style="wash").name == "unet"
    assert clip_engine("default", character=True).name == "cdsm"
    assert clip_engine(bundle).name == "styleganex"  # has frames, and no styles


def test_other_mixing_shares_the_networks(bundle: Path) -> None:
    engine = CdsmEngine.from_bundle(bundle, device="cpu", level=2)
    other = engine.mixing(level=0)
    assert other.model is engine.model and other.detector is engine.detector
    assert (engine.level, other.level) == (2, 0)
    assert engine.describe() != other.describe()


def test_styles_beside_characters(bundle: Path) -> None:
    people = CdsmEngine.from_bundle(bundle, device="cpu", dtype="float32")
    engine = CombinedEngine(StyleEngine(FakePortraits()), people)
    assert engine.characters[-2:] == NAMES and engine.characters[0] == "ink"
    crop = photo()
    (row,) = engine.draw_regions([aligned_region(crop)], ["mina", "wash", "otto"])
    ((mina, otto),) = people.draw_regions([aligned_region(crop)], ["mina", "otto"])
    assert np.array_equal(row[0], mina) and np.array_equal(row[2], otto)
    assert row[1].shape == (512, 512, 3)  # type: ignore[union-attr]
    ((own, style),) = engine.draw_aligned([crop], ["otto", "ink"])
    assert np.array_equal(own, otto)
    assert style.shape == crop.shape  # type: ignore[union-attr]


def test_pictures_of_other_methods_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", photo())
    for options in ({"weights": [1, 2]}, {"weights": [0]}, {"segment": True}):
        with pytest.raises(UsageError):
            StyleTransferEngine.from_bundle(images=[tmp_path / "a.png"], **options)
