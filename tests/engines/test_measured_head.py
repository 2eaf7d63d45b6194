"""Heads where they are, and where they are a moment later."""

from __future__ import annotations

import numpy as np
import pytest

from toonify.engines.measured_head import PARTS, MeasuredHead, similarity_between
from toonify.faces import Face
from toonify.faces.types import f32

POINTS = f32([[30, 40], [50, 40], [40, 52], [33, 60], [47, 60]])


def turned(points, *, degrees=0.0, scale=1.0, shift=(0.0, 0.0)):
    angle = np.deg2rad(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return f32(points @ turn.T + np.array(shift))


@pytest.mark.parametrize("degrees", [0, 25, -100])
def test_similarity_between_faces(degrees):
    after = turned(POINTS, degrees=degrees, scale=1.3, shift=(7, -3))
    matrix = similarity_between(POINTS, after)
    np.testing.assert_allclose(POINTS @ matrix[:, :2].T + matrix[:, 2], after, atol=1e-3)
    bent = similarity_between(POINTS, after + f32([[1, 0], [0, 0], [0, 0], [0, 0], [-1, 0]]))
    assert abs(np.linalg.det(bent[:, :2]) - np.hypot(*bent[:, 0]) ** 2) < 1e-9  # no shear


def head():
    return MeasuredHead(
        maps=np.random.default_rng(0).random((12, 10, len(PARTS)), np.float32),
        matrix=np.array([[2.0, 0, 20], [0, 2.0, 30]]),
        jaw=f32([[28, 55], [40, 70], [52, 55]]),
        unit=0.2,
        down=f32([0, 1]),
        points5=POINTS,
    )


def test_it_moves_with_its_face():
    after = turned(POINTS, degrees=90, scale=2, shift=(100, 5))
    moved = head().moved(Face(f32([0, 0, 1, 1]), 1.0, after))
    np.testing.assert_allclose(
        moved.jaw, turned(head().jaw, degrees=90, scale=2, shift=(100, 5)), atol=1e-3
    )
    np.testing.assert_allclose(moved.down, [-1, 0], atol=1e-5)
    assert moved.unit == pytest.approx(0.4) and moved.maps is not None
    corner = moved.matrix @ [3, 4, 1]
    np.testing.assert_allclose(
        corner, turned(f32([26, 38]), degrees=90, scale=2, shift=(100, 5)), atol=1e-3
    )
    back = moved.moved(Face(f32([0, 0, 1, 1]), 1.0, POINTS))
    np.testing.assert_allclose(back.matrix, head().matrix, atol=1e-3)


def test_it_is_kept_whole():
    again = MeasuredHead.restored(head().state())
    for name, value in vars(head()).items():
        np.testing.assert_array_equal(getattr(again, name), value)
