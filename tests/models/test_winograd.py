"""Convolutions with half of the multiplications, beside torch's own."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
import torch.nn.functional as F

from toonify.models import winograd
from toonify.models.layers import Conv3x3, StyledConv


def pictures(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("size", "padding", "dilation"),
    [((8, 8), 1, 1), ((9, 5), 1, 1), ((10, 13), 0, 1), ((13, 11), 2, 2), ((19, 18), 0, 4)],
)
@torch.no_grad()
def test_it_convolves(size, padding, dilation):
    x, weight = pictures(2, 5, *size), pictures(7, 5, 3, 3)
    expected = F.conv2d(x, weight, padding=padding, dilation=dilation)
    kernels = winograd.kernels_at_points(weight)
    found = winograd.convolve(x, kernels, padding=padding, dilation=dilation)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("band", [1, 1 << 21])
@torch.no_grad()
def test_it_finishes_every_band(monkeypatch, band):
    monkeypatch.setattr(winograd, "BAND", band)
    monkeypatch.setattr(winograd, "MIN_PIXELS", band)
    x, weight = pictures(2, 5, 21, 6), pictures(7, 5, 3, 3)
    scale, bias, noise = pictures(2, 7), pictures(7), pictures(1, 1, 21, 6)
    plain = F.conv2d(x, weight, padding=1) * scale[:, :, None, None]
    expected = F.leaky_relu(plain + bias[:, None, None] + noise, 0.2)
    finish = winograd.Finish(scale, bias, noise, slope=0.2)
    found = winograd.convolve(x, winograd.kernels_at_points(weight), finish, padding=1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_rounding_stays_near_the_plain_convolutions():
    x, weight = pictures(1, 128, 32, 32), pictures(64, 128, 3, 3) / 34
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    plain = (F.conv2d(x, weight, padding=1) - exact).abs().mean()
    found = winograd.convolve(x, winograd.kernels_at_points(weight), padding=1)
    assert (found - exact).abs().mean() < 8 * plain


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    ("up", "dilation"), [(False, 0), (False, 2), (True, 4)], ids=["plain", "dilated", "up"]
)
@torch.no_grad()
def test_a_styled_convolution_is_the_same_by_it(batch, up, dilation):
    layer = StyledConv(64, 64, 8, resolution=32, up=up, clamp=2.0)
    torch.nn.init.constant_(layer.noise_strength, 0.5)
    torch.nn.init.normal_(layer.bias)
    x, style = pictures(batch, 64, 36, 33), pictures(batch, 64)
    noise = pictures(1, 1, 36, 33)
    assert winograd.suits(x, layer.weight)
    found = layer(x, style, noise, dilation=dilation)
    with mock.patch.object(winograd, "suits", lambda x, weight: False):
        expected = layer(x, style, noise, dilation=dilation)
    torch.testing.assert_close(found, expected, atol=5e-5, rtol=0)


@torch.no_grad()
def test_changed_weights_are_heeded():
    layer = StyledConv(64, 64, 8, resolution=32)
    x, style = pictures(1, 64, 32, 32), pictures(1, 64)
    before = layer(x, style, None)
    layer.weight[:32] = 0
    after = layer(x, style, None)
    assert (after[:, :32] == 0).all()
    torch.testing.assert_close(after[:, 32:], before[:, 32:])


def test_where_the_plain_convolution_is_used():
    x, weight = pictures(1, 64, 32, 32), pictures(64, 64, 3, 3)
    assert not winograd.suits(x, weight)  # gradients are recorded
    with torch.no_grad():
        assert winograd.suits(x, weight)
        assert not winograd.suits(x[:, :, :31, :31], weight)  # too few pixels
        assert not winograd.suits(x[:, :32], weight[:, :32])  # or channels
        assert not winograd.suits(x.bfloat16(), weight.bfloat16())
        with torch.autocast("cpu", torch.bfloat16):
            assert not winograd.suits(x, weight)


def test_gradients_are_the_plain_convolutions():
    layer = StyledConv(64, 64, 8, resolution=32)
    x, style = pictures(1, 64, 32, 32), pictures(1, 64).requires_grad_()
    layer(x, style, None).square().mean().backward()
    assert style.grad is not None and layer.weight.grad is not None
    step = 1e-2 * style.grad.sign()
    with torch.no_grad():
        ahead, behind = (layer(x, style + s, None).square().mean() for s in (step, -step))
    slope = (step * style.grad).sum()
    torch.testing.assert_close((ahead - behind) / 2, slope, rtol=0.05, atol=0)


@torch.no_grad()
def test_a_convolution_with_bias_is_the_same_by_it():
    layer, x = Conv3x3(64, 96), pictures(2, 64, 33, 32)
    torch.testing.assert_close(
        layer(x), F.conv2d(x, layer.weight, layer.bias, padding=1), atol=5e-5, rtol=0
    )
