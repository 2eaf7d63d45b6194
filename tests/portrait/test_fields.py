"""Fields: distances, quantiles, averages along the flow."""

import numpy as np
import pytest

from toonify.portrait.fields import (
    Streamlines,
    blur,
    fill_from,
    remove_small,
    signed_distance,
    weighted_mean,
    weighted_quantile,
)


def test_signed_distance_of_a_half_plane():
    x = np.arange(80, dtype=np.float32)[None].repeat(40, 0)
    mask = blur(np.float32(x >= 40), 2)
    distance = signed_distance(mask)
    assert np.abs(distance[20, 10:70] - (x[20, 10:70] - 39.5)).max() < 1.2


def test_weighted_quantile_and_mean():
    values = np.float32([[1, 2, 3, 100]])
    weight = np.float32([[1, 1, 1, 0]])
    assert weighted_quantile(values, weight, [0.0, 1.0]).tolist() == [1, 3]
    assert weighted_mean(np.dstack([values, values]), weight) == pytest.approx([2, 2], abs=1e-3)
    assert weighted_quantile(values, weight * 0, [0.5]).tolist() == [0]


def test_fill_takes_what_is_around():
    field = np.full((60, 60), 50, np.float32)
    weight = np.ones_like(field)
    field[25:35, 25:35], weight[25:35, 25:35] = 5, 0
    assert np.abs(fill_from(field, weight, 4, 14)[30, 30] - 50) < 1.5


def test_islands_and_holes():
    mask = np.zeros((40, 40), np.float32)
    mask[5:30, 5:30] = 1
    mask[10:12, 10:12] = 0
    mask[36:38, 36:38] = 1
    cleaned = remove_small(mask, 20, 20)
    assert cleaned[11, 11] > 0.5 and cleaned[37, 37] < 0.5 and cleaned[20, 20] == 1


def test_averages_along_stripes_keep_them_and_lose_noise():
    rng = np.random.default_rng(0)
    y = np.arange(64, dtype=np.float32)[:, None]
    stripes = np.float32(np.sin(y / 2) * 20 + 50).repeat(64, 1)
    noisy = stripes + rng.normal(size=stripes.shape).astype(np.float32) * 6
    along = Streamlines(noisy, sigma=1.2, spread=5.0, reach=14).average(noisy)
    inner = (slice(8, -8), slice(8, -8))
    before, after = np.abs(noisy - stripes)[inner].mean(), np.abs(along - stripes)[inner].mean()
    assert after < 0.65 * before
    assert along[inner].std() > 0.6 * stripes[inner].std()
