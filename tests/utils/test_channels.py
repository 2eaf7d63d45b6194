"""Reductions over a short last axis are numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from toonify.utils.channels import largest, softmax, total


@pytest.mark.parametrize("shape", [(4, 5, 3), (7, 2), (3,), (2, 1)])
def test_as_numpy(shape):
    values = np.random.default_rng(0).normal(0, 20, shape).astype(np.float32)
    before = values.copy()
    np.testing.assert_array_equal(largest(values), values.max(-1))
    np.testing.assert_allclose(total(values), values.sum(-1), rtol=1e-5, atol=1e-4)
    powers = np.exp(values.astype(np.float64) - values.max(-1, keepdims=True))
    expected = powers / powers.sum(-1, keepdims=True)
    np.testing.assert_allclose(softmax(values), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(values, before)
