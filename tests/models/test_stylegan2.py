import pytest
import torch
from parity import answers, assert_close, decoder_256, published_input, published_state

from toonify.checkpoints.formats import Checkpoint, build
from toonify.checkpoints.layouts import nvidia_generator, rosinality_generator
from toonify.models import registry
from toonify.models.base import Generator
from toonify.models.generators.stylegan2 import StyleGAN2Generator, channel_table


def tiny(**kwargs) -> StyleGAN2Generator:
    channels = {4: 16, 8: 12, 16: 8}
    kwargs = {"resolution": 16, "channels": channels, "w_dim": 24, "z_dim": 20, **kwargs}
    network = StyleGAN2Generator(mapping_layers=2, **kwargs)
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.constant_(parameter, 0.5)
    return network


@torch.no_grad()
def test_parity_rosinality():
    state = published_state("rosinality_128_cm2", "decoder.")
    convert = Checkpoint("rosinality", {"generator": lambda: rosinality_generator(state, None)})
    network, expected = build("generator", convert), answers("stylegan2_rosinality_128_cm2")
    w_plus = published_input("in.w", 2, 12, 512)
    assert network.config()["channels"]["64"] == 512
    assert_close(network.mapping(published_input("in.z", 2, 512))[:, ::8], expected["mapping"])
    styles = network.styles(w_plus)
    assert_close(torch.stack([style[:, :8] for style in styles]), expected["style_first8"])
    assert_close(network.synthesize(styles)[:, :, ::2, ::2], expected["image"])
    zero = network.synthesize(styles, noise="zero")
    assert_close(zero[:, :, ::4, ::4], expected["zero_noise"])


@torch.no_grad()
def test_parity_nvidia():
    state = published_state("nvidia_128", "")
    convert = Checkpoint("nvidia", {"generator": lambda: nvidia_generator(state, conv_clamp=None)})
    network, expected = build("generator", convert), answers("stylegan2_ada_128")
    w = network.mapping(published_input("in.z", 2, 512), truncation_psi=0.7)
    w_plus = w[:, None].repeat(1, network.num_ws, 1)
    assert_close(w_plus[:, :, ::8], expected["ws"])
    assert_close(network(w_plus)[:, :, ::2, ::2], expected["image"])


@torch.no_grad()
def test_parity_psp_decoder():
    network, expected = decoder_256(), answers("stylegan2_decoder_256")
    assert_close(network.mapping(published_input("in.z", 2, 512))[:, ::8], expected["mapping"])
    image = network(published_input("in.w", 1, 14, 512))
    assert_close(image[:, :, ::4, ::4], expected["stylegan_compat_stored_noise"])


def test_layers_follow_the_design():
    network = tiny()
    assert isinstance(network, Generator)
    assert network.num_ws == 6
    order = [(layer.latent_index, layer.kind, layer.resolution) for layer in network.layers]
    assert order == [
        (0, "conv", 4),
        (1, "rgb", 4),
        (1, "conv", 8),
        (2, "conv", 8),
        (3, "rgb", 8),
        (3, "conv", 16),
        (4, "conv", 16),
        (5, "rgb", 16),
    ]
    styles = network.styles(torch.randn(3, 6, 24))
    assert [s.shape for s in styles] == [(3, layer.channels) for layer in network.layers]
    for layer in network.layers:
        network.get_submodule(layer.name)


def test_config_rebuilds_the_network():
    network = tiny(conv_clamp=256.0)
    twin = registry.build(network.config(), "generator")
    twin.load_state_dict(network.state_dict())
    w_plus = torch.randn(2, 6, 24)
    assert torch.equal(network(w_plus), twin(w_plus))


def test_noise_modes():
    network = tiny()
    styles = network.styles(torch.randn(1, 6, 24))
    assert torch.equal(network.synthesize(styles), network.synthesize(styles))
    random = [network.synthesize(styles, noise="random") for _ in range(2)]
    assert not torch.equal(*random)
    assert not torch.equal(network.synthesize(styles), network.synthesize(styles, noise="zero"))


def test_samples_of_a_batch_do_not_mix():
    network = tiny()
    w_plus = torch.randn(3, 6, 24)
    together = network(w_plus)
    apart = torch.cat([network(w[None]) for w in w_plus])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)


