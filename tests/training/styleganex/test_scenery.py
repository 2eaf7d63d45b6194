"""Light, backgrounds, and what is in front of faces."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.styleganex.tiny_frames import cutout_set, disc
from toonify.training.styleganex.cutouts import CutoutSet
from toonify.training.styleganex.scenery import occluder, other_background, random_look, scrambled


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory: pytest.TempPathFactory) -> CutoutSet:
    return cutout_set(tmp_path_factory.mktemp("cutouts"))


def test_a_look_is_one_for_the_whole_scene() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    looks = [random_look(np.random.default_rng(seed)) for seed in range(12)]
    for look in looks:
        seen = look(ramp)
        assert np.array_equal(seen, look(ramp)) and seen.dtype == np.uint8
        assert (np.diff(seen[0].astype(int), axis=0) >= 0).all(), "darker stays darker"
        assert seen[0, 0].max() == 0
    means = [look(ramp).mean() for look in looks]
    assert max(means) - min(means) > 30


def test_scenery_has_no_face_and_its_size(cutouts: CutoutSet) -> None:
    pictures = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        picture = other_background(cutouts, rng, lambda rgb: rgb, 80)
        assert picture.shape == (80, 80, 3) and picture.dtype == np.uint8
        pictures.append(picture)
    assert len({picture.tobytes() for picture in pictures}) == 10
    pieces = scrambled(cutouts, np.random.default_rng(0))
    black = (pieces == 0).all(2)
    assert pieces.shape == (64, 64, 3) and 0 < black.mean() < 0.6
    assert not black[disc(64, 0.2)].all(), "no head where it was"


def test_occluders_lie_near_the_face(cutouts: CutoutSet) -> None:
    place = np.float32([[60, 0, 20], [0, 60, 20]])
    for seed in range(12):
        picture, mask = occluder(cutouts, np.random.default_rng(seed), place, 100)
        assert picture.shape == (100, 100, 3) and mask.shape == (100, 100, 1)
        assert mask.min() >= 0 and mask.max() <= 1
        y, x = np.nonzero(mask[..., 0] > 0.5)
        assert len(y) > 0 and 0 < mask.mean() < 0.6
        assert (x > 15).any() and (x < 85).any() and (y > 15).any() and (y < 85).any()
