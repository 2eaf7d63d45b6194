"""People and what is behind them: filled backgrounds, hair by its color, the matte itself."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from toonify.checkpoints import cache, registry
from toonify.errors import ModelError
from toonify.faces.person import FILE, PersonMatte, fill_behind, fill_from, hair_matte

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"
HAIR, SKIN, CLOTH = (70, 40, 25), (220, 170, 145), (40, 60, 150)


def disc(height: int, width: int, radius: int) -> np.ndarray:
    matte = np.zeros((height, width), np.float32)
    cv2.circle(matte, (width // 2, height // 2), radius, 1, -1)
    return cv2.GaussianBlur(matte, (0, 0), 1)


def before(picture: np.ndarray, matte: np.ndarray, color=(250, 0, 0)) -> np.ndarray:
    """Somebody of that color before a picture."""
    mixed = picture + (np.float32(color) - picture) * matte[..., None]
    return np.rint(mixed).astype(np.uint8)


@pytest.mark.parametrize("size", [(64, 64), (61, 90), (128, 33)])
@pytest.mark.parametrize("color", [(250, 0, 0), (0, 0, 0), (255, 255, 255)])
def test_a_flat_background_is_found_behind_a_disc(size: tuple[int, int], color) -> None:
    wall = np.full((*size, 3), (60, 120, 200), np.float32)
    matte = disc(*size, min(size) // 3)
    filled = fill_behind(before(wall, matte, color), matte)
    assert filled.shape == wall.shape and filled.dtype == np.uint8
    assert np.abs(filled.astype(int) - wall).max() <= 2, "nothing of the person shines through"


def test_a_gradient_is_found_roughly_and_what_is_seen_stays() -> None:
    y, x = np.mgrid[0:1:96j, 0:1:96j]
    sky = np.float32(np.stack([80 + 120 * x, 200 - 80 * y, 90 + 60 * x * y], 2))
    matte = disc(96, 96, 28)
    picture = before(sky, matte)
    filled = fill_behind(picture, matte)
    away = cv2.dilate(matte, np.ones((7, 7), np.uint8)) == 0
    assert np.array_equal(filled[away], picture[away])
    assert np.abs(filled.astype(int) - sky).max() < 40, "the disc differs by up to 200"
    assert np.abs(filled.astype(int) - sky).mean() < 4
    assert np.abs(np.diff(filled.astype(int), axis=1)).max() < 12, "no edge is left of it"


def test_pictures_that_are_covered_wholly_or_not_at_all() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    assert np.array_equal(fill_behind(picture, np.zeros((40, 56), np.float32)), picture)
    assert not fill_behind(picture, np.ones((40, 56), np.float32)).any(), "there is no color"


def test_a_single_sure_pixel_gives_all_its_color() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    sure = np.zeros((32, 32), np.float32)
    sure[5, 7] = 1
    assert np.abs(fill_from(picture, sure).astype(int) - picture[5, 7].astype(int)).max() <= 1


def person(size: int = 256, *, hair: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An FFHQ crop of somebody painted, their opacity, and where their hair is."""
    s = size / 256
    picture = np.full((size, size, 3), (150, 150, 140), np.uint8)
    matte, long = (np.zeros((size, size), np.uint8) for _ in "ab")

    def paint(mask: np.ndarray, color) -> None:
        picture[mask > 0] = color
        matte[mask > 0] = 1

    body, face = np.zeros_like(matte), np.zeros_like(matte)
    cv2.ellipse(body, (size // 2, size), (round(100 * s), round(40 * s)), 0, 0, 360, 1, -1)
    if hair:
        center, axes = (size // 2, round(130 * s)), (round(84 * s), round(105 * s))
        cv2.ellipse(long, center, axes, 0, 0, 360, 1, -1)
    paint(body, CLOTH)
    paint(long, HAIR)
    center, axes = (size // 2, round(150 * s)), (round(58 * s), round(82 * s))
    cv2.ellipse(face, center, axes, 0, 0, 360, 1, -1)
    paint(face, SKIN)
    noise = np.random.default_rng(2).normal(0, 3, picture.shape)
    picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return picture, matte.astype(np.float32), (long > 0) & (face == 0)


@pytest.mark.parametrize("size", [128, 256])
def test_hair_is_told_from_skin_and_clothes(size: int) -> None:
    picture, matte, truth = person(size)
    found = hair_matte(picture, matte)
    assert found.shape == (size, size) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    union = (truth | (found > 0.5)).sum()
    assert (truth & (found > 0.5)).sum() / union > 0.8
    assert not found[matte == 0].max() > 0.6, "a wall has no hair"
    assert found[round(0.6 * size), size // 2] == 0 and found[-2, size // 2] < 0.1
    assert np.array_equal(found, hair_matte(picture, matte)), "the same every time"


def test_without_hair_there_is_none() -> None:
    picture, matte, _ = person(hair=False)
    assert not hair_matte(picture, matte).any()
    assert not hair_matte(picture, np.zeros_like(matte)).any()


@pytest.mark.parametrize("content", [None, b"", b"no network", b"\x18\0\0\0TFL3" + bytes(200)])
@pytest.mark.parametrize("named", [True, False])
def test_what_is_no_network_is_refused_in_one_line(
    tmp_path: Path, content: bytes | None, named: bool
) -> None:
    path = tmp_path / FILE
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"{FILE} can't be read.*models pull person-matte") as e:
        PersonMatte(path if named else tmp_path)
    assert "\n" not in str(e.value)


@pytest.mark.skipif(
    not cache.is_cached(registry.get("person-matte")), reason="its weights are not in the cache"
)
def test_an_astronaut_is_cut_out() -> None:
    matte = PersonMatte(cache.resolve("person-matte"))
    rgb = np.asarray(Image.open(ASTRONAUT).convert("RGB").resize((300, 240)))
    found = matte(rgb)
    assert found.shape == (240, 300) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    assert found[60, 130] > 0.9, "her face"
    assert found[10:40, 5:40].max() < 0.1, "the flag beside her"
    assert 0.2 < found.mean() < 0.7
