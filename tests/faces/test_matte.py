"""The silhouette of a drawing, and pasting by it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from toonify.faces import Face, align, paste_back
from toonify.faces.matte import drawing_matte

POINTS = np.float32([[-1, 0], [1, 0], [0, 1], [-0.8, 2], [0.8, 2]])


def backdrop(size: int) -> np.ndarray:
    """A pastel gradient, curved as the drawings have it."""
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    return np.stack([210 + 30 * y, 225 - 20 * x * y, 250 - 40 * y * y], 2)


def drawing(size: int = 256, *, noise: float = 0.0, eye: bool = True) -> np.ndarray:
    """A head with a neck that runs out of the bottom; its eye has the background's color."""
    s = size / 256
    image = backdrop(size)
    truth = silhouette(size)
    image[truth] = (150, 80, 60)
    if eye:
        hole = np.zeros((size, size), np.uint8)
        cv2.circle(hole, (round(100 * s), round(120 * s)), round(14 * s), 1, -1)
        image[hole > 0] = backdrop(size)[hole > 0]
    image += np.random.default_rng(0).normal(0, noise, image.shape) if noise else 0
    return np.clip(image, 0, 255).astype(np.uint8)


def silhouette(size: int) -> np.ndarray:
    s = size / 256
    mask = np.zeros((size, size), np.uint8)
    cv2.circle(mask, (size // 2, size // 2), round(80 * s), 1, -1)
    mask[size // 2 :, round(98 * s) : round(158 * s)] = 1
    return mask > 0


def face_in(center: tuple[float, float], unit: float) -> Face:
    points = POINTS * unit + np.float32(center)
    box = np.concatenate([points.min(0) - unit, points.max(0) + unit])
    return Face(box.astype(np.float32), 1.0, points.astype(np.float32))


@pytest.mark.parametrize("size", [128, 256, 512])
@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_head_on_a_gradient(size: int, noise: float) -> None:
    matte = drawing_matte(drawing(size, noise=noise))
    assert matte is not None and matte.shape == (size, size) and matte.dtype == np.float32
    assert matte.min() == 0 and matte.max() == 1
    truth = silhouette(size)
    union = (truth | (matte > 0.5)).sum()
    assert (truth & (matte > 0.5)).sum() / union > 0.94
    assert (matte[~truth] > 0.5).sum() < 0.005 * size * size  # drawn in, not out, against a halo
    assert matte[round(size * 0.47), round(size * 0.39)] == 1  # the eye is no hole
    assert ((matte > 0.05) & (matte < 0.95)).sum() > size  # anti-aliased
    assert matte[-1, size // 2] == 1  # the neck runs out of the picture


def test_hair_at_the_sides_does_not_spoil_the_fit() -> None:
    image = drawing()
    image[120:, :20] = (40, 30, 60)
    image[120:, :60][140 - 120 :] = (40, 30, 60)
    matte = drawing_matte(image)
    assert matte is not None
    assert matte[200, 30] == 1 and matte[60, 10] == 0 and matte[220, 240] == 0


def test_without_a_plain_background_there_is_no_matte() -> None:
    rng = np.random.default_rng(2)
    texture = cv2.GaussianBlur(rng.normal(0, 1, (256, 256, 3)).astype(np.float32), (0, 0), 4)
    assert drawing_matte(np.clip(128 + texture * 800, 0, 255).astype(np.uint8)) is None
    assert drawing_matte(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)) is None


def test_nothing_in_front_is_no_matte() -> None:
    assert drawing_matte(backdrop(256).astype(np.uint8)) is None
    assert drawing_matte(np.zeros((64, 64, 3), np.uint8)) is None
    assert drawing_matte(np.zeros((4, 4, 3), np.uint8)) is None
    aside = backdrop(256)
    aside[180:220, 20:60] = 0
    assert drawing_matte(aside.astype(np.uint8)) is None


@pytest.mark.parametrize("size", [64, 256, 700])
def test_paste_keeps_the_photo_around_the_silhouette(size: int) -> None:
    """In front of a plain wall, none of the drawing's background comes along."""
    photo = np.full((400, 500, 3), (60, 90, 70), np.uint8)
    crop = align(photo, face_in((250, 200), 35), 256)
    out = paste_back(photo, drawing(size), crop).astype(int)
    side = float(np.hypot(*crop.matrix[:, 0])) * 256
    x0, y0 = crop.matrix[:, 2]

    def at(u: float, v: float) -> np.ndarray:
        return out[round(y0 + v * side), round(x0 + u * side)]

    for u, v in [(0.06, 0.06), (0.1, 0.5), (0.9, 0.5), (0.5, 0.1)]:
        assert np.abs(at(u, v) - (60, 90, 70)).max() <= 2
    assert np.abs(at(0.5, 0.5) - (150, 80, 60)).max() <= 2
    neck = [at(0.5, v)[0] for v in np.linspace(0.82, 0.995, 12)]
    assert neck[0] == pytest.approx(150, abs=2) and neck[-1] < 75
    assert (np.diff(neck) <= 1).all()


def test_hair_that_sticks_out_is_painted_over() -> None:
    photo = np.full((400, 500, 3), (200, 190, 180), np.uint8)
    cv2.ellipse(photo, (250, 215), (60, 100), 0, 0, 360, (30, 25, 20), -1)  # hair and head
    photo[300:, 180:320] = (90, 20, 20)  # body
    before = photo.copy()
    crop = align(photo, face_in((250, 210), 35), 256)
    out = paste_back(photo, drawing(), crop).astype(int)
    assert np.abs(out[125, 250] - (200, 190, 180)).max() < 12  # hair above the drawn head
    assert np.array_equal(out[390], before[390]) and np.array_equal(photo, before)
    assert np.array_equal(out[:, :60], before[:, :60])
    again = paste_back(photo, drawing(), crop)
    assert np.array_equal(out, again)


def test_busy_background_and_long_hair_are_left_alone() -> None:
    busy = np.random.default_rng(3).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    busy = cv2.resize(busy[:80, :100], (500, 400), interpolation=cv2.INTER_NEAREST)
    long_hair = np.full((400, 500, 3), (200, 190, 180), np.uint8)
    cv2.ellipse(long_hair, (250, 215), (115, 120), 0, 180, 360, (30, 25, 20), -1)
    long_hair[215:400, 135:365] = (30, 25, 20)
    for photo in (busy, long_hair):
        crop = align(photo, face_in((250, 210), 35), 256)
        out = paste_back(photo, drawing(), crop)
        assert np.array_equal(out[:120], photo[:120])


def test_silhouette_at_the_photo_s_corner() -> None:
    photo = np.full((400, 500, 3), 120, np.uint8)
    crop = align(photo, face_in((20, 380), 35), 256)
    out = paste_back(photo, drawing(), crop)
    assert out.shape == photo.shape and np.array_equal(out[:200, 200:], photo[:200, 200:])
    assert np.abs(out[385, 20].astype(int) - (150, 80, 60)).max() <= 2


def test_hair_that_fills_most_of_the_top() -> None:
    image = backdrop(256)
    truth = silhouette(256)
    cv2.ellipse(hair := np.zeros((256, 256), np.uint8), (128, 40), (90, 80), 0, 0, 360, 1, -1)
    truth |= hair > 0
    image[truth] = (60, 40, 30)
    matte = drawing_matte(np.clip(image, 0, 255).astype(np.uint8))
    assert matte is not None
    assert ((matte > 0.5) != truth).mean() < 0.03