def test_truncation_ends_at_the_mean():
    network = tiny()
    network.w_avg.normal_()
    w = network.mapping(torch.randn(2, 20), truncation_psi=0.0)
    torch.testing.assert_close(w, network.w_avg.expand(2, -1))


def test_clamp_limits_the_image():
    network = tiny(conv_clamp=0.01)
    assert network(torch.randn(1, 6, 24)).abs().max() <= 0.1  # three clamped images, upsampled


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near(dtype):
    network = tiny()
    w_plus = torch.randn(2, 6, 24)
    with torch.no_grad():
        full = network(w_plus)
        half = network.to(dtype)(w_plus.to(dtype))
    assert half.dtype == dtype
    assert (half.float() - full).abs().mean() < 0.05 * full.abs().mean()


def test_float16_survives_large_styles():
    network = tiny().half()
    styles = [style * 3e3 for style in network.styles(torch.randn(1, 6, 24).half())]
    kinds = [layer.kind for layer in network.layers]
    styles = [s if kind == "conv" else s / 3e3 for s, kind in zip(styles, kinds, strict=True)]
    with torch.no_grad():
        assert network.synthesize(styles).isfinite().all()


def test_path_length_gradient_reaches_the_weights():
    network = tiny()
    w_plus = torch.randn(2, 6, 24, requires_grad=True)
    image = network(w_plus, noise="random")
    (slope,) = torch.autograd.grad(
        (image * torch.randn_like(image)).sum(), w_plus, create_graph=True
    )
    slope.square().sum().backward()
    for name in ("blocks.0.up.weight", "blocks.1.conv.weight", "conv1.affine.weight"):
        gradient = network.get_parameter(name).grad
        assert gradient is not None and gradient.isfinite().all() and gradient.abs().max() > 0


def test_no_grad_equals_grad():
    network = tiny()
    w_plus = torch.randn(2, 6, 24)
    with torch.no_grad():
        quiet = network(w_plus)
    torch.testing.assert_close(quiet, network(w_plus), atol=1e-6, rtol=1e-5)


def test_channel_tables():
    assert channel_table(1024)[1024] == 32
    assert channel_table(128, channel_base=16384) == {
        4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128
    }  # fmt: skip


@pytest.mark.parametrize(
    ("resolution", "channels"), [(24, {4: 8, 8: 8}), (16, {4: 8, 8: 8}), (4, {4: 8})]
)
def test_wrong_shapes_are_refused(resolution, channels):
    with pytest.raises(ValueError, match="must"):
        StyleGAN2Generator(resolution=resolution, channels=channels)


def test_wrong_number_of_styles_is_refused():
    network = tiny()
    with pytest.raises(ValueError, match="expected 8 styles, got 2"):
        network.synthesize(network.styles(torch.randn(1, 6, 24))[:2])


def test_features_are_those_the_next_block_reads():
    network = tiny().eval()
    styles = network.styles(torch.randn(2, network.num_ws, network.w_dim))
    seen = []
    network.blocks[1].up.register_forward_hook(lambda module, args, out: seen.append(args[0]))
    network.synthesize(styles)
    assert torch.equal(network.features(styles, resolution=8), seen[0])
    assert network.features(styles, resolution=16).shape == (2, 8, 16, 16)


@pytest.mark.parametrize("noise", ["const", "zero"])
def test_partial_images_end_with_the_image(noise):
    network = tiny()
    styles = network.styles(torch.randn(2, 6, 24))
    images = network.partial_images(styles, noise=noise)
    assert [image.shape for image in images] == [(2, 3, size, size) for size in (4, 8, 16)]
    assert torch.equal(images[-1], network.synthesize(styles, noise=noise))


def test_partial_images_stop_early(monkeypatch):
    network = tiny()
    styles = network.styles(torch.randn(2, 6, 24))
    whole = network.partial_images(styles)

    def run(*arguments):
        raise AssertionError("the last block has no part in it")

    monkeypatch.setattr(network.blocks[1].up, "forward", run)
    for early, image in zip(network.partial_images(styles, resolution=8), whole, strict=False):
        assert torch.equal(early, image)
    assert len(network.partial_images(styles, resolution=8)) == 2
    # a coarse picture has nothing to do with later layers: their styles may be anything
    pairs = zip(styles, network.layers, strict=True)
    other = [s if layer.resolution <= 8 else s + 1 for s, layer in pairs]
    assert torch.equal(network.partial_images(other, resolution=8)[-1], whole[1])
