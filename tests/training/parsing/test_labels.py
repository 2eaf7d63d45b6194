"""Labels of sampled faces: borders from the picture, beards, bald heads, headwear, other people."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from drawn_face import INDEX, drawn_face, drawn_labels

from toonify.faces.parsing import GLASSES, LABELS, Parsing
from toonify.training.parsing.activations import PARTS
from toonify.training.parsing.dataset import add_frames, weight, write_dataset
from toonify.training.parsing.faces import LabeledFaces
from toonify.training.parsing.labels import (
    IGNORED,
    Known,
    add_known,
    label_parts,
    mark_others,
    refine,
)
from toonify.training.parsing.weak import fit_weak_parts, zones


def coarse(labels: np.ndarray) -> np.ndarray:
    """What blurred activations tell of drawn labels: (64, 64, 6)."""
    merged = labels.copy()
    merged[np.isin(labels, [INDEX[n] for n in ("brow", "eye", "lips", "mouth")])] = INDEX["skin"]
    planes = np.stack([np.float32(merged == INDEX[part]) for part in PARTS], -1)
    small = cv2.resize(cv2.GaussianBlur(planes, (0, 0), 4), (64, 64), interpolation=cv2.INTER_AREA)
    small = np.clip(small + 0.03, 0, 1)
    return np.float32(small / small.sum(-1, keepdims=True))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def test_borders_are_the_pictures() -> None:
    face = drawn_face()
    mesh = face.points[:, :2]
    parts = refine(face.rgb, coarse(face.labels), mesh, face.alpha)
    np.testing.assert_allclose(parts.sum(-1), 1, atol=1e-3)
    found = label_parts(face.rgb, parts, mesh)
    for name, least in (("hair", 0.85), ("background", 0.9), ("lips", 0.75), ("eye", 0.75)):
        index = INDEX[name]
        assert overlap(found == index, face.labels == index) > least, name
    assert overlap(found == INDEX["brow"], face.labels == INDEX["brow"]) > 0.4


def bearded() -> tuple[np.ndarray, np.ndarray]:
    """A face with a dark jaw → picture, and where it is dark."""
    face = drawn_face()
    chin = face.points[152, :2]
    jaw = np.zeros((256, 256), np.uint8)
    cv2.ellipse(jaw, (int(chin[0]), int(chin[1]) - 14), (38, 24), 0, 0, 360, 1, -1)
    dark = (jaw > 0) & (face.labels == INDEX["skin"])
    rgb = face.rgb.copy()
    rgb[dark] = (rgb[dark] * 0.4).astype(np.uint8)
    return rgb, dark


@pytest.mark.parametrize("amount,named", [(0.0, "skin"), (0.3, None), (1.0, "beard")])
def test_beards_are_labeled_stubble_is_left_out(amount: float, named: str | None) -> None:
    face = drawn_face()
    rgb, dark = bearded()
    weak = np.zeros((64, 64, 2), np.float32)
    weak[36:, :, 0] = 0.95
    labels = add_known(face.labels, rgb, face.points[:, :2], face.alpha, weak, Known(beard=amount))
    inside = cv2.erode(dark.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    wanted = IGNORED if named is None else INDEX[named]
    assert (labels[inside] == wanted).mean() > 0.8
    assert (labels[:100] == face.labels[:100]).all()


def test_headwear_is_labeled_where_points_tell_it() -> None:
    face = drawn_face()
    weak = np.zeros((64, 64, 2), np.float32)
    weak[:14, :, 1] = 0.95
    args = (face.labels, face.rgb, face.points[:, :2], face.alpha, weak)
    worn = add_known(*args, Known(headwear=True)) == INDEX["headwear"]
    top = np.zeros((256, 256), bool)
    top[:48] = face.labels[:48] == INDEX["hair"]
    assert worn[top].mean() > 0.7
    assert not worn[140:].any()
    assert not (add_known(*args, Known()) == INDEX["headwear"]).any()


def test_bald_heads_have_skin_where_hair_was_guessed() -> None:
    face = drawn_face()
    skull = (face.labels == INDEX["hair"]) & (np.arange(256) < 70)[:, None]
    rgb = face.rgb.copy()
    rgb[skull] = (218, 168, 143)
    weak = np.zeros((64, 64, 2), np.float32)
    labels = add_known(face.labels, rgb, face.points[:, :2], face.alpha, weak, Known(bald=True))
    assert (labels[skull] == INDEX["skin"]).mean() > 0.8
    assert (labels[120:] == face.labels[120:]).mean() > 0.98


def test_who_does_not_hang_together_with_the_face_is_another() -> None:
    face = drawn_face()
    labels = face.labels.copy()
    labels[60:120, :18] = INDEX["skin"]
    labels[10:14, 240:244] = INDEX["hair"]
    found = mark_others(labels, face.rgb, face.points[:, :2])
    assert (found[62:118, :16] == INDEX["person"]).all()
    assert (found[10:14, 240:244] == IGNORED).all()
    assert (found == INDEX["skin"]).sum() == (face.labels == INDEX["skin"]).sum()


class SeesFrames:
    """A parser that finds a frame around the eyes, wherever they are."""

    def __init__(self, name: str) -> None:
        self.name = name

    def parse(self, rgb: np.ndarray) -> Parsing:
        labels = np.zeros((128, 128, len(LABELS)), np.float32)
        labels[..., INDEX["skin"]] = 1
        points = drawn_face().points[:, :2] / 2
        y = int(points[[33, 133, 263, 362], 1].mean())
        band = np.s_[y - 6 : y + 6, 30:98]
        labels[band] = 0
        labels[(*band, INDEX[self.name])] = 1
        return Parsing(labels, {"none": 0.0}, 0, 0, 0)


def test_frames_come_from_a_parser_where_glasses_are_known_of() -> None:
    bare = drawn_face()
    assert add_frames(bare, SeesFrames("glasses")) is bare  # type: ignore[arg-type]
    worn = replace(bare, attributes=np.float32([-1, 0, 0, 0]))
    assert weight(worn) == 0
    seen = add_frames(worn, SeesFrames("glasses"))  # type: ignore[arg-type]
    assert (seen.labels == INDEX["glasses"]).sum() > 200
    assert GLASSES[int(seen.attributes[0])] in ("thin", "thick")
    assert weight(seen) > 0
    dark = add_frames(worn, SeesFrames("sunglasses"))  # type: ignore[arg-type]
    assert GLASSES[int(dark.attributes[0])] == "sun"
    assert (dark.labels == INDEX["sunglasses"]).sum() > 200


def test_a_folder_holds_what_was_written(tmp_path) -> None:
    faces = [drawn_face(0), drawn_face(1, attributes=(0, 1, 1, 1))]
    assert write_dataset(tmp_path / "set", faces) == 2
    read = LabeledFaces(tmp_path / "set")
    assert len(read) == 2
    np.testing.assert_array_equal(read[1].rgb, faces[1].rgb)
    np.testing.assert_array_equal(read[1].labels, faces[1].labels)
    np.testing.assert_allclose(read[1].points, faces[1].points, atol=0.2)
    rng = np.random.default_rng(0)
    picked = [read.pick(rng) for _ in range(200)]
    assert picked.count(1) > 1.5 * picked.count(0)  # the rarer one more often


def test_points_tell_a_beard_from_which_faces_have_one() -> None:
    rng = np.random.default_rng(0)
    labels, mesh = drawn_labels(), drawn_face().points[:, :2]
    where = [zones(labels, mesh, np.ones((256, 256), np.float32))] * 12
    jaw, top = where[0]
    assert jaw.sum() > 60 and top.sum() > 60
    beard = np.float32([i % 2 for i in range(12)])
    principal = rng.normal(size=(12, 64, 64, 64)).astype(np.float32)
    principal[:, 40:, :, 3] += 4 * beard[:, None, None]
    network = fit_weak_parts(principal, beard, beard * 0, where, steps=150, batch=512)
    predicted = [network.probabilities(p)[..., 0][jaw].mean() for p in principal[:2]]
    assert predicted[0] < 0.25 < 0.75 < predicted[1]
