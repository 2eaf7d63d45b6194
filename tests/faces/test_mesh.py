"""The mesh's geometry on made-up points: signs, and independence of the head's pose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toonify.errors import ModelError
from toonify.faces import mesh


def head() -> np.ndarray:
    """468 points on a plausible front half of a head, px of a 256 crop, the named ones placed."""
    rng = np.random.default_rng(0)
    angle, height = rng.uniform(-1.2, 1.2, 468), rng.uniform(-70, 90, 468)
    points = np.stack([70 * np.sin(angle), height, -70 * np.cos(angle)], 1)
    place = {
        33: (-45, -10, -40), 133: (-18, -10, -45), 263: (45, -10, -40), 362: (18, -10, -45),
        234: (-70, 10, 0), 454: (70, 10, 0), 127: (-70, -10, 0), 356: (70, -10, 0),
        93: (-68, 25, 0), 323: (68, 25, 0), 21: (-60, -45, -15), 251: (60, -45, -15),
        98: (-15, 25, -60), 327: (15, 25, -60), 2: (0, 28, -65), 205: (-40, 30, -50),
        425: (40, 30, -50), 10: (0, -75, -60), 151: (0, -50, -60), 9: (0, -30, -58),
        104: (-35, -45, -50), 333: (35, -45, -50), 61: (-26, 52, -52), 291: (26, 52, -52),
    }  # fmt: skip
    for lids, x in ((mesh.LIDS_LEFT, -31.5), (mesh.LIDS_RIGHT, 31.5)):
        for upper, lower in lids:
            place[upper], place[lower] = (x, -14, -45), (x, -6, -45)
    for brow, x in ((mesh.BROW_LEFT, -31), (mesh.BROW_RIGHT, 31)):
        for i in brow:
            place[i] = (x, -30, -50)
    for upper, lower in mesh.INNER_LIPS:
        place[upper], place[lower] = (0, 52, -60), (0, 52, -60)
    for index, point in place.items():
        points[index] = point
    return points.astype(np.float32)


def measured(points: np.ndarray, gaze: tuple[float, float] = (0, 0)) -> mesh.FaceMeasures:
    irises = [
        points[list(eye), :2].mean(0) + np.float32(gaze) for eye in (mesh.EYE_LEFT, mesh.EYE_RIGHT)
    ]
    return mesh.measures_from_points(points, irises[0], irises[1])


def turned(points: np.ndarray, axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    rotation = np.eye(3, dtype=np.float32)
    rotation[i, i], rotation[i, j], rotation[j, i], rotation[j, j] = c, -s, s, c
    return points @ rotation.T


def test_pose_signs() -> None:
    straight = measured(head())
    assert straight.yaw == pytest.approx(0, abs=0.5) and straight.roll == pytest.approx(0, abs=0.5)
    nose = head()[2]
    for angle in (-25, 25):
        yawed = turned(head(), "y", angle)
        # The nose goes to the side the face turns to.
        assert np.sign(measured(yawed).yaw) == np.sign((yawed[2] - nose)[0])
        assert abs(measured(yawed).yaw) == pytest.approx(25, abs=1)
        pitched = turned(head(), "x", angle)
        change = measured(pitched).pitch - straight.pitch
        assert np.sign(change) == -np.sign((pitched[2] - nose)[1]) and abs(change) > 20
        assert measured(turned(head(), "z", angle)).roll == pytest.approx(angle, abs=1)


def test_expressions() -> None:
    rest = measured(head())
    assert rest.mouth_open == 0 and rest.eye_left == pytest.approx(rest.eye_right)
    points = head()
    for upper, lower in mesh.INNER_LIPS:
        points[upper, 1] -= 8
        points[lower, 1] += 8
    assert measured(points).mouth_open == pytest.approx(16 / 63, abs=0.02)
    points = head()
    points[list(mesh.MOUTH_CORNERS), 1] -= 8
    points[list(mesh.MOUTH_CORNERS), 0] *= 1.2
    smile = measured(points)
    assert smile.smile > rest.smile + 0.1 and smile.mouth_width > rest.mouth_width
    points = head()
    points[list(mesh.BROW_LEFT), 1] -= 6
    assert measured(points).brow_left > rest.brow_left == measured(points).brow_right
    points = head()
    for upper, lower in mesh.LIDS_LEFT:
        points[upper] = points[lower]
    assert measured(points).eye_left == 0 and measured(points).eye_right == rest.eye_right


def test_expressions_hardly_depend_on_pose() -> None:
    rest, yawed = measured(head()), measured(turned(head(), "y", 30))
    for name in ("eye_left", "brow_left", "mouth_width"):
        assert getattr(yawed, name) == pytest.approx(getattr(rest, name), rel=0.05)


def test_gaze_signs() -> None:
    rest = measured(head())
    assert measured(head(), (4, 0)).gaze_x > rest.gaze_x > measured(head(), (-4, 0)).gaze_x
    assert measured(head(), (0, 3)).gaze_y > rest.gaze_y > measured(head(), (0, -3)).gaze_y
    assert set(rest.scalars()) >= {"yaw", "pitch", "roll", "gaze_x", "gaze_y", "smile"}


def test_missing_weights(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"not a wheel")
    for path in (tmp_path, tmp_path / "a.whl", tmp_path / "missing.whl"):
        with pytest.raises(ModelError, match="mediapipe"):
            mesh.FaceMesh(path)
