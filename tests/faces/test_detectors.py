"""Detection on a real portrait (scikit-image's astronaut, public domain) and on nothing."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from toonify.errors import ModelError, UsageError
from toonify.faces import align, get_detector, landmarks
from toonify.faces.mtcnn import MTCNNDetector, _nms, _Picture
from toonify.faces.tiling import TiledDetector


@pytest.fixture(scope="module")
def detector() -> MTCNNDetector:
    return MTCNNDetector()


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return data.astronaut()


EYES = np.float32([[204, 101], [246, 104]])  # pupils of the portrait, image-left first


def test_finds_the_portrait(detector: MTCNNDetector, astronaut: np.ndarray) -> None:
    faces = detector.detect(astronaut)
    assert len(faces) == 1 and faces[0].score > 0.95
    np.testing.assert_allclose(faces[0].points5[:2], EYES, atol=3)


def test_finds_it_in_a_large_picture_at_the_same_place(
    detector: MTCNNDetector, astronaut: np.ndarray
) -> None:
    large = cv2.resize(astronaut, (2048, 2048), interpolation=cv2.INTER_CUBIC)
    face = detector.detect(large)[0]
    np.testing.assert_allclose(face.points5[:2] / 4, EYES, atol=3)


def test_finds_it_in_a_tight_crop(detector: MTCNNDetector, astronaut: np.ndarray) -> None:
    tight = np.ascontiguousarray(astronaut[60:190, 165:285])
    face = detector.detect(tight)[0]
    np.testing.assert_allclose(face.points5[:2] + np.float32([165, 60]), EYES, atol=4)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_sideways_photo_gets_upright(
    detector: MTCNNDetector, astronaut: np.ndarray, turns: int
) -> None:
    turned = np.ascontiguousarray(np.rot90(astronaut, turns))
    straight = align(astronaut, detector.detect(astronaut)[0], 64).image
    got = align(turned, detector.detect(turned)[0], 64).image
    assert np.abs(got.astype(float) - straight).mean() < 20


def test_all_faces_largest_first(detector: MTCNNDetector, astronaut: np.ndarray) -> None:
    small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    both = np.zeros((512, 800, 3), np.uint8)
    both[:256, 520:776] = small
    both[:, :512] = astronaut
    faces = detector.detect(both)
    assert len(faces) == 2 and faces[0].size > 2 * faces[1].size
    assert faces[0].points5[0, 0] < 512 < faces[1].points5[0, 0]


def test_small_faces_in_a_large_picture(detector: MTCNNDetector, astronaut: np.ndarray) -> None:
    small = cv2.resize(astronaut, (192, 192), interpolation=cv2.INTER_AREA)  # a face of 40 px
    page = np.full((900, 1600, 3), 128, np.uint8)
    corners = [(40, 60), (1300, 100), (700, 650)]
    for x, y in corners:
        page[y : y + 192, x : x + 192] = small
    found = sorted(face.points5[:2].mean(0).tolist() for face in detector.detect(page))
    wanted = EYES.mean(0) * 192 / 512 + np.float32(sorted(corners))
    np.testing.assert_allclose(found, wanted, atol=3)


def test_pictures_of_two_megapixels_need_no_tiles(detector: MTCNNDetector) -> None:
    assert detector.smallest(1600) == detector.smallest(640) < detector.smallest(4000)
    assert not TiledDetector(detector)._tiles(np.zeros((1200, 1600, 3), np.uint8), quick=False)


@pytest.mark.parametrize("side", [20, 48, 150, 500])
def test_windows_show_their_boxes(side: int) -> None:
    y, x = np.mgrid[:700, :900]
    rgb = np.stack([x / 4, y / 3, np.full(x.shape, 200)], 2).astype(np.uint8)
    box = np.float32([[200, 100, 200 + side, 100 + side], [-side, 50, 0, 50 + side]])
    inside, outside = _Picture(rgb).windows(box, 48)
    at = (np.arange(48) + 0.5) * side / 48 - 0.5
    np.testing.assert_allclose(inside[..., 0], (200 + at)[None].repeat(48, 0) / 4, atol=1.5)
    np.testing.assert_allclose(inside[..., 1], (100 + at)[:, None].repeat(48, 1) / 3, atol=1.5)
    assert outside[:, :-1].max() == 0


def test_no_face_in_noise_or_nothing(detector: MTCNNDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    for picture in (noise, np.zeros((64, 64, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)):
        assert detector.detect(picture) == []


def test_thin_pictures(detector: MTCNNDetector) -> None:
    assert detector.detect(np.zeros((8, 900, 3), np.uint8)) == []


def test_nms_keeps_the_best_of_each_place() -> None:
    boxes = np.float32([[0, 0, 10, 10, 0.7], [1, 0, 11, 10, 0.9], [50, 50, 60, 60, 0.8]])
    assert _nms(boxes, 0.5).tolist() == [1, 2]
    inside = np.float32([[0, 0, 10, 10, 0.9], [4, 4, 6, 6, 0.8]])
    assert _nms(inside, 0.5).tolist() == [0, 1]
    assert _nms(inside, 0.5, of_smaller=True).tolist() == [0]


def test_get_detector_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert get_detector().name == "mtcnn"  # no weights here
    assert get_detector("mtcnn").name == "mtcnn"
    with pytest.raises(ModelError, match="`landmarks` mtcnn"):
        get_detector("face-alignment", offline=True)
    with pytest.raises(UsageError, match="face-alignment"):
        get_detector("dlib")


def test_damaged_landmark_weights_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = landmarks.weights_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not weights")
    with pytest.raises(ModelError, match="can't load") as caught:
        get_detector("face-alignment", offline=True)
    assert "\n" not in str(caught.value)


def test_a_cache_that_may_not_be_read_holds_nothing(monkeypatch, tmp_path):
    closed = tmp_path / "closed" / "weights.pth"
    plain = os.stat

    def stat(path, *args, **kwargs):
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path, *args, **kwargs)

    monkeypatch.setattr("toonify.faces.weights_path", lambda: closed)
    monkeypatch.setattr(os, "stat", stat)
    assert get_detector("auto").name == "mtcnn"
