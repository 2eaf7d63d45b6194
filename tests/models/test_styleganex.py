"""StyleGANEX's generator and encoder: parity with the published code, and what they take."""

from __future__ import annotations

import pytest
import torch
from parity import answers, assert_close, decoder_256, published_input
from published_styleganex import base_state, encoder_256, frame

from toonify.models.base import Generator
from toonify.models.encoders.styleganex import FrameFeatures, StyleGANEXEncoder
from toonify.models.encoders.styleganex_parts import FusionBlock
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.models.generators.styleganex import StyleGANEXGenerator
from toonify.models.registry import build

TINY_ENCODER = {
    "num_ws": 10,
    "w_dim": 16,
    "feature_channels": 8,
    "taps": (2, 2, 2),
    "units": (1, 1, 1, 1),
    "channels": (16, 16, 16, 16),
}


@pytest.fixture(scope="module")
def published_encoder():
    """Makes the published encoder's variants, whose body is the same."""
    state = base_state()
    return lambda variant="": encoder_256(state, variant)


def tiny_generator(**changes) -> StyleGANEXGenerator:
    channels = {4: 8, 8: 8, 16: 8, 32: 8, 64: 4}
    options = {"resolution": 64, "channels": channels, "w_dim": 16, "mapping_layers": 1}
    generator = StyleGANEXGenerator(StyleGAN2Generator(**options | changes))
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.constant_(parameter, 0.1)
    return generator.eval()


@torch.no_grad()
def test_the_generator_answers_as_published():
    expected = answers("styleganex_generator_256")
    generator = StyleGANEXGenerator(decoder_256())
    w, f = published_input("in.w", 1, 14, 512), published_input("in.f", 1, 512, 20, 28)
    v = published_input("in.v", 1, 14, 512) * 0.5

    assert_close(generator.mapping(published_input("in.z", 2, 512))[:, ::8], expected["mapping"])
    image = generator(w, feature=f, noise="zero")
    assert_close(image[:, :, ::2, ::2], expected["image"])
    assert_close(image.mean(dim=(2, 3)), expected["image_mean"])
    assert_close(generator(w + v, feature=f, noise="zero")[:, :, ::4, ::4], expected["edited"])
    stored = generator(w, noise="const")[:, :, ::4, ::4]
    assert_close(stored, expected["stylegan_compat_stored_noise"])


@torch.no_grad()
def test_the_encoder_answers_as_published(published_encoder):
    expected = answers("styleganex_encoder_256")
    encoder, generator = published_encoder(), StyleGANEXGenerator(decoder_256())
    w, features = encoder.read(frame())
    assert_close(w[:, :, ::4], expected["codes"])
    assert_close(features.feature[:, ::16], expected["f"])
    found = encoder.net.pyramid(frame(), latents=False)
    tapped = torch.cat([found[i] for i in encoder.net.taps], dim=1)
    assert_close(encoder.net.skiplayer(tapped), expected["skip_rgb"])
    assert_close(torch.stack([s.mean() for s in features.skips]), expected["skip_mean"])
    assert_close(torch.stack([s.std() for s in features.skips]), expected["skip_std"])
    image = generator(w, noise="zero", feature=features.feature, fuse=encoder.fuser(features))
    assert_close(image[:, :, ::2, ::2], expected["translated"])


@torch.no_grad()
def test_the_attention_of_video_editing_answers_as_published(published_encoder):
    encoder, generator = published_encoder("att1"), StyleGANEXGenerator(decoder_256())
    v = published_input("in.v", 1, 14, 512) * 0.5
    w, features = encoder.read(frame())
    fuse = encoder.fuser(features, v)
    image = generator(w + v, noise="zero", feature=features.feature, fuse=fuse)
    assert_close(image[:, :, ::2, ::2], answers("styleganex_edit_attention_256")["edited"])


@pytest.mark.parametrize("labels", [pytest.param(1, marks=pytest.mark.slow), 19])
@torch.no_grad()
def test_translations_answer_as_published(labels, published_encoder):
    expected = answers(f"styleganex_translate_in{labels}_256")
    encoder, generator = published_encoder(f"in{labels}"), StyleGANEXGenerator(decoder_256())
    drawn = (published_input(f"in.x{labels}", 1, labels, 128, 160) > 0.5).float()
    w, features = encoder.read(drawn)
    assert_close(w[:, :, ::8], expected["codes"])
    assert_close(features.feature[:, ::16], expected["f"])
    image = generator(w, noise="zero", feature=features.feature, fuse=encoder.fuser(features))
    assert_close(image[:, :, ::2, ::2], expected["translated"])


