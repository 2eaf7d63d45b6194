"""Figures over sets, against their definitions."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from toonify.evaluation.metrics import correlation, frechet_distance, kernel_distance, slope


def features(seed: int, count: int, width: int = 6, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)) + shift


def test_correlation_and_slope():
    x = [0.0, 1.0, 2.0, 3.0]
    assert correlation(x, [1 - 2 * v for v in x]) == pytest.approx(-1)
    assert slope(x, [1 - 2 * v for v in x]) == pytest.approx(-2)
    assert correlation(x, [5.0] * 4) is None and slope(x, [5.0] * 4) == 0
    assert correlation([5.0] * 4, x) is None and slope([5.0] * 4, x) is None
    assert correlation([1.0, 2.0], [1.0, 2.0]) is None, "two points always lie on a line"


def test_frechet_distance_is_the_textbook_one():
    x, y = features(0, 40), features(1, 50, shift=0.7) * 1.3
    root = sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(
        np.cov(x.T) + np.cov(y.T) - 2 * root
    )
    assert frechet_distance(x, y) == pytest.approx(expected)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_with_fewer_samples_than_features():
    x = features(0, 4, width=50)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + 2) == pytest.approx(4 * 50)
    assert frechet_distance(x[:1], x) is None


def test_kernel_distance_is_unbiased():
    same = [kernel_distance(features(i, 12), features(1000 + i, 9)) for i in range(300)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(300), "zero on average, at any size"
    assert min(same) < 0
    assert kernel_distance(features(0, 12), features(1, 9, shift=1)) > max(same)
    assert kernel_distance(features(0, 1), features(1, 9)) is None


def test_kernel_distance_by_hand():
    x, y = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    # k(0,1) = 1, k(2,3) = 343, cross: 1, 1, 27, 64
    assert kernel_distance(x, y) == pytest.approx(1 + 343 - 2 * (1 + 1 + 27 + 64) / 4)
