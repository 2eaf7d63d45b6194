"""Pictures to networks and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toonify.errors import ModelError
from toonify.utils.tensors import stacked, start_download, to_arrays

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    ),
]


def pictures(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (5, 7, 3), np.uint8) for _ in range(count)]


@pytest.mark.parametrize("device", DEVICES)
def test_pictures_come_back_as_they_went(device):
    given = pictures(3)
    x = stacked(given, torch.device(device))
    assert x.shape == (3, 3, 5, 7) and x.device.type == device
    assert torch.equal(x.cpu(), stacked(given))
    for one, other in zip(to_arrays(x), given, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("device", DEVICES)
def test_downloads_wait_for_their_own_pictures(device):
    rows = [pictures(2), pictures(1)]
    waiting = [start_download(stacked(row, torch.device(device))) for row in rows]
    for wait, row in zip(reversed(waiting), reversed(rows), strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(wait(), row, strict=True))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_picture_is_told_when_it_is_waited_for(device, value):
    wait = start_download(torch.full((1, 3, 4, 4), value, device=device))
    with pytest.raises(ModelError, match="not finite"):
        wait()
