"""Parts of one person: what is theirs, and what only looks like it."""

import numpy as np

from toonify.portrait.analysis import _bodies
from toonify.portrait.fields import f32
from toonify.portrait.parts import _moustache, _own_hair, _whole
from toonify.portrait.subject import (
    CHEEKS,
    LIP_LOWER,
    LIP_UPPER,
    OVAL,
    UNDER_NOSE,
    Eye,
    FaceGeometry,
)

SIZE = 300


def geometry():
    points = np.full((468, 2), 150, np.float32)
    turn = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    points[list(OVAL)] = np.stack([150 + 60 * np.sin(turn), 150 - 80 * np.cos(turn)], 1)
    for ring, x in zip(CHEEKS, (115, 185), strict=True):
        turn = np.linspace(0, 2 * np.pi, len(ring), endpoint=False)
        points[list(ring)] = np.stack([x + 12 * np.cos(turn), 160 + 12 * np.sin(turn)], 1)
    turn = np.linspace(0, 2 * np.pi, len(UNDER_NOSE), endpoint=False)
    points[list(UNDER_NOSE)] = np.stack([150 + 24 * np.cos(turn), 180 + 10 * np.sin(turn)], 1)
    for lip, y in ((LIP_UPPER, 196), (LIP_LOWER, 204)):
        points[list(lip)] = np.stack([np.linspace(130, 170, len(lip)), [y] * len(lip)], 1)
    points[1] = [150, 160]
    eye = Eye(f32(np.zeros((9, 2))), f32(np.zeros((9, 2))), f32([0, 0]), 1.0)
    return FaceGeometry(points, f32(np.zeros((468, 3))), (eye, eye), 0.0, 0.0, 1.0)


def test_hair_of_a_neighbor_is_left_to_the_neighbor():
    hair = np.zeros((SIZE, SIZE), np.float32)
    hair[50:90, 100:200] = 1  # on the head
    hair[100:250, 250:] = 1  # beside it
    lab = np.zeros((SIZE, SIZE, 3), np.float32)
    lab[..., 0] = np.where(np.arange(SIZE) < 230, 80, 15)

    own = _own_hair(hair, lab, geometry())

    assert own[70, 150] == 1
    assert own[150, 280] < 0.5


def test_a_braid_of_the_same_color_stays():
    hair = np.zeros((SIZE, SIZE), np.float32)
    hair[50:90, 100:200] = 1
    hair[220:290, 240:] = 1
    lab = np.full((SIZE, SIZE, 3), 20, np.float32)

    assert _own_hair(hair, lab, geometry())[260, 280] == 1


def test_shade_below_a_nose_is_no_moustache():
    lab = np.full((SIZE, SIZE, 3), 70, np.float32)
    lab[168:194, 120:180] = 35
    unseen = np.zeros((SIZE, SIZE), np.float32)

    assert _moustache(lab, geometry(), unseen).max() == 0
    # what the parser half sees, darkness decides
    assert _moustache(lab, geometry(), unseen + np.float32(0.08))[182, 150] > 0.9


def test_frames_that_are_nowhere_sure_are_wrinkles():
    frames = np.full((SIZE, SIZE), 0.5, np.float32)
    assert _whole(frames, 550).max() == 0
    frames[100:104] = 0.9
    assert _whole(frames, 550).max() > 0.85


def test_a_shadow_beside_a_head_is_nobody():
    person = np.zeros((SIZE, SIZE), np.float32)
    heads = np.zeros_like(person)
    heads[60:200, 100:200] = 1
    person[60:, 97:203] = 1  # the matte is a little wider, and goes on below
    person[100:150, 203:240] = 1  # what the head throws on the wall
    person[80:, :60] = 1  # somebody else

    found = _bodies(person, heads, 1.0)

    assert found[125, 225] < 0.5
    assert found[250, 150] == found[200, 30] == 1
