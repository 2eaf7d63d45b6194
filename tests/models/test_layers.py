"""Layers on a CPU without gradients against what they stand for."""

from __future__ import annotations

import pytest
import torch

from toonify.models import layers
from toonify.models.layers import ToRGB, demodulation, upsample2, upsample2_planes


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 5)])
def test_doubled_planes_are_filtered_ones(size):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(upsample2_planes(x), upsample2(x))


@pytest.mark.parametrize("clamp", [None, 0.5])
@pytest.mark.parametrize("first", [True, False])
def test_colors_in_bfloat16_are_as_near_as_the_plain_ones(monkeypatch, clamp, first):
    torch.manual_seed(0)
    layer = ToRGB(16, 8, clamp=clamp)
    x, style = torch.randn(2, 16, 8, 6), torch.randn(2, 16)
    skip = None if first else torch.randn(2, 3, 4, 3)
    with torch.no_grad():
        exact = layer(x, style, skip)
        half = None if skip is None else skip.bfloat16()
        errors = []
        for way in (layers.infers, lambda x: False):
            monkeypatch.setattr(layers, "infers", way)
            with torch.autocast("cpu", torch.bfloat16):
                drawn = layer(x.bfloat16(), style, half)
            assert drawn.shape == exact.shape and drawn.dtype == torch.bfloat16
            errors.append((drawn - exact).abs().mean())
    assert errors[0] < 1.2 * errors[1] + 1e-3 and errors[1] < 0.05


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_demodulation_is_as_exact_in_half_precision(dtype):
    """One channel's style may be a hundred times the others', whose squares float16 loses."""
    torch.manual_seed(0)
    energy, style = torch.rand(32, 64) * 9, torch.rand(2, 64) / 8
    style[:, 0] *= 100
    style /= style.amax(1, keepdim=True) * 24
    exact = demodulation(energy, style)
    with torch.autocast("cpu", dtype):
        torch.testing.assert_close(demodulation(energy, style), exact)
