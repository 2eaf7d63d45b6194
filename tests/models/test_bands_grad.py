"""Blocks with gradients, picture after picture, against the plain path they stand for."""

from __future__ import annotations

import pytest
import torch

from toonify.models import bands_grad
from toonify.models.generators.mobile import MobileGenerator


@pytest.fixture
def generator() -> MobileGenerator:
    torch.manual_seed(0)
    net = MobileGenerator(resolution=64, channels=(16, 24, 16, 12), w_dim=8, mapping_layers=2)
    with torch.no_grad():
        for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
            if name.endswith(("bias", "noise")):
                tensor.normal_(0, 0.3)
    return net


@pytest.fixture(params=["one band", "narrow bands"])
def bands(request, monkeypatch) -> None:
    if request.param == "narrow bands":  # three rows of 32 × 16 values at a time, and a rest
        monkeypatch.setattr(bands_grad, "BAND", 3 * 32 * 16)


@pytest.mark.usefixtures("bands")
@pytest.mark.parametrize("part", ["image", "features"])
@pytest.mark.parametrize("noise", ["const", "zero"])
def test_images_and_gradients_of_both_orders_are_the_plain_ones(
    generator, monkeypatch, part, noise
):
    styles = [
        style.detach().requires_grad_()
        for style in generator.styles(torch.randn(3, generator.num_ws, 8))
    ]
    learnt = [*generator.blocks.parameters(), *styles]

    def run() -> list[torch.Tensor]:
        if part == "image":
            drawn = generator.synthesize(styles, noise=noise)
        else:
            drawn = generator.features(styles, resolution=32, noise=noise)
        shown = torch.linspace(-1, 1, drawn.numel()).view_as(drawn)
        first = torch.autograd.grad(
            (drawn * shown).sum(), learnt, create_graph=True, allow_unused=True
        )
        known = [gradient for gradient in first if gradient is not None]
        size = torch.stack([gradient.square().sum() for gradient in known]).sum()
        second = torch.autograd.grad(size, learnt, allow_unused=True)
        return [drawn, *known, *(gradient for gradient in second if gradient is not None)]

    ours = run()
    monkeypatch.setattr(bands_grad, "suits", lambda x: False)
    plain = run()
    assert len(ours) == len(plain) > len(styles)
    for one, other in zip(ours, plain, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() <= 1e-4 * other.norm() + 1e-6


@pytest.mark.parametrize(
    ("rows", "columns"),
    [((0, 64), (0, 64)), ((0, 9), (55, 64)), ((21, 40), (16, 47)), ((30, 31), (63, 64))],
)
@pytest.mark.parametrize("noise", ["const", "zero"])
def test_a_crop_and_its_gradients_are_those_of_the_whole_image(generator, rows, columns, noise):
    styles = [
        style.detach().requires_grad_()
        for style in generator.styles(torch.randn(2, generator.num_ws, 8))
    ]
    learnt = [*generator.blocks.parameters(), *styles]
    place = slice(*rows), slice(*columns)

    def run(drawn: torch.Tensor) -> list[torch.Tensor]:
        shown = torch.linspace(-1, 1, drawn.numel()).view_as(drawn)
        gradients = torch.autograd.grad((drawn * shown).sum(), learnt, allow_unused=True)
        return [drawn, *(gradient for gradient in gradients if gradient is not None)]

    ours = run(generator.synthesize_crop(styles, *place, noise=noise))
    whole = run(generator.synthesize(styles, noise=noise)[:, :, place[0], place[1]])
    assert len(ours) == len(whole)
    for one, other in zip(ours, whole, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() <= 1e-4 * other.norm() + 1e-6
    with torch.no_grad():  # where nothing is learnt
        drawn = generator.synthesize_crop(styles, *place, noise=noise)
    assert (drawn - whole[0]).norm() <= 1e-4 * whole[0].norm()


class Synthesizer(torch.nn.Module):
    """A generator as `functional_call` wants it."""

    def __init__(self, generator: MobileGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, styles: list[torch.Tensor]) -> torch.Tensor:
        return self.generator.synthesize(styles)


@pytest.mark.usefixtures("bands")
def test_each_picture_has_its_own_maps_and_learns_them(generator, monkeypatch):
    network = Synthesizer(generator)
    styles = [x.detach() for x in generator.styles(torch.randn(2, generator.num_ws, 8))]
    maps = {
        name: torch.zeros(2, *buffer.shape[1:])
        for name, buffer in network.named_buffers()
        if name.endswith("noise")
    }
    maps["generator.blocks.1.conv2.noise"].normal_()  # the others begin at zero
    for learnt in maps.values():
        learnt.requires_grad_()

    def run() -> list[torch.Tensor]:
        drawn = torch.func.functional_call(network, maps, (styles,))
        shown = torch.linspace(-1, 1, drawn.numel()).view_as(drawn)
        return [drawn, *torch.autograd.grad((drawn * shown).sum(), list(maps.values()))]

    ours = run()
    assert all(gradient.abs().max() > 0 for gradient in ours[1:])
    monkeypatch.setattr(bands_grad, "suits", lambda x: False)
    for one, other in zip(ours, run(), strict=True):
        assert (one - other).norm() <= 1e-4 * other.norm() + 1e-6


def test_fresh_noise_is_added(generator):
    with torch.no_grad():
        w_plus = torch.randn(2, generator.num_ws, 8)
    styles = generator.styles(w_plus)
    one, other = (generator.synthesize(styles, noise="random") for _ in range(2))
    assert one.shape == (2, 3, 64, 64)
    assert not torch.equal(one, other)


def test_bfloat16_is_near(generator):
    styles = generator.styles(torch.randn(2, generator.num_ws, 8))
    exact = generator.synthesize(styles)
    with torch.autocast("cpu", torch.bfloat16):
        near = generator.synthesize(styles)
    assert near.dtype == torch.bfloat16
    assert (near - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_what_is_not_computed_in_float32_or_bfloat16_takes_the_plain_path(generator):
    double = generator.double()
    drawn = double.synthesize(double.styles(torch.randn(1, double.num_ws, 8).double()))
    assert drawn.dtype == torch.float64
