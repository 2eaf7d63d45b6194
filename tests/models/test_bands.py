"""Blocks in bands of rows against the plain path they stand for."""

from __future__ import annotations

import pytest
import torch

from toonify.models import bands
from toonify.models.generators.hybrid import HybridGenerator
from toonify.models.generators.mobile import MobileGenerator


@pytest.fixture
def generator() -> MobileGenerator:
    torch.manual_seed(0)
    net = MobileGenerator(resolution=64, channels=(16, 24, 16, 12), w_dim=8, mapping_layers=2)
    with torch.no_grad():
        for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
            if name.endswith(("bias", "noise")):
                tensor.normal_(0, 0.3)
    return net.eval().requires_grad_(False)


def _both(monkeypatch: pytest.MonkeyPatch, draw) -> tuple[torch.Tensor, torch.Tensor]:
    """What `draw()` gives in bands and plainly, with the same random numbers."""
    results = []
    with torch.no_grad():
        for way in (bands.suits, lambda x: False):
            monkeypatch.setattr(bands, "suits", way)
            torch.manual_seed(3)
            results.append(draw())
    return results[0], results[1]


@pytest.mark.parametrize("noise", ["const", "zero", "random"])
@pytest.mark.parametrize("values", [1, 1000, 1 << 20])  # two rows a band, several, one band
def test_image_is_the_plain_one(generator, monkeypatch, noise, values):
    monkeypatch.setattr(bands, "BAND", values)
    styles = generator.styles(torch.randn(3, generator.num_ws, 8))
    new, plain = _both(monkeypatch, lambda: generator.synthesize(styles, noise=noise))
    assert new.shape == plain.shape == (3, 3, 64, 64)
    torch.testing.assert_close(new, plain, rtol=1e-4, atol=1e-4)


def test_features_are_the_plain_ones_at_any_size(generator, monkeypatch):
    monkeypatch.setattr(bands, "BAND", 500)
    styles = generator.styles(torch.randn(2, generator.num_ws, 8))
    x = torch.randn(2, 16, 5, 7)

    def draw():
        return generator.run_blocks(x, styles, 0, 3, "const")

    new, plain = _both(monkeypatch, draw)
    assert new.shape == plain.shape == (2, 12, 40, 56)
    torch.testing.assert_close(new, plain, rtol=1e-4, atol=1e-4)


def test_hybrid(monkeypatch):
    torch.manual_seed(0)
    channels = {4: 8, 8: 8, 16: 8, 32: 8}
    net = HybridGenerator(
        resolution=128, channels=channels, junction=16, deep=(8,), w_dim=8, mapping_layers=2
    ).eval()
    styles = net.styles(torch.randn(2, net.num_ws, 8))
    new, plain = _both(monkeypatch, lambda: net.synthesize(styles))
    torch.testing.assert_close(new, plain, rtol=1e-4, atol=1e-4)
    new, plain = _both(monkeypatch, lambda: net.features(styles, resolution=64))
    torch.testing.assert_close(new, plain, rtol=1e-4, atol=1e-4)


def test_bfloat16_is_near(generator, monkeypatch):
    styles = generator.styles(torch.randn(2, generator.num_ws, 8))
    with torch.no_grad():
        exact = generator.synthesize(styles)
        with torch.autocast("cpu", torch.bfloat16):
            near = generator.synthesize(styles)
    assert near.dtype == torch.bfloat16
    assert (near - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_changed_weights_are_seen(generator, monkeypatch):
    styles = generator.styles(torch.randn(1, generator.num_ws, 8))
    with torch.no_grad():
        generator.synthesize(styles)
        for parameter in generator.parameters():
            parameter.mul_(1.1)
    new, plain = _both(monkeypatch, lambda: generator.synthesize(styles))
    torch.testing.assert_close(new, plain, rtol=1e-4, atol=1e-4)


def test_maps_of_zeros_are_skipped_until_they_change(generator, monkeypatch):
    styles = generator.styles(torch.randn(1, generator.num_ws, 8))
    layers = [layer for block in generator.blocks for layer in (block.conv1, block.conv2)]
    with torch.no_grad():
        for layer in layers:
            layer.noise.zero_()
    assert not any(bands.has_noise(layer) for layer in layers)
    new, plain = _both(monkeypatch, lambda: generator.synthesize(styles))
    torch.testing.assert_close(new, plain, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        layers[-1].noise.add_(1)
    assert bands.has_noise(layers[-1])
    new, plain = _both(monkeypatch, lambda: generator.synthesize(styles))
    torch.testing.assert_close(new, plain, rtol=1e-4, atol=1e-4)
