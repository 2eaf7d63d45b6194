"""One network of several styles: they begin alike, differ by modulation, and fold away."""

import pytest
import torch

from tests.models.test_unet import tiny
from toonify.checkpoints.loading import save_network
from toonify.checkpoints.translators import load_translator, load_unet
from toonify.errors import ModelError
from toonify.models.styled_unet import StyledUNet
from toonify.models.unet import UNet

STYLES = ("ink", "soft")
PHOTO = torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1


def styled(seed: int = 0) -> StyledUNet:
    """A network whose styles differ."""
    network = StyledUNet.from_unet(tiny(seed), STYLES)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for scale in network.modulation.values():
            scale += 0.3 * torch.randn(scale.shape, generator=generator)
    return network.eval()


def test_styles_begin_as_the_network_they_come_from():
    plain = tiny()
    network = StyledUNet.from_unet(plain, STYLES).eval()
    with torch.no_grad():
        for style in STYLES:
            assert torch.allclose(network(PHOTO, style), plain(PHOTO), atol=1e-6)


def test_a_style_alone_draws_the_same():
    network = styled()
    with torch.no_grad():
        drawn = {style: network(PHOTO, style) for style in STYLES}
        for style in STYLES:
            alone = network.network(style)
            assert isinstance(alone, UNet)
            assert torch.allclose(alone(PHOTO), drawn[style], atol=1e-5)
    assert (drawn["ink"] - drawn["soft"]).abs().mean() > 1e-3


def test_a_style_learns_what_is_shared_and_its_own():
    network = styled().train()
    network(PHOTO, "soft").square().mean().backward()
    assert network.unet.from_rgb.weight.grad.abs().sum() > 0
    rows = network.modulation["from_rgb_out"].grad
    assert rows[0].abs().sum() == 0 < rows[1].abs().sum()


@pytest.mark.parametrize("dtype", [None, torch.int8])
def test_files_draw_one_style_or_all(tmp_path, dtype):
    network, path = styled(), tmp_path / "styles.safetensors"
    save_network(network, path, dtype=dtype)
    again = load_translator(path)
    assert isinstance(again, StyledUNet) and again.styles == STYLES
    error = 1e-5 if dtype is None else 3e-2
    with torch.no_grad():
        soft = load_unet(path, style="soft")
        assert (soft(PHOTO) - network(PHOTO, "soft")).abs().max() <= error
    assert not any(p.requires_grad for p in soft.parameters()) and not soft.training
    with pytest.raises(ModelError, match="draws ink, soft") as error:
        load_unet(path)
    assert "beside it" in error.value.hint
    with pytest.raises(ModelError, match="not wash"):
        load_unet(path, style="wash")


@pytest.mark.parametrize("styles", [(), ("ink", "ink")])
def test_styles_have_names_of_their_own(styles):
    with pytest.raises(ValueError, match="once each"):
        StyledUNet(styles=styles)
