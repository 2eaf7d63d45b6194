"""FFHQ alignment: points land where FFHQ has them, and a crop goes back where it came from."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from toonify.errors import InputError
from toonify.faces import Face, align, ffhq_quad, paste_back
from toonify.faces.types import is_plausible, points5_from_68

UPRIGHT = np.float32([[-1, 0], [1, 0], [0, 1], [-0.8, 2], [0.8, 2]])  # eyes 2 apart, mouth 2 below


def face_at(center: tuple[float, float], unit: float, angle: float = 0.0) -> Face:
    """A face whose eyes are 2 * unit px apart, turned clockwise by `angle` degrees."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    points = UPRIGHT * unit @ np.float32([[c, s], [-s, c]]) + np.float32(center)
    box = np.concatenate([points.min(0) - unit, points.max(0) + unit])
    return Face(box.astype(np.float32), 1.0, points.astype(np.float32))


def photo(height: int = 400, width: int = 500) -> np.ndarray:
    """Smooth but structured, so that a wrong warp costs."""
    noise = np.random.default_rng(1).normal(0, 1, (height, width, 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.clip(128 + noise * 800, 0, 255).astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = ((a.astype(float) - b) ** 2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.parametrize("angle", [0, 25, -90, 180])
@pytest.mark.parametrize("size", [256, 100])
def test_points_land_on_ffhq_positions(angle: float, size: int) -> None:
    """With equal eye and eye-mouth distance d the crop's side is 4 d, its center 0.1 d below the
    eyes: eyes at x 3/8 and 5/8, y 0.475; mouth at y 0.725."""
    face = face_at((250, 200), 25, angle)
    placed = align(photo(), face, size).to_crop(face.points5)
    expected = np.float32([[0.375, 0.475], [0.625, 0.475], [0.5, 0.6], [0.4, 0.725], [0.6, 0.725]])
    np.testing.assert_allclose((placed + 0.5) / size, expected, atol=0.003)


def test_quad_from_68_points_uses_eye_means_and_mouth_corners() -> None:
    face = face_at((250, 200), 25)
    points68 = np.zeros((68, 2), np.float32)
    spread = np.float32([[-4, 0], [-2, -2], [2, -2], [4, 0], [2, 2], [-2, 2]])
    points68[36:42] = face.points5[0] + spread
    points68[42:48] = face.points5[1] + spread
    points68[30], points68[48], points68[54] = face.points5[2:]
    np.testing.assert_allclose(points5_from_68(points68), face.points5)
    other = Face(face.box, 1.0, face.points5, points68)
    np.testing.assert_allclose(ffhq_quad(other), ffhq_quad(face), atol=1e-3)


def test_long_face_is_framed_by_eye_mouth_distance() -> None:
    face = face_at((250, 200), 25)
    face.points5[:2, 0] = [240, 260]
    quad = ffhq_quad(face)
    # Eye to mouth is 50, so the side is at least 2 * 1.8 * 50.
    assert np.hypot(*(quad[3] - quad[0])) == pytest.approx(180, abs=1)


def test_rotated_face_comes_out_upright() -> None:
    base = photo()
    straight = align(base, face_at((250, 200), 25), 128)
    turn = cv2.getRotationMatrix2D((250, 200), -30, 1)
    turned = cv2.warpAffine(base, turn, (500, 400), flags=cv2.INTER_CUBIC)
    got = align(turned, face_at((250, 200), 25, 30), 128)
    assert psnr(got.image, straight.image) > 30


@pytest.mark.parametrize("size", [64, 200, 512])
def test_crop_shows_the_photo(size: int) -> None:
    base = photo()
    got = align(base, face_at((250, 200), 25), size)
    x0, y0 = ffhq_quad(got.face)[0]
    side = round(float(np.hypot(*got.matrix[:, 0]) * size))
    part = cv2.getRectSubPix(base, (side, side), (x0 + side / 2 - 0.5, y0 + side / 2 - 0.5))
    shape = (size, size)
    method = cv2.INTER_AREA if size < side else cv2.INTER_CUBIC
    assert psnr(got.image, cv2.resize(part, shape, interpolation=method)) > 30


def test_downscaling_does_not_alias() -> None:
    stripes = np.zeros((2000, 2000, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = align(stripes, face_at((1000, 900), 200), 64).image
    assert np.abs(crop.astype(int) - 128).max() < 25


@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("angle", [0, 17])
def test_paste_back_of_the_crop_reproduces_the_photo(size: int, angle: float) -> None:
    base = photo()
    crop = align(base, face_at((250, 200), 25, angle), size)
    back = paste_back(base, crop.image, crop)
    assert psnr(back, base) > 38
    assert back is not base and back.shape == base.shape


def test_paste_back_covers_the_face_and_feathers() -> None:
    base = np.full((400, 500, 3), 200, np.uint8)
    crop = align(base, face_at((250, 200), 25), 128)
    for side in (32, 128, 600):
        out = paste_back(base, np.zeros((side, side, 3), np.uint8), crop)
        assert out[205, 250].max() == 0  # the crop's middle is the toon
        assert (out[:, :120] == 200).all() and (out[:60] == 200).all()
        row = out[205, 120:250, 0].astype(int)
        assert (np.diff(row) <= 0).all() and np.abs(np.diff(row)).max() < 40  # a soft edge
    assert (base == 200).all()


def test_crop_beyond_the_photo_is_filled_and_pasted_only_inside() -> None:
    base = photo()
    face = face_at((30, 370), 25)
    crop = align(base, face, 256)
    assert crop.image.std() > 5  # reflected, not black
    corner = crop.image[-8:, :8].reshape(-1, 3)
    assert corner.std(0).max() < 8  # faded towards one color
    out = paste_back(base, np.zeros((256, 256, 3), np.uint8), crop)
    assert out.shape == base.shape and out[370, 0:30].max() < 60
    assert np.array_equal(out[:200, 200:], base[:200, 200:])


def test_tiny_and_huge() -> None:
    face = face_at((6, 5), 1.5)
    assert align(photo(12, 14), face, 64).image.shape == (64, 64, 3)
    big = np.zeros((3000, 3000, 3), np.uint8)
    assert align(big, face_at((1500, 1500), 600), 256).image.shape == (256, 256, 3)


def test_nonsense_points_are_refused() -> None:
    good = face_at((250, 200), 25).points5
    assert is_plausible(good)
    same_eyes = good.copy()
    same_eyes[1] = same_eyes[0]
    mirrored = good[[1, 0, 2, 4, 3]]
    lost = np.full_like(good, np.nan)
    for points in (same_eyes, mirrored, lost):
        assert not is_plausible(points)
        with pytest.raises(InputError):
            ffhq_quad(Face(np.float32([0, 0, 1, 1]), 1.0, points))


def test_face_outside_the_photo_is_refused() -> None:
    with pytest.raises(InputError, match="outside"):
        align(photo(), face_at((5000, 5000), 25), 64)