@pytest.mark.parametrize("noise", ["const", "zero"])
@pytest.mark.parametrize("clamp", [None, 0.7])
@torch.no_grad()
def test_the_constant_gives_stylegan2s_image_borders_included(noise, clamp):
    generator = tiny_generator(conv_clamp=clamp)
    w_plus = generator.mapping(torch.randn(2, 512))[:, None].expand(-1, generator.num_ws, -1)
    plain = generator.base(w_plus, noise=noise)
    feature = generator.first_feature()
    assert (generator(w_plus, noise=noise, feature=feature) - plain).abs().max() < 2e-5
    assert (generator(w_plus, noise=noise) - plain).abs().max() < 2e-5


def test_it_is_a_generator_that_shares_its_weights():
    generator = tiny_generator()
    assert isinstance(generator, Generator)
    shared = {id(p) for p in generator.base.parameters()}
    assert {id(p) for p in generator.parameters()} == shared
    assert generator.w_avg is generator.base.w_avg


def test_any_frame_size_and_gradients_to_its_feature_latents_and_weights():
    generator = tiny_generator()
    feature = torch.randn(1, 8, 5, 9, requires_grad=True)
    w_plus = torch.randn(2, generator.num_ws, 16, requires_grad=True)
    image = generator(w_plus, feature=feature, noise="random")
    assert image.shape == (2, 3, 5 * generator.scale, 9 * generator.scale)
    image.square().mean().backward()
    assert feature.grad.abs().sum() > 0 and w_plus.grad.abs().sum() > 0
    assert generator.base.conv1.weight.grad.abs().sum() > 0


@torch.no_grad()
def test_noise_shapes_are_those_of_the_layers():
    generator = tiny_generator()
    shapes = generator.noise_shapes(5, 9)
    assert shapes["base.conv1.noise_const"] == (5, 9)
    assert shapes["base.blocks.3.up.noise_const"] == (10, 18)
    for name, size in shapes.items():
        layer = generator.get_submodule(name.rpartition(".")[0])
        layer.noise_const = torch.randn(1, 1, *size)
    assert generator(torch.randn(1, 10, 16), feature=torch.randn(1, 8, 5, 9)).shape[2:] == (10, 18)


def test_what_does_not_fit_is_refused():
    generator = tiny_generator()
    with pytest.raises(ValueError, match="first feature"):
        generator(torch.randn(1, 10, 16), feature=torch.randn(1, 9, 4, 4))
    with pytest.raises(ValueError, match="too small"):
        base = StyleGAN2Generator(resolution=32, channels={4: 8, 8: 8, 16: 8, 32: 8}, w_dim=16)
        StyleGANEXGenerator(base)
    encoder = StyleGANEXEncoder(**TINY_ENCODER)
    with pytest.raises(ValueError, match="multiples of 8"):
        encoder.encode(torch.zeros(1, 3, 33, 64))
    with pytest.raises(ValueError, match="third stage"):
        StyleGANEXEncoder(**TINY_ENCODER | {"taps": (1, 2, 2)})


@torch.no_grad()
def test_an_encoder_is_rebuilt_from_its_config():
    options = {
        "label_channels": 19,
        "fusion_channels": (8, 8, 8),
        "fuse_image": False,
        "attention": 2,
        "has_direction": True,
        "input_statistics": True,
    }
    encoder = StyleGANEXEncoder(**TINY_ENCODER | options).eval()
    again = build(encoder.config(), "encoder").eval()
    again.load_state_dict(encoder.state_dict())
    labels = torch.rand(1, 19, 64, 48)
    w, features = encoder.read(labels)
    assert torch.equal(again.encode(labels), w)
    assert features.feature.shape == (1, 8, 8, 6) and len(features.skips) == 3
    assert torch.equal(again.frame_features(labels).feature, features.feature)
    assert encoder.encode(torch.zeros(1, 3, 64, 48)).shape == (1, 10, 16)


@torch.no_grad()
def test_fusion_blocks_start_nearly_as_identity():
    x, image = torch.randn(1, 8, 6, 5), torch.randn(1, 3, 6, 5)
    block = FusionBlock(16, 8, attention=1, w_dim=16)
    fused, fused_image = block(torch.randn(1, 16, 6, 5), x, image, torch.randn(1, 16))
    assert (fused - x).abs().max() < 0.3 and (fused_image - image).abs().max() < 0.3
    assert StyleGANEXEncoder(**TINY_ENCODER).fuser(FrameFeatures(x, ())) is None
