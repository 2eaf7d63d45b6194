"""Levels above 6: people let through to the characters by attribute offsets."""

import numpy as np
import pytest
import torch

from tests.tiny_bundle import list_parts, write_bundle
from toonify.bundle import ATTRIBUTES
from toonify.checkpoints.loading import save_network
from toonify.engines.base import aligned_region
from toonify.engines.cdsm import CdsmEngine
from toonify.errors import ModelError
from toonify.models.attribute_offsets import AttributeOffsets, OwnAttributes
from toonify.video import clip_engine

KNOWN, UNKNOWN = "mina", "otto"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """A bundle, and the same with attribute offsets for one of its characters."""
    plain = write_bundle(tmp_path_factory.mktemp("plain") / "b")
    steered = write_bundle(tmp_path_factory.mktemp("steered") / "b")
    generator = CdsmEngine.from_bundle(plain).model.generator
    torch.manual_seed(0)
    network = AttributeOffsets(
        characters={KNOWN: OwnAttributes(skin=(90, 0, 0), hair=(10, 0, 0))},
        layers=[2, 3],
        widths=[generator.layers[layer].channels for layer in (2, 3)],
    )
    torch.nn.init.normal_(network.linear)
    save_network(network, steered / f"{ATTRIBUTES}.safetensors")
    list_parts(steered)
    return plain, steered


@pytest.fixture
def region():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)
    return aligned_region(rgb)


def person(skin):
    vector = torch.zeros(1, 17)
    vector[0, :4] = torch.tensor([*skin, 1.0])
    return vector


def drawn(engine, region, character):
    (picture,) = engine.render([region], engine.encode([region]), [character])
    return picture


def test_people_are_let_through_from_level_seven_on(bundles, region):
    engine = CdsmEngine.from_bundle(bundles[1])
    model = engine.model
    assert not model.lets_through(KNOWN, 6) and model.lets_through(KNOWN, 7)
    w_plus = model.encode([region.image])
    same, dark = person((90, 0, 0)), person((30, 10, 10))
    level_six = model.render(w_plus, KNOWN, level=6)[0]
    assert np.array_equal(model.render(w_plus, KNOWN, level=8, attributes=same)[0], level_six)
    moved = [model.render(w_plus, KNOWN, level=m, attributes=dark)[0] for m in (7, 8)]
    assert not np.array_equal(moved[0], level_six) and not np.array_equal(moved[1], moved[0])
    assert np.array_equal(model.render(w_plus, KNOWN, level=6, attributes=dark)[0], level_six)


def test_attributes_go_with_the_latents(bundles, region):
    low, high = (CdsmEngine.from_bundle(bundles[1], level=level) for level in (6, 8))
    num_ws = high.model.num_ws
    assert low.encode([region]).shape[1] == num_ws
    latents = high.encode([region])
    assert latents.shape[1] > num_ws and latents.shape[2] == high.model.generator.w_dim
    # latents of a lower level serve a higher one: attributes are measured then
    from_low = high.render([region], low.encode([region]), [KNOWN])[0]
    assert np.array_equal(from_low, drawn(high, region, KNOWN))
    assert np.array_equal(low.render([region], latents, [KNOWN])[0], drawn(low, region, KNOWN))


def test_characters_without_offsets_are_mixed_as_published(bundles, region):
    plain, steered = (CdsmEngine.from_bundle(bundle, level=8) for bundle in bundles)
    assert np.array_equal(drawn(plain, region, UNKNOWN), drawn(steered, region, UNKNOWN))
    assert plain.encode([region]).shape[1] == plain.model.num_ws
    assert plain.identity(UNKNOWN) != steered.identity(UNKNOWN)


def test_offsets_of_another_generator_are_refused(bundles, tmp_path):
    folder = write_bundle(tmp_path / "b")
    network = AttributeOffsets(
        characters={KNOWN: OwnAttributes(skin=(90, 0, 0), hair=(10, 0, 0))}, layers=[2], widths=[9]
    )
    save_network(network, folder / f"{ATTRIBUTES}.safetensors")
    list_parts(folder)
    with pytest.raises(ModelError, match="not made for this generator"):
        CdsmEngine.from_bundle(folder)


def test_attributes_of_a_clip_are_looked_at_now_and_then(bundles, monkeypatch):
    engine = CdsmEngine.from_bundle(bundles[1], level=8)
    rng = np.random.default_rng(0)
    regions = [
        aligned_region(rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)) for _ in range(11)
    ]
    people = [1, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1]
    alone, num_ws = engine.encode(regions), engine.model.num_ws
    looks = []
    attributes = engine._attributes
    monkeypatch.setattr(
        engine, "_attributes", lambda faces: (looks.append(1), attributes(faces))[1]
    )
    clip = engine.encode_clip(regions, people)
    assert len(looks) == 3  # the first and the fifth look at one, the first at the other
    np.testing.assert_allclose(clip[:, :num_ws], alone[:, :num_ws], atol=1e-4)
    held = [0, 1, 0, 1, 0, 0, 6, 6, 1, 6, 6]
    np.testing.assert_array_equal(clip[:, num_ws:], alone[held, num_ws:])
    low = CdsmEngine.from_bundle(bundles[1], level=6)
    np.testing.assert_array_equal(low.encode_clip(regions, people), low.encode(regions))


def test_pictures_are_drawn_side_by_side_where_there_are_threads(bundles):
    engine = CdsmEngine.from_bundle(bundles[1], level=8)
    rng = np.random.default_rng(0)
    regions = [aligned_region(rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)) for _ in range(5)]
    names = [KNOWN, UNKNOWN, KNOWN, KNOWN, UNKNOWN]
    before = torch.get_num_threads()
    drawn = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            latents = engine.encode(regions)
            drawn.append((latents, engine.render(regions, latents, names)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    (alone, toons), (beside, others) = drawn
    np.testing.assert_allclose(alone, beside, atol=1e-4)
    for one, other in zip(toons, others, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1


def test_what_is_behind_people_of_a_clip(bundles):
    engine = clip_engine(bundles[0], engine="cdsm", character=True, background="#00ff00")
    assert engine.background == (0, 255, 0)
    assert clip_engine(bundles[0], engine="cdsm", character=True).background == "draw"
