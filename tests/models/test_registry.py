"""A new family of generators is one class and one line of the registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.toy_generator import ToyGenerator, register
from toonify import Toonifier, load_encoder, load_generator
from toonify.checkpoints import generator_hash, save_encoder, save_generator
from toonify.errors import ModelError, UsageError
from toonify.lut import Character, CharacterTable
from toonify.models import registry
from toonify.models.base import Encoder, Generator
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.generators.hybrid import HybridGenerator
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.generators.stylegan2 import StyleGAN2Generator


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)


def test_a_new_family_is_saved_loaded_and_drawn_with(toy: None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = ToyGenerator(resolution=32)
    save_generator(made, tmp_path / "toy.safetensors")
    generator = load_generator(tmp_path / "toy.safetensors", ToyGenerator)
    assert generator_hash(generator) == generator_hash(made)
    encoder = CompactEncoder(num_ws=2, w_dim=8, input_size=32, widths=(8, 8), depth=1, steps=2)
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    table = CharacterTable(generator_hash=generator_hash(generator))
    table.add(Character(name="mina", w_plus=torch.randn(2, 8), k=1))
    toonifier = Toonifier(
        generator=generator,
        encoder=load_encoder(tmp_path / "encoder.safetensors"),
        table=table,
        device="cpu",
        dtype="float32",
    )
    crop = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    whole, mixed = (
        toonifier.stylize(crop, character="mina", aligned=True, level=level) for level in (0, 1)
    )
    assert whole.shape == (32, 32, 3) and (whole != mixed).any()
    expected = generator(table["mina"].w_plus[None])
    assert np.allclose(whole / 127.5 - 1, expected[0].permute(1, 2, 0).detach().numpy(), atol=0.01)


def test_other_kinds_and_unknown_names_are_refused(toy: None, tmp_path: Path) -> None:
    save_generator(ToyGenerator(resolution=16), tmp_path / "toy.safetensors")
    with pytest.raises(ModelError, match=r"toy.safetensors.*ToyGenerator, not a MobileGenerator"):
        load_generator(tmp_path / "toy.safetensors", MobileGenerator)
    with pytest.raises(ModelError, match="encoder weights were expected"):
        load_encoder(tmp_path / "toy.safetensors")
    for config in ({"architecture": "nothing"}, {}, {"architecture": ["toy"]}):
        with pytest.raises(ModelError, match="unknown generator architecture"):
            registry.build(config, "generator")
    with pytest.raises(ModelError, match="unknown encoder architecture 'toy'"):
        registry.build({"architecture": "toy", "resolution": 16}, "encoder")


def test_what_a_family_lacks_is_said(toy: None) -> None:
    generator = ToyGenerator(resolution=16)
    styles = generator.styles(torch.zeros(1, generator.num_ws, generator.w_dim))
    with pytest.raises(UsageError, match="a ToyGenerator shows no activations"):
        generator.features(styles, resolution=8)
    with pytest.raises(UsageError, match="a ToyGenerator can't be distilled"):
        generator.mapping_weights()


def test_every_name_is_a_network_of_its_role() -> None:
    bases = {"generator": Generator, "encoder": Encoder}
    for name, architecture in registry.ARCHITECTURES.items():
        assert issubclass(architecture.network, bases.get(architecture.role, nn.Module)), name


@pytest.mark.parametrize(
    "generator",
    [
        StyleGAN2Generator(resolution=16, channels={4: 8, 8: 8, 16: 8}, w_dim=8, z_dim=4),
        MobileGenerator(resolution=32, channels=[16, 16, 16], w_dim=8, mapping_layers=2),
        HybridGenerator(
            resolution=128,
            channels={4: 8, 8: 8, 16: 8, 32: 8},
            junction=16,
            deep=[16],
            w_dim=8,
            z_dim=8,
        ),
        ToyGenerator(resolution=16),
    ],
    ids=lambda generator: type(generator).__name__,
)
def test_families_offer_the_same(toy: None, generator: Generator) -> None:
    w = generator.mapping(torch.randn(2, generator.z_dim), truncation_psi=0.5)
    assert w.shape == (2, generator.w_dim) and generator.w_avg.shape == (generator.w_dim,)
    w_plus = w[:, None].expand(-1, generator.num_ws, -1)
    styles = generator.styles(w_plus)
    assert [s.shape[1] for s in styles] == [layer.channels for layer in generator.layers]
    image = generator(w_plus)
    assert image.shape == (2, 3, generator.resolution, generator.resolution)
    torch.testing.assert_close(image, generator.synthesize(styles))
    if type(generator).features is not Generator.features:
        assert generator.features(styles, resolution=8).shape[2:] == (8, 8)
    again = registry.build(generator.config(), "generator")
    assert {n: p.shape for n, p in again.state_dict().items()} == {
        n: p.shape for n, p in generator.state_dict().items()
    }
    if type(generator).mapping_weights is Generator.mapping_weights:
        return  # a family that can't be distilled
    weight, bias = generator.mapping_weights()[0]
    assert weight.shape == (generator.w_dim, generator.z_dim) and bias.shape == (generator.w_dim,)
