"""Folders of cutouts: whole ones are read, anything else is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.styleganex.tiny_frames import (
    BODY,
    CHIN,
    HEAD,
    NAMES,
    PAINT,
    cutout_set,
    wall,
    write_cutouts,
)
from toonify.errors import InputError
from toonify.training.styleganex.cutouts import ARRAYS, INDEX, CutoutSet, write_faces


def change(folder: Path, **entries) -> None:
    path = folder / INDEX
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def change_row(folder: Path, **entries) -> None:
    rows = json.loads((folder / INDEX).read_text())["drawings"]
    change(folder, drawings=[rows[0] | entries, *rows[1:]])


def test_a_person_and_a_drawing(tmp_path: Path) -> None:
    found = cutout_set(tmp_path, margin=0.25)
    assert len(found) == 6 and found.characters == NAMES
    cutout = found[3]
    assert (cutout.character, cutout.chin, cutout.margin) == (1, CHIN, 0.25)
    assert cutout.face[32, 32].tolist() == list(HEAD)
    assert cutout.face[62, 32].tolist() == list(BODY)
    assert cutout.matte.dtype == np.uint8 and set(np.unique(cutout.matte)) == {0, 255}
    assert cutout.matte[32, 32] == cutout.matte[62, 32] == 255 and cutout.matte[4, 4] == 0
    assert not cutout.hair.any()
    assert np.array_equal(cutout.fill, wall(3, 64))
    assert cutout.head.shape == (64, 64, 4)
    assert cutout.head[32, 32].tolist() == [*PAINT[1], 255], "red, green, blue, opacity"
    assert cutout.head[2, 2, 3] == 0 and cutout.back is None


def test_what_hangs_behind_is_read_where_there_is_something(tmp_path: Path) -> None:
    back = cutout_set(tmp_path, back=True)[0].back
    assert back is not None and back[32, 32].tolist() == [255, 255, 255, 255]


def test_backgrounds_and_textures_of_any_number(tmp_path: Path) -> None:
    found = cutout_set(tmp_path)
    assert np.array_equal(found.background(6 * 10**8 + 2), wall(2, 64))
    assert found.texture(13)[32, 32].tolist() == list(HEAD)
    assert np.array_equal(found.texture(13)[:10], wall(1, 64)[:10])


def test_drawings_of_a_character(tmp_path: Path) -> None:
    found = cutout_set(tmp_path, 7)
    assert found.of_character(0, 0, 7) == [0, 2, 4, 6]
    assert found.of_character(1, 2, 5) == [3]


def test_several_drawings_of_one_face(tmp_path: Path) -> None:
    write_cutouts(tmp_path)
    rows = json.loads((tmp_path / INDEX).read_text())["drawings"]
    change(tmp_path, drawings=[row | {"face": 5} for row in rows])
    found = CutoutSet(tmp_path)
    assert len(found) == 6 and np.array_equal(found[0].fill, wall(5, 64))


@pytest.mark.parametrize("where", ["../outside.png", "mina/../../outside.png", "/etc/hostname"])
@pytest.mark.parametrize("layer", ["head", "back"])
def test_pictures_stay_inside(tmp_path: Path, where: str, layer: str) -> None:
    folder = write_cutouts(tmp_path / "set")
    (folder / "mina/0.png").rename(tmp_path / "outside.png")
    (folder / "mina/0.png").symlink_to(folder / "mina/2.png")
    change_row(folder, **{layer: where})
    with pytest.raises(InputError, match="points outside its folder"):
        CutoutSet(folder)[0]


def test_links_stay_inside(tmp_path: Path) -> None:
    folder = write_cutouts(tmp_path / "set")
    (folder / "mina/0.png").rename(tmp_path / "outside.png")
    (folder / "mina/0.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(InputError, match="points outside its folder"):
        CutoutSet(folder)[0]


def test_pictures_without_opacity_are_refused(tmp_path: Path) -> None:
    folder = write_cutouts(tmp_path)
    found = CutoutSet(folder)
    cv2.imwrite(str(folder / "mina/0.png"), np.zeros((64, 64, 3), np.uint8))
    (folder / "jun/1.png").write_bytes(b"no picture")
    (folder / "mina/2.png").unlink()
    for number in range(3):
        with pytest.raises(InputError, match="can't be read as a drawing with opacity"):
            found[number]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"characters": 3}', "\xff"])
def test_unreadable_indices(tmp_path: Path, content: str) -> None:
    folder = write_cutouts(tmp_path)
    (folder / INDEX).write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"holds no readable cutouts.*Make them again") as e:
        CutoutSet(folder)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("name", [INDEX, *(f"{name}.npy" for name in ARRAYS)])
def test_missing_files(tmp_path: Path, name: str) -> None:
    folder = write_cutouts(tmp_path)
    (folder / name).unlink()
    with pytest.raises(InputError, match="holds no readable cutouts"):
        CutoutSet(folder)


@pytest.mark.parametrize("name", ARRAYS)
def test_sets_that_are_not_whole(tmp_path: Path, name: str) -> None:
    folder = write_cutouts(tmp_path)
    path = folder / f"{name}.npy"
    np.save(path, np.load(path)[:-1])
    with pytest.raises(InputError, match="holds no whole set"):
        CutoutSet(folder)


def test_a_set_without_drawings(tmp_path: Path) -> None:
    folder = write_cutouts(tmp_path)
    change(folder, drawings=[])
    with pytest.raises(InputError, match="holds no whole set"):
        CutoutSet(folder)


def test_written_mattes_are_rounded_and_limited(tmp_path: Path) -> None:
    faces = np.zeros((1, 2, 2, 3), np.uint8)
    mattes = np.float32([[[0.5, 1.2], [-0.1, 1 / 255]]])
    write_faces(tmp_path, faces, mattes, 1 - mattes, faces)
    assert np.load(tmp_path / "mattes.npy").tolist() == [[[128, 255], [0, 1]]]
    assert np.load(tmp_path / "hairs.npy").tolist() == [[[128, 0], [255, 254]]]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"{name}.npy" for name in ARRAYS)
