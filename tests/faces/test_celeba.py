"""CelebAMask-HQ's labels from the parser's and the mesh."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_face import drawn_labels, mesh

from toonify.errors import InputError
from toonify.faces.celeba import CELEBA, HeadLabeler, celeba_labels
from toonify.inversion.translation import load_parser

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"
INDEX = {name: i for i, name in enumerate(CELEBA)}


def middle(labels: np.ndarray, name: str) -> np.ndarray:
    """(x, y) of a label's middle."""
    return np.argwhere(labels == INDEX[name])[:, ::-1].mean(0)


def test_sides_are_the_persons_and_lips_and_nose_are_told_apart() -> None:
    labels = celeba_labels(drawn_labels(), mesh()[:, :2])
    for part in ("eye", "brow"):
        assert middle(labels, f"left {part}")[0] > middle(labels, f"right {part}")[0] + 30
    assert middle(labels, "upper lip")[1] < middle(labels, "lower lip")[1]
    nose = middle(labels, "nose")
    assert middle(labels, "left eye")[1] < nose[1] < middle(labels, "upper lip")[1]
    assert {"skin", "hair", "clothes", "neck"} <= {CELEBA[i] for i in np.unique(labels)}


def test_a_turned_head_keeps_its_sides() -> None:
    upside = np.array([[-1.0, 0, 255], [0, -1, 255]])
    turned = cv2.warpAffine(drawn_labels(), upside, (256, 256), flags=cv2.INTER_NEAREST)
    points = np.float32(mesh()[:, :2] @ upside[:, :2].T + upside[:, 2])
    labels = celeba_labels(np.asarray(turned), points)
    assert middle(labels, "left eye")[0] < middle(labels, "right eye")[0] - 30
    assert middle(labels, "upper lip")[1] > middle(labels, "lower lip")[1]


def test_a_photograph_is_labeled_by_what_ships() -> None:
    photo = cv2.cvtColor(cv2.imread(str(ASTRONAUT)), cv2.COLOR_BGR2RGB)
    labels = load_parser(Path("default"))(photo)
    assert labels.shape == photo.shape[:2]
    shares = np.bincount(labels.ravel(), minlength=len(CELEBA)) / labels.size
    assert shares[INDEX["skin"]] > 0.02
    assert shares[INDEX["hair"]] > 0.01
    assert shares[INDEX["nose"]] > 0.001
    assert labels[-20:, :20].max() == 0  # far from the head


def test_a_picture_without_a_face_is_refused() -> None:
    with pytest.raises(InputError, match="no face"):
        HeadLabeler.from_bundle()(np.full((200, 200, 3), 128, np.uint8))
