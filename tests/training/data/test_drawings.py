"""A folder of drawings: what is taken, what is named and left out, what is an error."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toonify.errors import InputError
from toonify.training.data import drawings as data
from toonify.training.data.drawings import load_drawings, prepare


def draw(path: Path, size: tuple[int, int] = (64, 64), color: tuple = (255, 0, 0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA" if len(color) == 4 else "RGB", size, color).save(path)


def test_reads_recursively_with_characters(tmp_path: Path) -> None:
    draw(tmp_path / "mina" / "a.png")
    draw(tmp_path / "bram" / "deep" / "b.png", color=(0, 255, 0))
    draw(tmp_path / "top.png", size=(40, 90))
    drawings = load_drawings(tmp_path, 32)
    assert drawings.names == ["bram/deep/b.png", "mina/a.png", "top.png"]
    assert drawings.characters == ["bram", "mina", ""]
    assert drawings.images.shape == (3, 3, 32, 32)
    assert drawings.of("bram").shape[0] == 1
    assert drawings.of("bram")[0, :, 5, 5].tolist() == [0, 255, 0]


def test_names_and_skips_bad_files(tmp_path: Path) -> None:
    draw(tmp_path / "good.png")
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.jpg").touch()
    draw(tmp_path / "tiny.png", size=(4, 4))
    drawings = load_drawings(tmp_path, 64)
    assert drawings.names == ["good.png"]
    assert {name for name, _ in drawings.skipped} == {"text.png", "empty.jpg", "tiny.png"}
    assert "4 pixels" in dict(drawings.skipped)["tiny.png"]


def test_transparent_is_white_and_wide_is_cropped() -> None:
    rgb = np.zeros((20, 40, 3), np.uint8)
    rgb[:, 10:30] = 200
    assert (prepare(rgb, None, 20) == 200).all()
    alpha = np.zeros((20, 40), np.uint8)
    assert (prepare(rgb, alpha, 20) == 255).all()


@pytest.mark.parametrize("make", [False, True])
def test_nothing_there(make: bool, tmp_path: Path) -> None:
    folder = tmp_path / "drawings"
    if make:
        folder.mkdir()
    with pytest.raises(InputError, match="no image in" if make else "not a folder"):
        load_drawings(folder, 32)


def test_too_few_names_a_reason(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no")
    with pytest.raises(InputError, match=r"1 usable images, 2 are needed; 1 left out.*b\.png"):
        load_drawings(tmp_path, 32, minimum=2)


def test_cache_is_used_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_text("no")
    first = load_drawings(tmp_path / "in", 32, cache=tmp_path / "cache")
    monkeypatch.setattr(data, "read_image", None)  # reading again would fail
    second = load_drawings(tmp_path / "in", 32, cache=tmp_path / "cache")
    assert (first.images == second.images).all()
    assert first.skipped == second.skipped and first.names == second.names
    monkeypatch.undo()
    draw(tmp_path / "in" / "a.png", color=(0, 0, 255), size=(80, 80))
    third = load_drawings(tmp_path / "in", 32, cache=tmp_path / "cache")
    assert third.images[0, :, 0, 0].tolist() == [0, 0, 255]


def test_damaged_cache_is_read_anew(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.png")
    load_drawings(tmp_path / "in", 32, cache=tmp_path / "cache")
    (stored,) = (tmp_path / "cache").iterdir()
    stored.write_bytes(stored.read_bytes()[:100])
    assert len(load_drawings(tmp_path / "in", 32, cache=tmp_path / "cache").names) == 1
