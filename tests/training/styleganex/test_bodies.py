"""People on a canvas larger than their crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.styleganex.tiny_frames import BODY, CHIN, cutout_set, wall
from toonify.training.styleganex.bodies import canvas_pads, inside_crop, kept, make_body
from toonify.training.styleganex.cutouts import CutoutSet


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory: pytest.TempPathFactory) -> CutoutSet:
    return cutout_set(tmp_path_factory.mktemp("cutouts"))


def crop_of(size: int = 64) -> tuple[slice, slice]:
    """Where on the canvas the crop is."""
    top, _, left, _ = canvas_pads(size)
    return np.s_[top : top + size, left : left + size]


def test_the_crop_lies_within_the_canvas_as_it_is(cutouts: CutoutSet) -> None:
    person = cutouts[1]
    body = make_body(person, lambda rgb: rgb, cutouts, np.random.default_rng(0))
    top, bottom, left, right = canvas_pads(64)
    size = (top + 64 + bottom, left + 64 + right)
    assert body.seen.shape == body.bare.shape == (*size, 3)
    assert body.opacity.shape == body.bare_opacity.shape == size
    crop = crop_of()
    assert np.array_equal(body.seen[crop], person.face)
    assert np.array_equal(body.opacity[crop] * 255, person.matte)
    assert not body.opacity[:top].any(), "nobody's head is cut off"
    assert not body.opacity[: top + 40, :left].any(), "nor are there hands beside it"
    inside = inside_crop(person)
    assert inside[crop][32, 32] == 1 and inside[crop][0, 0] < 0.1
    inside[crop] = 0
    assert not inside.any()


def test_shoulders_go_on_and_widen_below_the_crop(cutouts: CutoutSet) -> None:
    body = make_body(cutouts[0], lambda rgb: rgb, cutouts, np.random.default_rng(0))
    top = canvas_pads(64)[0]
    widths = (body.opacity[top + 60 :] > 0.5).sum(1)
    assert (widths[:4] == widths[0]).all() and (np.diff(widths) >= -1).all()
    assert widths[40] > 1.1 * widths[0]
    end = body.seen[top + 64, 64].astype(int)
    assert np.abs(end - BODY).max() < 60, "clothes begin as they were"


def test_heads_that_the_crop_cuts_off_end_round(tmp_path: Path) -> None:
    y, x = (np.mgrid[:64, :64] + 0.5) / 64
    found = cutout_set(tmp_path, hair=(np.abs(x - 0.5) < 0.2) & (y < 0.4))
    body = make_body(found[0], lambda rgb: rgb, found, np.random.default_rng(3))
    top = canvas_pads(64)[0]
    widths = (body.opacity[:top] > 0.5).sum(1)
    assert widths[-1] > 20 and (np.diff(widths) >= 0).all() and widths[0] == 0


def test_bodies_begin_below_the_chin(cutouts: CutoutSet) -> None:
    share = kept(cutouts[0])
    top, bottom, left, right = canvas_pads(64)
    assert share.shape == (top + 64 + bottom, left + 64 + right)
    assert not share[: top + int(CHIN * 64)].any()
    assert (share[top + int((CHIN + 0.1) * 64) :] == 1).all()


def test_long_hair_is_gone_from_the_body_that_is_drawn_on(tmp_path: Path) -> None:
    y, x = (np.mgrid[:64, :64] + 0.5) / 64
    hair = (np.abs(x - 0.5) > 0.2) & (np.abs(x - 0.5) < 0.28) & (y > 0.5)
    person = (found := cutout_set(tmp_path, hair=hair))[0]
    body = make_body(person, lambda rgb: rgb, found, np.random.default_rng(0))
    top, _, left, _ = canvas_pads(64)
    crop = crop_of()
    low = hair & (y > 0.92)
    assert (body.seen[crop][low] == (220, 30, 30)).all(), "in the photograph it is"
    red = body.bare[crop][low].astype(int)
    assert (red[:, 0] < red[:, 2]).all(), "shoulders go on behind it"
    below = body.seen[top + 65 : top + 68, left : left + 64].astype(int)
    assert (below[..., 0] > below[..., 2] + 60).mean() > 0.05, "and goes on below the crop"
    shorn = cutout_set(tmp_path / "shorn")
    short = make_body(shorn[0], lambda rgb: rgb, shorn, np.random.default_rng(0))
    assert np.array_equal(short.seen[crop], short.bare[crop])


def test_a_body_that_hair_hides_gets_some_stuff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing of it to go on from."""
    stuff = np.full((64, 64, 3), (0, 200, 0), np.uint8)
    monkeypatch.setattr("toonify.training.styleganex.bodies._cloth", lambda cutouts, rng: stuff)
    y, x = (np.mgrid[:64, :64] + 0.5) / 64
    found = cutout_set(tmp_path, hair=(np.abs(x - 0.5) < 0.35) & (y > 0.6))
    body = make_body(found[0], lambda rgb: rgb, found, np.random.default_rng(0))
    assert (body.bare[crop_of()][61:, 20:44] == (0, 200, 0)).all()
    assert np.array_equal(body.bare[crop_of()][:14], wall(0, 64)[:14])
