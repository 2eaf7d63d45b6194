"""The drawn cast: framing, anchors, determinism, expression and the command line."""

import json
from dataclasses import fields, replace
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import pytest

from examples.characters.draw import NAMES, Pose, draw, landmarks, random_pose
from examples.characters.draw.__main__ import main

SIZE = 80


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


@cache
def neutral(name: str) -> np.ndarray:
    return draw(name, Pose(), size=SIZE)


def test_cast_has_the_six_names():
    assert NAMES == ("mina", "jun", "zuri", "bram", "nana", "kit")


@pytest.mark.parametrize("size", [64, 96, 400])
def test_size_type_and_alpha(size):
    picture = draw("jun", Pose(), size=size)
    assert picture.shape == (size, size, 3) and picture.dtype == np.uint8
    cut = draw("jun", Pose(), size=size, with_alpha=True)
    assert cut.shape == (size, size, 4)
    assert cut[0, 0, 3] == 0 and cut[size // 2, size // 2, 3] == 255


@pytest.mark.parametrize("name", NAMES)
def test_same_arguments_same_pixels(name):
    pose = random_pose(np.random.default_rng(4))
    assert np.array_equal(draw(name, pose, size=SIZE), draw(name, pose, size=SIZE))


def test_the_six_differ_in_color_and_shape():
    pictures = [draw(n, Pose(), size=64, background="random:1") for n in NAMES]
    shapes = [draw(n, Pose(), size=64, with_alpha=True)[..., 3] for n in NAMES]
    for i in range(len(NAMES)):
        for j in range(i):
            assert difference(pictures[i], pictures[j]) > 12
            assert difference(shapes[i], shapes[j]) > 4


@pytest.mark.parametrize("name", NAMES)
def test_frontal_pose_is_framed_as_ffhq(name):
    points = landmarks(name, Pose())
    assert points.shape == (5, 2)
    assert np.allclose(points[:2], [[0.38, 0.47], [0.62, 0.47]], atol=0.01)
    assert np.allclose(points[3:].mean(0), [0.5, 0.73], atol=0.015)
    assert points[2] == pytest.approx([0.5, 0.61], abs=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_turning_moves_the_nose_beyond_the_eyes(name):
    front, turned = landmarks(name, Pose()), landmarks(name, Pose(yaw=30))
    nose = turned[2, 0] - turned[:2, 0].mean()
    assert nose > front[2, 0] - front[:2, 0].mean() + 0.03
    assert turned[1, 0] - turned[0, 0] < 0.92 * (front[1, 0] - front[0, 0])
    rolled = landmarks(name, Pose(roll=10))
    assert rolled[1, 1] > rolled[0, 1]  # clockwise: the eye on the right sinks
    assert landmarks(name, Pose(pitch=15))[2, 1] < front[2, 1]


def test_pose_extremes_keep_landmarks_on_the_drawing():
    for yaw, pitch in ((-40, -20), (40, -20), (-40, 20), (40, 20)):
        pose = Pose(yaw=yaw, pitch=pitch, roll=12, mouth_open=1, smile=1, mouth_width=1)
        for name in NAMES:
            points = landmarks(name, pose)
            assert points.min() > 0.1 and points.max() < 0.9
            alpha = draw(name, pose, size=SIZE, with_alpha=True)[..., 3]
            x, y = (points * SIZE).astype(int).T
            assert (alpha[y, x] > 128).all(), (name, yaw, pitch)


def iris_center(picture: np.ndarray) -> np.ndarray:
    """(2, 2) centers of kit's green irises, left and right, in 0..1."""
    r, g, b = picture.astype(int).transpose(2, 0, 1)
    green = (g > r + 35) & (g > b + 20)
    y, x = np.nonzero(green)
    left = x < picture.shape[1] * 0.52
    centers = [[x[s].mean() + 0.5, y[s].mean() + 0.5] for s in (left, ~left)]
    return np.asarray(centers) / picture.shape[0]


def test_anchors_move_the_whole_drawing():
    turn = 0.9 * np.array([[np.cos(0.15), -np.sin(0.15)], [np.sin(0.15), np.cos(0.15)]])
    anchors = (np.array([[0.38, 0.47], [0.62, 0.47], [0.5, 0.73]]) - 0.5) @ turn.T + (0.52, 0.46)
    pose = Pose()
    free = iris_center(cv2.GaussianBlur(plain("kit", pose, None), (3, 3), 0))
    held = iris_center(cv2.GaussianBlur(plain("kit", pose, anchors), (3, 3), 0))
    offset = free - landmarks("kit", pose)[:2]  # a look's own iris offset, a few thousandths
    assert np.abs(held - offset - anchors[:2]).max() < 0.01


def plain(name: str, pose: Pose, anchors: np.ndarray | None) -> np.ndarray:
    """A drawing on black, so that only the character has colors."""
    cut = draw(name, pose, size=256, anchors=anchors, with_alpha=True)
    return (cut[..., :3] * (cut[..., 3:] / 255)).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_own_points_as_anchors_change_nothing(name):
    pose = Pose(yaw=12, pitch=-5, roll=3, smile=0.4)
    points = landmarks(name, replace(pose, smile=0.0))
    own = np.vstack([points[:2], points[3:].mean(0)])
    # the mouth's center lies in front of the corners' middle, by no more than this
    assert difference(draw(name, pose, size=SIZE), draw(name, pose, size=SIZE, anchors=own)) < 4


def test_background_fills_the_frame_whatever_the_anchors():
    small = [[0.45, 0.5], [0.55, 0.5], [0.5, 0.6]]
    picture = draw("nana", Pose(), size=SIZE, anchors=small, background="random:5")
    empty = draw("mina", Pose(), size=SIZE, anchors=small, background="random:5")
    assert np.array_equal(picture[0], empty[0])
    other = draw("nana", Pose(), size=SIZE, anchors=small, background="random:6")
    assert difference(picture[0], other[0]) > 5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "change",
    [
        {"eye_left": 0.0},
        {"eye_right": 0.4},
        {"gaze_x": 0.9},
        {"brow": -1.0},
        {"mouth_open": 0.8},
        {"smile": 1.0},
        {"mouth_open": 0.6, "mouth_width": -1.0},
        {"light": 1.0},
        {"sway": 1.0},
    ],
)
def test_every_field_shows(name, change):
    if "sway" in change and name == "zuri":  # her curls keep their shape
        return
    assert difference(neutral(name), draw(name, Pose(**change), size=SIZE)) > 0.05


def test_a_blink_hides_the_white_of_one_eye_only():
    def white(picture: np.ndarray, x: float) -> int:
        c = int(x * 128)
        return int((picture[54:67, c - 12 : c + 12].min(-1) > 235).sum())

    awake = draw("zuri", Pose(), size=128)
    wink = draw("zuri", Pose(eye_left=0.0), size=128)
    assert white(awake, 0.38) > 30 and white(wink, 0.38) == 0
    assert white(wink, 0.62) == white(awake, 0.62)


@pytest.mark.parametrize("name", NAMES)
def test_small_changes_of_pose_stay_small(name):
    poses = [Pose(yaw=y, pitch=y / 4) for y in np.arange(-32, 33, 8.0)]
    frames = [draw(name, p, size=64) for p in poses]
    steps = [difference(a, b) for a, b in pairwise(frames)]
    assert max(steps) < 2.0 * np.median(steps)


def test_bad_arguments_say_what_is_wrong():
    with pytest.raises(ValueError, match="mina"):
        draw("nobody", Pose())
    with pytest.raises(ValueError, match="random:SEED"):
        draw("mina", Pose(), background="red")
    with pytest.raises(ValueError, match="anchors"):
        draw("mina", Pose(), anchors=[[0.5, 0.5]])


def test_random_poses_stay_in_range():
    rng = np.random.default_rng(0)
    poses = [random_pose(rng) for _ in range(300)]
    assert max(abs(p.yaw) for p in poses) <= 45 and max(abs(p.pitch) for p in poses) <= 25
    assert any(p.eye_left < 0.1 for p in poses) and any(p.mouth_open > 0.5 for p in poses)
    assert all(type(getattr(p, f.name)) is float for p in poses for f in fields(p))


def test_command_writes_pictures_and_poses(tmp_path):
    out, sheet = tmp_path / "cast", tmp_path / "sheet.png"
    command = [str(out), "--per-character", "2", "--size", "64", "--seed", "3"]
    assert main([*command, "--sheet", str(sheet)]) == 0
    assert cv2.imread(str(sheet)).shape[1] == 6 * 64
    for name in NAMES:
        records = json.loads((out / name / "poses.json").read_text())
        assert [r["file"] for r in records] == ["0000.png", "0001.png"]
        assert np.shape(records[1]["landmarks"]) == (5, 2)
        pose = Pose(**{f.name: records[1][f.name] for f in fields(Pose)})
        written = cv2.cvtColor(cv2.imread(str(out / name / "0001.png")), cv2.COLOR_BGR2RGB)
        assert np.array_equal(written, draw(name, pose, size=64))
    assert not list(out.rglob("*.part"))


def test_command_refuses_nonsense(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    (tmp_path / "file").write_text("x")
    assert main([str(tmp_path / "file"), "--per-character", "1", "--size", "32"]) == 1
    assert "error:" in capsys.readouterr().err
