"""Cutouts made with a bundle: a drawing a face, the characters in turn."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.training.tiny_training import tiny_generator
from toonify.errors import InputError
from toonify.faces.types import RGB, Points
from toonify.training.data.latent_samples import render, sample_w_plus
from toonify.training.styleganex.cutouts import INDEX, CutoutSet
from toonify.training.styleganex.making import SIZE, make_cutouts

PAINT = {"mina": (30, 160, 60), "jun": (200, 40, 150)}


class Toons:
    """Draws a head before a plain wall, from which some latents' can't be separated."""

    characters = tuple(PAINT)

    def __init__(self, *, busy: tuple[int, ...] = ()) -> None:
        self.busy, self.encoded, self.drawn = busy, [], 0
        self.model = self  # the engine's network, as `Toonifier` holds it

    def encode(self, crops: list[RGB]) -> torch.Tensor:
        self.encoded.append(len(crops))
        assert all(crop.shape == (SIZE, SIZE, 3) and crop.dtype == np.uint8 for crop in crops)
        return torch.zeros(len(crops), 8, 16)

    def render(self, w_plus: torch.Tensor, character: str) -> list[RGB]:
        assert len(w_plus) == 1
        picture = np.full((128, 128, 3), (215, 225, 235), np.uint8)
        cv2.circle(picture, (64, 64), 36, PAINT[character], -1)
        picture[64:, 50:78] = PAINT[character]
        if self.drawn in self.busy:
            picture = np.random.default_rng(0).integers(0, 256, picture.shape, dtype=np.uint8)
        self.drawn += 1
        return [picture]


def matte(rgb: RGB) -> Points:
    """Somebody's head and shoulders."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (SIZE // 2, SIZE // 2), SIZE // 4, 1, -1)
    return mask.astype(np.float32)


def make(folder: Path, toons: Toons, count: int = 10, **options) -> None:
    make_cutouts(tiny_generator("mobile"), toons, matte, folder, count, **options)  # type: ignore[arg-type]


def test_a_drawing_for_every_face(tmp_path: Path) -> None:
    toons, progress_seen = Toons(), []
    make(tmp_path / "set", toons, progress=lambda done, of: progress_seen.append((done, of)))
    assert progress_seen == [(8, 10), (10, 10)] and toons.encoded == [8, 2]
    found = CutoutSet(tmp_path / "set")
    assert len(found) == 10 and found.characters == ("mina", "jun")
    for number in range(10):
        cutout = found[number]
        assert cutout.character == number % 2 and 0.8 < cutout.chin < 0.95
        assert cutout.face.shape == cutout.fill.shape == (SIZE, SIZE, 3)
        assert np.array_equal(cutout.matte > 0, matte(cutout.face) > 0)
        color = PAINT[found.characters[cutout.character]]
        middle = cutout.head.shape[0] // 2
        assert cutout.head[middle, middle].tolist() == [*color, 255]
        assert cutout.head[4, 4, 3] == 0, "the drawing's wall is transparent"
        outside = cutout.matte == 0
        outside = cv2.erode(outside.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert np.array_equal(cutout.fill[outside], cutout.face[outside])
        assert not np.array_equal(cutout.fill, cutout.face)


def test_faces_are_the_generators_and_the_seed_decides(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        torch.manual_seed(ord(name))
        make(tmp_path / name, Toons(), 2, seed=seed)
    first, again, other = (CutoutSet(tmp_path / name)[1].face for name in "abc")
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    generator = tiny_generator("mobile")
    w_plus = sample_w_plus(generator, 2, torch.Generator().manual_seed(3))
    wanted = render(generator, w_plus, size=SIZE)[1] * 127.5 + 127.5
    small = cv2.resize(first, (32, 32), interpolation=cv2.INTER_AREA)
    pair = np.stack([small.ravel(), wanted.permute(1, 2, 0).numpy().ravel()])
    assert np.corrcoef(pair)[0, 1] > 0.8, "enlarged to a crop's size"


def test_drawings_that_can_not_be_told_from_their_background_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, Toons(busy=(1, 4)), 6)
    rows = json.loads((tmp_path / INDEX).read_text())["drawings"]
    assert [row["face"] for row in rows] == [0, 2, 3, 5]
    assert [row["character"] for row in rows] == [0, 0, 1, 1]
    assert len(CutoutSet(tmp_path)) == 4


def test_without_any_drawing_there_is_no_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no drawing can be separated.*something plain"):
        make(tmp_path, Toons(busy=(0, 1)), 2)
    assert not (tmp_path / INDEX).exists()


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't keep cutouts in"):
        make(tmp_path / "file", Toons(), 2)
