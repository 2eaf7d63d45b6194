"""The shipped parser on a photograph, and what bad input gets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from toonify.errors import InputError, ModelError
from toonify.faces.parsing import (
    FILE,
    GLASSES,
    LABELS,
    FaceParser,
    Parsing,
    RememberingParser,
    _doubt,
)

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.png"
INDEX = {name: i for i, name in enumerate(LABELS)}


@pytest.fixture(scope="module")
def parser() -> FaceParser:
    return FaceParser()


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """Head and shoulders, (256, 256, 3)."""
    picture = cv2.cvtColor(cv2.imread(str(ASTRONAUT)), cv2.COLOR_BGR2RGB)
    return cv2.resize(picture[0:250, 100:350], (256, 256), interpolation=cv2.INTER_AREA)


def test_a_photograph_is_labeled(parser: FaceParser, portrait: np.ndarray) -> None:
    parsing = parser.parse(portrait)
    assert parsing.labels.shape == (128, 128, len(LABELS))
    np.testing.assert_allclose(parsing.labels.sum(axis=2), 1, atol=1e-4)
    labels = parsing.map((256, 256))
    assert labels.shape == (256, 256)
    assert labels[110, 122] == INDEX["skin"]  # the cheeks and the nose
    shares = np.bincount(labels.ravel(), minlength=len(LABELS)) / labels.size
    assert shares[INDEX["skin"]] > 0.08
    assert shares[INDEX["hair"]] > 0.05
    assert shares[INDEX["background"]] > 0.15


def test_attributes_are_probabilities(parser: FaceParser, portrait: np.ndarray) -> None:
    parsing = parser.parse(portrait)
    assert set(parsing.glasses) == set(GLASSES)
    assert sum(parsing.glasses.values()) == pytest.approx(1, abs=1e-4)
    assert parsing.glasses["none"] > 0.5
    for value in (parsing.beard, parsing.moustache, parsing.headwear):
        assert 0 <= value <= 1
    assert parsing.beard < 0.5


def test_drawn_sunglasses_are_seen(parser: FaceParser, portrait: np.ndarray) -> None:
    bare = parser(portrait)
    worn = portrait.copy()
    for x in (104, 146):
        cv2.rectangle(worn, (x - 19, 72), (x + 19, 98), (15, 15, 18), -1)
    cv2.line(worn, (104, 78), (146, 78), (15, 15, 18), 4)
    both = [INDEX["glasses"], INDEX["sunglasses"]]
    assert parser(worn)[..., both].sum() > 3 * bare[..., both].sum()


def test_any_size_is_taken(parser: FaceParser, portrait: np.ndarray) -> None:
    large = cv2.resize(portrait, (700, 700), interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(portrait, (90, 90), interpolation=cv2.INTER_AREA)
    wanted = parser.parse(portrait).map()
    for other in (large, small):
        assert (parser.parse(other).map() == wanted).mean() > 0.85


def test_a_mirrored_picture_gets_mirrored_labels(parser: FaceParser, portrait: np.ndarray) -> None:
    other = parser.parse(np.ascontiguousarray(portrait[:, ::-1]))
    once = parser.parse(portrait)
    np.testing.assert_allclose(other.labels[:, ::-1], once.labels, atol=1e-3)
    assert other.headwear == pytest.approx(once.headwear, abs=1e-3)
    single = FaceParser(mirrored=False).parse(portrait)
    assert (single.map() == once.map()).mean() > 0.9
    assert np.abs(single.labels - once.labels).max() > 1e-3


def test_a_crop_is_parsed_once_as_long_as_it_exists(
    parser: FaceParser, portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    run = FaceParser._run
    monkeypatch.setattr(FaceParser, "_run", lambda self, x: runs.append(1) or run(self, x))
    remembering = RememberingParser(mirrored=False)
    crop = portrait.copy()
    first = remembering.parse(crop)
    assert np.array_equal(first.labels, parser(crop, mirrored=False))
    runs.clear()
    assert remembering.parse(crop, mirrored=False) is first and not runs
    assert remembering(crop) is first.labels and not runs
    remembering.parse(crop, mirrored=True)
    assert len(runs) == 2, "another answer, of the crop and its mirror image"
    other = portrait.copy()
    assert remembering.parse(other) is not first
    del crop, other
    assert not remembering._seen


def test_points_are_doubted_where_the_whole_crop_says_no() -> None:
    def doubted(whole: float) -> np.ndarray:
        labels = np.full((2, 2, len(LABELS)), 0.4 / (len(LABELS) - 1), np.float32)
        labels[..., INDEX["headwear"]] = 0.6
        _doubt(labels, ("headwear",), whole)
        np.testing.assert_allclose(labels.sum(axis=2), 1, atol=1e-5)
        return labels[..., INDEX["headwear"]]

    np.testing.assert_allclose(doubted(0.9), 0.6, atol=1e-5)
    assert (doubted(0.1) < 0.4).all()
    assert (doubted(0.0) > 0).all()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((0, 64, 3), np.uint8),
        np.zeros((64, 64, 3), np.float32),
    ],
)
def test_what_is_no_picture_is_refused(parser: FaceParser, picture: np.ndarray) -> None:
    with pytest.raises(InputError, match="head crop"):
        parser(picture)


def test_missing_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no parsing network"):
        FaceParser(tmp_path / "none.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(FILE.read_bytes()[:1000])
    with pytest.raises(ModelError, match="can't be read"):
        FaceParser(broken)


def test_maps_are_resized_before_the_likeliest_is_taken() -> None:
    labels = np.zeros((2, 2, len(LABELS)), np.float32)
    labels[0, :, 1] = labels[1, :, 2] = 1
    parsing = Parsing(labels, {"none": 1.0}, 0.0, 0.0, 0.0)
    assert parsing.map().tolist() == [[1, 1], [2, 2]]
    assert parsing.map((4, 6)).shape == (4, 6)
    assert (parsing.map((4, 6))[:2] == 1).all()
