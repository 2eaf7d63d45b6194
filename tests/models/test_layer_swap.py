"""Where each tensor of a swapped generator comes from."""

import math

import pytest
import torch

from tests.training.tiny_training import FAMILIES, tiny_generator
from toonify.errors import ModelError, UsageError
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.layer_swap import (
    compare_parents,
    layer_swap,
    tensor_resolutions,
    toon_share,
)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_comes_from_its_parent(family: str) -> None:
    source, toon = tiny_generator(family, seed=1), tiny_generator(family, seed=2)
    swapped = layer_swap(source, toon, resolution=16)
    low, high = source.state_dict(), toon.state_dict()
    layers = {layer.name: layer.resolution for layer in source.layers}
    for name, tensor in swapped.state_dict().items():
        fine = any(name.startswith(f"{n}.") and size >= 16 for n, size in layers.items())
        assert torch.equal(tensor, (high if fine else low)[name]), name
    assert torch.equal(swapped.w_avg, source.w_avg)


@pytest.mark.parametrize("family", FAMILIES)
def test_parents_stay_and_the_child_is_its_own(family: str) -> None:
    source, toon = tiny_generator(family, seed=1), tiny_generator(family, seed=2)
    before = {k: v.clone() for k, v in source.state_dict().items()}
    swapped = layer_swap(source, toon, resolution=8)
    for tensor in swapped.state_dict().values():
        tensor.zero_()
    assert all(torch.equal(v, before[k]) for k, v in source.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES)
def test_from_the_first_layer_only_the_mapping_is_the_source(family: str) -> None:
    source, toon = tiny_generator(family, seed=1), tiny_generator(family, seed=2)
    swapped = layer_swap(source, toon, resolution=4)
    z = torch.randn(2, 16)
    assert torch.equal(swapped.mapping(z), source.mapping(z))
    w_plus = torch.randn(1, source.num_ws, 16)
    for ours, theirs in zip(swapped.styles(w_plus), toon.styles(w_plus), strict=True):
        assert torch.equal(ours, theirs)


def test_says_what_differs() -> None:
    source = tiny_generator("mobile")
    other = MobileGenerator(resolution=64, channels=[16, 16, 16, 16], w_dim=16)
    with pytest.raises(ModelError, match=r"resolution: 32 against 64.*channels"):
        layer_swap(source, other)
    with pytest.raises(ModelError, match="architecture: mobile against stylegan2"):
        layer_swap(source, tiny_generator("stylegan2"))


def test_unknown_resolution_lists_the_layers() -> None:
    source = tiny_generator("mobile")
    with pytest.raises(UsageError, match="4, 8, 16, 32"):
        layer_swap(source, source, resolution=20)


def test_tensors_outside_layers_have_no_resolution() -> None:
    sizes = tensor_resolutions(tiny_generator("stylegan2"))
    assert sizes["const"] == sizes["w_avg"] == sizes["mapper.0.weight"] == 0
    assert sizes["blocks.2.to_rgb.weight"] == 32


@pytest.mark.parametrize("family", FAMILIES)
def test_a_blended_layer_is_part_of_each(family: str) -> None:
    source, toon = tiny_generator(family, seed=1), tiny_generator(family, seed=2)
    blended = layer_swap(source, toon, resolution=16, blend=0.5)
    low, high = source.state_dict(), toon.state_dict()
    sizes = tensor_resolutions(source)
    for name, tensor in blended.state_dict().items():
        share = toon_share(sizes[name], 16, 0.5) if sizes[name] else 0.0
        assert torch.allclose(tensor, torch.lerp(low[name], high[name], share)), name
    assert torch.equal(blended.mapping(torch.ones(1, 16)), source.mapping(torch.ones(1, 16)))
    assert torch.isfinite(blended(torch.randn(1, source.num_ws, 16))).all()


def test_the_change_lies_between_two_resolutions() -> None:
    shares = [toon_share(size, 32, 0.5) for size in (4, 8, 16, 32, 64, 128)]
    assert shares == sorted(shares)
    assert shares[2] == pytest.approx(1 / (1 + math.e)) and shares[3] == pytest.approx(
        1 - shares[2]
    )
    assert shares[0] < 0.01 and shares[-1] > 0.99
    for size in (16, 32):  # ever narrower, it becomes a plain swap
        assert toon_share(size, 32, 1e-2) == pytest.approx(toon_share(size, 32))


@pytest.mark.parametrize("blend", [-1.0, math.nan, math.inf])
def test_a_width_is_positive(blend: float) -> None:
    source = tiny_generator("mobile")
    with pytest.raises(UsageError, match="octaves"):
        layer_swap(source, source, blend=blend)


@pytest.mark.parametrize("family", FAMILIES)
def test_odd_parents_are_told(family: str) -> None:
    source = tiny_generator(family)
    assert compare_parents(source, source) == [
        "all their layers are equal, so that the swap changes nothing"
    ]
    toon = layer_swap(source, tiny_generator(family, seed=3), resolution=32, blend=0)
    assert compare_parents(source, toon) == []
    toon.w_avg.mul_(1.1)
    for name, parameter in toon.named_parameters():
        if not tensor_resolutions(toon)[name] and name != "const":
            parameter.mul_(1.2)
    mapping, average = compare_parents(source, toon)
    assert "mapping networks differ by 20%" in mapping
    assert "average latents differ by 10%" in average
    assert "nothing in common" in compare_parents(source, tiny_generator(family, seed=3))[-1]
