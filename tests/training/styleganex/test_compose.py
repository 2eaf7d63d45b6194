"""Frames put together: who is drawn where, and what stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.styleganex.tiny_frames import NAMES, PAINT, cutout_set
from toonify.training.styleganex import compose as module
from toonify.training.styleganex.compose import ComposedFrame, Scene, compose
from toonify.training.styleganex.cutouts import CutoutSet

PLAIN = {"crowd": 0.0, "empty": 0.0, "elsewhere": 0.0, "occluded": 0.0}


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory: pytest.TempPathFactory) -> CutoutSet:
    return cutout_set(tmp_path_factory.mktemp("cutouts"))


@pytest.fixture
def steady_camera(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Frames without blur, noise and compression."""
    monkeypatch.setattr(module, "_camera", lambda source, rng: source)
    yield


def scene(**options) -> Scene:
    return Scene(**PLAIN | {"size": 64, "crop": (40.0, 60.0)} | options)


def shrunk(picture: np.ndarray, size: int = 64) -> np.ndarray:
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA))


def change(frame: ComposedFrame) -> np.ndarray:
    """By how much a frame's pixels differ before and after, (S, S)."""
    size = frame.source.shape[0]
    return np.abs(frame.source.astype(int) - shrunk(frame.target, size)).max(2)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_shapes_and_sizes(cutouts: CutoutSet, scale: int) -> None:
    frame = compose(cutouts, 3, [], scene(scale=scale), 0)
    side = 64 * scale
    assert frame.source.shape == (64, 64, 3) and frame.source.dtype == np.uint8
    assert frame.target.shape == (side, side, 3) and frame.target.dtype == np.uint8
    assert frame.drawn.shape == (side, side) and frame.drawn.dtype == np.float32
    assert frame.drawn.min() == 0 and 0.99 < frame.drawn.max() <= 1.001
    assert frame.character == 1


def test_the_seed_decides_everything(cutouts: CutoutSet) -> None:
    whole = Scene(size=64, crop=(40.0, 60.0), crowd=0.5, occluded=0.5)
    seen = []
    for seed in range(8):
        one, again = (compose(cutouts, 0, [2, 4], whole, seed) for _ in "ab")
        assert np.array_equal(one.source, again.source)
        assert np.array_equal(one.target, again.target)
        assert np.array_equal(one.drawn, again.drawn)
        seen.append(one.target)
    for i in range(8):
        assert not any(np.array_equal(seen[i], other) for other in seen[:i])


@pytest.mark.usefixtures("steady_camera")
@pytest.mark.parametrize("seed", range(6))
def test_away_from_the_drawing_nothing_changes(cutouts: CutoutSet, seed: int) -> None:
    frame = compose(cutouts, seed, [], scene(), seed)
    drawn = cv2.dilate(frame.drawn, np.ones((5, 5), np.uint8))
    away = shrunk(drawn) == 0
    assert away.mean() > 0.4
    # but for the body's outline, which is the photograph's own before and laid in after
    assert np.quantile(change(frame)[away], 0.97) <= 3 and change(frame)[away].max() < 40
    inside = shrunk(frame.drawn) > 0.99
    assert inside.mean() > 0.02 and change(frame)[inside].min() > 20


@pytest.mark.parametrize("seed", range(6))
def test_the_drawing_lies_on_the_head_in_its_colors(cutouts: CutoutSet, seed: int) -> None:
    """Heads are black in any light, and the drawings' discs a little larger."""
    frame = compose(cutouts, seed, [], scene(tilt=40.0), seed)
    colors = frame.target[frame.drawn > 0.999].astype(int)
    assert np.abs(colors - PAINT[seed % 2]).max() <= 2, "no light falls on drawings"
    drawn = shrunk(frame.drawn) > 0.5
    _, parts = cv2.connectedComponents((frame.source.max(2) < 60).astype(np.uint8))
    head = parts == np.bincount(parts[drawn & (parts > 0)]).argmax()  # clothes may be black too
    for drawing, photograph in zip(np.nonzero(drawn), np.nonzero(head), strict=True):
        assert abs(drawing.mean() - photograph.mean()) < 1
    assert drawn.sum() / head.sum() == pytest.approx((0.27 / 0.25) ** 2, rel=0.15)


def test_faces_are_as_large_as_the_scene_says(cutouts: CutoutSet) -> None:
    for low, high in ((20.0, 20.0), (30.0, 60.0)):
        for seed in range(6):
            frame = compose(cutouts, 0, [], scene(crop=(low, high), size=96, scale=1), seed)
            radius = np.sqrt(frame.drawn.sum() / np.pi)
            assert 0.27 * low * 0.95 < radius < 0.27 * high * 1.05


def test_a_margin_reaches_beyond_the_crop(tmp_path: Path) -> None:
    wide = cutout_set(tmp_path, margin=0.5)
    frame = compose(wide, 0, [], scene(crop=(30.0, 30.0)), 0)
    radius = np.sqrt(frame.drawn.sum() / 4 / np.pi)
    assert radius == pytest.approx(2 * 0.27 * 30, rel=0.05)


