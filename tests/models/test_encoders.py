import pytest
import torch
from parity import answers, assert_close, decoder_256, published_input, published_state

from toonify.models.encoders.psp import PSPEncoder, ReStyleEncoder
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.models.registry import build

TINY = {"num_ws": 8, "w_dim": 32, "units": (1, 2, 1, 1), "channels": (16, 20, 24, 32)}


def tiny_generator(num_ws: int = 8) -> StyleGAN2Generator:
    resolution = 2 ** (num_ws // 2 + 1)
    channels = {2**i: 8 for i in range(2, num_ws // 2 + 2)}
    return StyleGAN2Generator(resolution=resolution, channels=channels, w_dim=32, z_dim=32)


@pytest.mark.parametrize("steps", [2, pytest.param(3, marks=pytest.mark.slow)])
@torch.no_grad()
def test_parity_restyle(steps):
    """First of the fixture's two faces, as samples are independent; a third step is as the second,
    and the picture is of the third."""
    with torch.device("meta"):
        encoder = ReStyleEncoder(num_ws=14)
    encoder.net.load_state_dict(published_state("restyle_encoder_256", "encoder."), assign=True)
    encoder.w_plus_mean = (0.3 * published_input("latent_avg", 512)).repeat(14, 1)
    encoder.eval()
    face = torch.tanh(0.5 * published_input("in.face", 2, 3, 256, 256))[:1]
    expected = answers("restyle_psp_256")
    w_plus = encoder.trajectory(face, decoder_256(), steps=steps)
    assert_close(torch.stack(w_plus)[..., ::8], expected["latents"][:steps, :1])
    if steps == 3:
        assert_close(decoder_256()(w_plus[-1])[:, :, ::4, ::4], expected["image"][:1])


@pytest.mark.parametrize("head_channels", [None, 8])
@pytest.mark.parametrize("architecture", ["psp", "e4e", "restyle"])
def test_config_rebuilds_the_network(architecture, head_channels):
    config = {"architecture": architecture, **TINY, "head_channels": head_channels}
    encoder = build(config, "encoder").eval()
    assert encoder.config()["architecture"] == architecture
    twin = build(encoder.config(), "encoder").eval()
    twin.load_state_dict(encoder.state_dict())
    faces, generator = torch.rand(2, 3, 256, 256) * 2 - 1, tiny_generator()
    with torch.no_grad():
        w_plus = encoder.encode(faces, generator)
        assert w_plus.shape == (2, 8, 32)
        assert torch.equal(w_plus, twin.encode(faces, generator))


def test_e4e_adds_differences_to_its_first_latent():
    psp = PSPEncoder(**TINY).eval()
    e4e = PSPEncoder(deltas=True, **TINY).eval()
    e4e.load_state_dict(psp.state_dict())
    faces = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        plain, summed = psp.encode(faces), e4e.encode(faces)
    torch.testing.assert_close(summed[:, 0], plain[:, 0])
    torch.testing.assert_close(summed[:, 1:], plain[:, 1:] + plain[:, :1])


def test_latents_are_relative_to_the_mean():
    encoder = PSPEncoder(**TINY).eval()
    faces = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        before = encoder.encode(faces)
        encoder.w_plus_mean += 1.5
        torch.testing.assert_close(encoder.encode(faces), before + 1.5)


@pytest.mark.parametrize("pyramid", [False, True])
def test_restyle_steps_see_the_last_reconstruction(pyramid):
    encoder = ReStyleEncoder(pyramid=pyramid, steps=2, **TINY).eval()
    faces, generator = torch.rand(2, 3, 256, 256), tiny_generator()
    with torch.no_grad():
        first, second = encoder.trajectory(faces, generator)
        assert torch.equal(encoder.encode(faces, generator, steps=1), first)
        seen = torch.nn.functional.adaptive_avg_pool2d(generator(first), 256)
        residual = encoder.net(torch.cat([faces, seen], dim=1))
    torch.testing.assert_close(second, first + residual)


def test_wrong_use_is_refused():
    restyle, faces = ReStyleEncoder(**TINY), torch.rand(1, 3, 256, 256)
    with pytest.raises(ValueError, match="needs the generator"):
        restyle.encode(faces)
    with pytest.raises(ValueError, match="8 latents, the generator takes 4"):
        restyle.encode(faces, tiny_generator(4))
    with pytest.raises(ValueError, match="expected images"):
        PSPEncoder(**TINY).encode(torch.rand(1, 3, 128, 128))
