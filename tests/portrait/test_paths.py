import numpy as np
import pytest

from toonify.portrait.paths import Path, fit_shapes
from toonify.portrait.shapes import ellipse, stroke


def points_of(path: Path, count: int = 50) -> np.ndarray:
    """(N, 2) along all segments of a path."""
    t = np.linspace(0, 1, count)[:, None]
    parts = []
    for index, (node, arms, straight) in enumerate(
        zip(path.nodes, path.controls, path.straight, strict=True)
    ):
        end = path.nodes[(index + 1) % len(path.nodes)]
        if straight:
            parts.append(node + (end - node) * t)
        else:
            a, b = arms
            v = 1 - t
            parts.append(node * v**3 + 3 * a * t * v**2 + 3 * b * t**2 * v + end * t**3)
    return np.concatenate(parts)


def test_a_disc_takes_few_curves_and_stays_round() -> None:
    ((path,),) = fit_shapes([[ellipse((50, 40), 20)]])
    radii = np.linalg.norm(points_of(path) - [50, 40], axis=1)
    assert np.abs(radii - 20).max() < 0.35
    assert len(path.nodes) <= 12
    assert not path.straight.any()


def test_corners_and_straight_edges_stay() -> None:
    square = np.array([[10, 10], [40, 10], [40, 30], [10, 30]], np.float32)
    ((path,),) = fit_shapes([[square]])
    assert path.straight.all()
    assert {tuple(node) for node in path.nodes} == {tuple(map(float, p)) for p in square}


@pytest.mark.parametrize("tolerance", [0.1, 0.5])
def test_no_point_is_further_off_than_the_tolerance(tolerance: float) -> None:
    rng = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, 300)[:-1]
    radius = 60 + 8 * np.sin(3 * angle) + 4 * np.sin(11 * angle + 1) + rng.normal(0, 0.1, 299)
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).astype(np.float32)
    ((path,),) = fit_shapes([[ring]], tolerance=tolerance)
    gaps = np.linalg.norm(ring[:, None] - points_of(path, 100)[None], axis=2).min(1)
    assert gaps.max() < tolerance + 0.1  # the curve is sampled
    assert len(path.nodes) < len(ring)


def test_rings_stay_with_their_shapes() -> None:
    dot, line = ellipse((5, 5), 3), stroke([[0, 0], [20, 4], [40, 0]], [1, 3, 1], count=30)
    one, none, two = fit_shapes([[dot], [], [line, dot]])
    assert [len(one), len(none), len(two)] == [1, 0, 2]
    assert np.allclose(one[0].nodes, two[1].nodes)


def test_rings_without_an_area_are_left_out() -> None:
    point = np.zeros((5, 2), np.float32)
    assert fit_shapes([[point, point[:2]]]) == [[]]
    assert fit_shapes([]) == []