def test_what_hangs_behind_is_behind_the_head(tmp_path: Path) -> None:
    frame = compose(cutout_set(tmp_path, back=True), 0, [], scene(crop=(50.0, 50.0)), 0)
    white = (frame.target > 252).all(2)
    assert white.sum() > 0.5 * (frame.drawn > 0.5).sum()
    assert not (white & (frame.drawn > 0.05)).any()


@pytest.mark.usefixtures("steady_camera")
def test_nobody_there_is_the_same_before_and_after(cutouts: CutoutSet) -> None:
    for seed in range(4):
        frame = compose(cutouts, 0, [2], scene(empty=1.0, crowd=1.0, occluded=1.0), seed)
        assert not frame.drawn.any() and change(frame).max() == 0


def test_two_people_of_one_character(cutouts: CutoutSet) -> None:
    counts = []
    for seed in range(8):
        frame = compose(cutouts, 0, [2, 4], scene(crowd=1.0, crop=(36.0, 40.0)), seed)
        apart, _ = cv2.connectedComponents((frame.drawn > 0.5).astype(np.uint8))
        counts.append(apart - 1)
        colors = frame.target[frame.drawn > 0.999].astype(int)
        assert np.abs(colors - PAINT[0]).max() <= 2
    assert np.mean(np.array(counts) == 2) > 0.7
    alone = compose(cutouts, 0, [], scene(crowd=1.0, crop=(36.0, 40.0)), 0)
    assert cv2.connectedComponents((alone.drawn > 0.5).astype(np.uint8))[0] == 2, "nobody else is"


@pytest.mark.usefixtures("steady_camera")
def test_what_is_in_front_stays_in_front(cutouts: CutoutSet) -> None:
    hidden, checked = [], 0
    for seed in range(12):
        frame = compose(cutouts, 0, [], scene(occluded=1.0, crop=(56.0, 60.0)), seed)
        over = np.abs(frame.target.astype(int) - PAINT[0]).max(2) > 12
        hidden.append((over & (frame.drawn > 0.99)).sum() / (frame.drawn > 0.99).sum())
        firm = ((frame.drawn > 0.99) & over).astype(np.uint8)
        firm = shrunk(cv2.erode(firm, np.ones((7, 7), np.uint8))) == 1
        if firm.any():
            checked += 1
            assert np.median(change(frame)[firm]) <= 4, "the same lies there in the photograph"
    assert np.mean(np.array(hidden) > 0.01) > 0.4 and max(hidden) < 0.9
    assert checked > 2


@pytest.mark.usefixtures("steady_camera")
def test_other_backgrounds(cutouts: CutoutSet) -> None:
    own, other = (
        [compose(cutouts, 0, [], scene(elsewhere=share), seed) for seed in range(6)]
        for share in (0.0, 1.0)
    )
    for frame in other:
        away = shrunk(cv2.dilate(frame.drawn, np.ones((5, 5), np.uint8))) == 0
        assert change(frame)[away].max() <= 3
    plain = [frame.target.std((0, 1)).max() for frame in own]
    assert np.mean([frame.target.std((0, 1)).max() for frame in other]) > np.mean(plain)


def test_every_character_is_named(cutouts: CutoutSet) -> None:
    found = {compose(cutouts, n, [], scene(), 0).character for n in range(len(cutouts))}
    assert found == set(range(len(NAMES)))


@pytest.mark.usefixtures("steady_camera")
@pytest.mark.parametrize("seed", range(6))
def test_the_matte_is_where_a_frame_is_not_to_stay(cutouts: CutoutSet, seed: int) -> None:
    frame = compose(cutouts, seed, [], scene(), seed)
    assert frame.matte.shape == frame.drawn.shape and frame.matte.dtype == np.float32
    assert frame.matte.max() <= 1.001 and (frame.matte >= frame.drawn - 1e-3).all()
    reach = cv2.dilate(frame.drawn, np.ones((9, 9), np.uint8))  # larger than the heads
    assert frame.matte[reach == 0].max(initial=0) < 0.05
    empty = compose(cutouts, seed, [], scene(empty=1.0), seed)
    assert not empty.matte.any()


@pytest.mark.usefixtures("steady_camera")
def test_what_is_in_front_is_not_in_the_matte(cutouts: CutoutSet) -> None:
    hidden = []
    for seed in range(12):
        frame = compose(cutouts, 0, [], scene(occluded=1.0, crop=(56.0, 60.0)), seed)
        hidden.append((frame.matte[frame.drawn > 0.99] < 0.5).mean())
    assert np.mean(np.array(hidden) > 0.01) > 0.4 and max(hidden) < 0.95


def test_small_drawings_have_no_dark_rims(tmp_path: Path) -> None:
    """Transparent pixels are black, and count for nothing."""
    fine = cutout_set(tmp_path, size=512)
    frame = compose(fine, 0, [], scene(crop=(40.0, 40.0), scale=1), 0)
    edge = (frame.drawn > 0.3) & (frame.drawn < 0.9)
    assert edge.sum() > 20
    assert frame.target[edge].mean() > 0.8 * np.mean(PAINT[0])
