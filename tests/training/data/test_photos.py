"""Folders of photographs as aligned faces."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from toonify.errors import InputError
from toonify.faces.types import Face, f32
from toonify.training.data import photos
from toonify.training.data.photos import load_photos


def write(path: Path, side: int, shade: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side, 3), shade, np.uint8)).save(path)


class OneFace:
    """Finds a face in the middle of every picture that isn't black."""

    name = "fake"

    def detect(self, rgb: np.ndarray) -> list[Face]:
        if not rgb.any():
            return []
        s = rgb.shape[0]
        points = f32([(0.4, 0.4), (0.6, 0.4), (0.5, 0.5), (0.43, 0.6), (0.57, 0.6)]) * s
        return [Face(box=f32([0.3, 0.3, 0.7, 0.7]) * s, score=1.0, points5=points)]


def test_faces_are_cut_and_the_rest_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "people"
    write(folder / "a.png", 200)
    write(folder / "sub/b.jpg", 300, 200)
    write(folder / "black.png", 200, 0)
    write(folder / "speck.png", 40)
    (folder / "torn.png").write_bytes(b"no picture")
    done: list[tuple[int, int]] = []
    cache = tmp_path / "run"
    found = load_photos(
        folder, cache, size=64, detector=OneFace(), progress=lambda *step: done.append(step)
    )
    assert found.names == ["a.png", "sub/b.jpg"] and done[-1] == (4, 5)
    reasons = dict(found.skipped)
    assert set(reasons) == {"black.png", "speck.png", "torn.png"}
    assert "no face" in reasons["black.png"] and "pixels across" in reasons["speck.png"]
    images = found.batch(torch.tensor([1, 0]))
    assert images.shape == (2, 3, 64, 64) and images[0].mean() > 0.5 > images[1].mean() > -1
    assert sorted(p.name for p in cache.iterdir()) == ["photos.json", "photos.npy"]


def test_crops_are_kept_while_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = tmp_path / "crops", tmp_path / "run"
    for i in range(3):
        write(folder / f"{i}.png", 80, 80 * i)
    first = load_photos(folder, cache, size=32, aligned=True)
    assert first.names == ["0.png", "1.png", "2.png"]
    with monkeypatch.context() as patch:
        patch.setattr(photos, "read_image", None)
        again = load_photos(folder, cache, size=32, aligned=True)
        assert again.names == first.names and np.array_equal(again.images, first.images)
    write(folder / "3.png", 80)
    assert len(load_photos(folder, cache, size=32, aligned=True)) == 4
    (cache / "photos.npy").write_bytes(b"cut short")
    assert len(load_photos(folder, cache, size=32, aligned=True)) == 4
    (cache / "photos.json").write_text(json.dumps({"key": 1}))
    assert len(load_photos(folder, cache, size=32, aligned=True)) == 4


def test_too_little_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        load_photos(tmp_path / "gone", tmp_path / "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image in"):
        load_photos(tmp_path / "empty", tmp_path / "run")
    write(tmp_path / "one/a.png", 80)
    write(tmp_path / "one/b.png", 4)
    with pytest.raises(InputError, match=r"1 usable photographs, 2 are needed; 1 left out, such"):
        load_photos(tmp_path / "one", tmp_path / "run", aligned=True)
    (tmp_path / "blocked").write_text("in the way")
    with pytest.raises(InputError, match="can't keep the aligned photographs"):
        load_photos(tmp_path / "one", tmp_path / "blocked", aligned=True)
