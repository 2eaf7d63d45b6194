"""One smooth step, of arrays and of tensors."""

import numpy as np
import pytest
import torch

from toonify.utils import ramps, tensors


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_it_is_flat_outside_and_half_way_in_the_middle(kind):
    values = np.array([-3, 1, 2, 3, 9], kind)
    step = ramps.smoothstep(values, 1, 3)
    assert step.dtype == kind and step.tolist() == [0, 0, 0.5, 1, 1]
    assert tensors.smoothstep(torch.from_numpy(values), 1, 3).tolist() == step.tolist()
    fine = ramps.smoothstep(np.linspace(0, 1, 101, dtype=kind))
    assert (np.diff(fine) > 0).all() and fine[1] < 0.001 and fine[-2] > 0.999
