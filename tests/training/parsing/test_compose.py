"""Composed pictures: what is drawn is labeled, the same for a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_face import INDEX, drawn_face, write_faces

from toonify.errors import InputError
from toonify.faces.parsing import LABELS
from toonify.training.parsing.compose import compose
from toonify.training.parsing.faces import LabeledFaces
from toonify.training.parsing.fringe import draw_fringe, dress
from toonify.training.parsing.glasses import KINDS, draw_glasses
from toonify.training.parsing.hands import draw_hand, draw_object
from toonify.training.parsing.headwear import draw_headwear
from toonify.training.parsing.labels import IGNORED
from toonify.training.parsing.scenery import scenery
from toonify.training.parsing.wrinkles import draw_wrinkles


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.abs(before.astype(int) - after.astype(int)).max(2)


def test_glasses_lie_around_the_eyes_and_are_labeled_where_drawn() -> None:
    face = drawn_face()
    kinds = set()
    for seed in range(24):
        drawn = draw_glasses(
            face.rgb, face.points, face.labels == INDEX["hair"], np.random.default_rng(seed)
        )
        kinds.add(drawn.kind)
        where = drawn.frame > 0
        assert 60 < where.sum() < 9000
        rows = np.flatnonzero(where.any(1))
        eyes = face.points[[33, 133, 263, 362], 1].mean()
        assert abs(np.average(rows) - eyes) < 45
        assert (changed(face.rgb, drawn.rgb)[where] > 6).mean() > 0.6
        dark = drawn.dark > 0
        assert dark.any() == (drawn.kind == "sun")
        if dark.any():
            assert not (dark & where).any()
    assert kinds == set(KINDS)


def test_headwear_is_above_the_brows_or_around_the_face() -> None:
    face = drawn_face()
    for seed in range(16):
        picture, worn = draw_headwear(
            face.rgb, face.points, face.labels, face.rgb, np.random.default_rng(seed)
        )
        assert worn.sum() > 150
        assert not worn[int(face.points[4, 1]), int(face.points[4, 0])]  # never the nose
        assert (changed(face.rgb, picture)[worn] > 6).mean() > 0.5


@pytest.mark.parametrize("draw,names", [(draw_hand, {"hand"}), (draw_object, {"object"})])
def test_hands_and_things_get_labels_where_they_are(draw, names) -> None:
    face = drawn_face()
    found = 0
    for seed in range(12):
        picture, labels = draw(
            face.rgb, face.points, face.labels, face.rgb, np.random.default_rng(seed)
        )
        new = labels != face.labels
        kinds = {LABELS[i] for i in np.unique(labels[new])}
        assert kinds <= names | {"clothes"}
        if new.sum() > 50:
            found += 1
            assert (changed(face.rgb, picture)[new] > 6).mean() > 0.5
    assert found > 8


def test_pictures_are_the_same_for_a_seed_and_differ_else(tmp_path: Path) -> None:
    faces = LabeledFaces(write_faces(tmp_path / "faces"))
    first, again, other = (compose(faces, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.rgb.shape == (256, 256, 3) and first.labels.shape == (256, 256)
    np.testing.assert_array_equal(first.rgb, again.rgb)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.rgb != other.rgb).any()


def test_most_pictures_show_a_face_with_its_parts(tmp_path: Path) -> None:
    faces = LabeledFaces(write_faces(tmp_path / "faces"))
    made = [compose(faces, np.random.default_rng(seed)) for seed in range(30)]
    for sample in made:
        known = sample.labels[sample.labels != IGNORED]
        assert known.size > 0.3 * sample.labels.size
        assert known.max() < len(LABELS)
        assert sample.attributes.shape == (4,)
    for name in ("skin", "hair", "eye", "clothes"):
        assert sum((s.labels == INDEX[name]).any() for s in made) > 18
    seen = {LABELS[i] for s in made for i in np.unique(s.labels) if i != IGNORED}
    assert {"glasses", "person"} <= seen
    for sample in made:  # what is told of the whole agrees with what is drawn
        assert (sample.labels == INDEX["sunglasses"]).any() <= (sample.attributes[0] == 3)


def test_folders_without_faces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no labeled faces"):
        LabeledFaces(tmp_path)
    folder = write_faces(tmp_path / "faces")
    (folder / "weights.json").write_text("[1.0]")
    with pytest.raises(InputError, match="no whole set"):
        LabeledFaces(folder)


def test_a_fringe_covers_forehead_not_eyes_or_mouth() -> None:
    face = drawn_face()
    covered = 0
    for seed in range(8):
        picture, labels = draw_fringe(
            face.rgb, face.points, face.labels, np.random.default_rng(seed)
        )
        new = labels != face.labels
        assert {LABELS[i] for i in np.unique(labels[new])} <= {"hair"}
        assert not new[int(face.points[1, 1]) :].any()  # nothing below the nose's tip
        if new.any():
            covered += 1
            assert (changed(face.rgb, picture)[new] > 6).mean() > 0.5
    assert covered > 5


def test_clothes_change_and_nothing_else_does() -> None:
    face = drawn_face()
    dressed = dress(face.rgb, face.labels, face.rgb, np.random.default_rng(1))
    clothes = face.labels == INDEX["clothes"]
    assert (changed(face.rgb, dressed)[clothes] > 6).mean() > 0.5
    far = np.ones_like(clothes)
    far[215:] = False
    assert changed(face.rgb, dressed)[far].max() <= 1


def test_scenery_has_texture_and_fits_in_a_picture() -> None:
    face = drawn_face()
    pictures = [scenery(96, face.rgb, np.random.default_rng(seed)) for seed in range(12)]
    for picture in pictures:
        assert picture.shape == (96, 96, 3) and picture.dtype == np.float32
        assert picture.min() >= 0 and picture.max() <= 255
    assert np.median([picture.std((0, 1)).mean() for picture in pictures]) > 8


def test_wrinkles_are_lines_on_skin_and_no_label() -> None:
    face = drawn_face()
    labels = face.labels.copy()
    drawn = draw_wrinkles(face.rgb, face.points, labels, np.random.default_rng(3))
    moved = changed(face.rgb, drawn) > 4
    assert 40 < moved.sum() < 0.3 * (labels == INDEX["skin"]).sum()
    assert (labels[moved] == INDEX["skin"]).mean() > 0.9
    assert (drawn.astype(int) <= face.rgb).all()
    assert np.array_equal(labels, face.labels)
