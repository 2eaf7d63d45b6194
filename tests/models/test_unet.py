"""The network that draws a style: sizes, colors, files."""

import pytest
import torch

from toonify.checkpoints.loading import save_network
from toonify.checkpoints.translators import load_unet
from toonify.errors import ModelError
from toonify.models.unet import UNet


def tiny(seed: int = 0) -> UNet:
    torch.manual_seed(seed)
    return UNet(widths=(8, 16), depths=(1, 1)).eval()


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (5, 3)])
def test_any_size_comes_back_as_it_was(size):
    drawn = tiny()(torch.rand(2, 3, *size) * 2 - 1)
    assert drawn.shape == (2, 3, *size) and drawn.isfinite().all()


def test_what_is_far_away_changes_nothing_at_first():
    # the whole frame's context begins at zero: only what is near decides
    photo = torch.rand(1, 3, 64, 64) * 2 - 1
    other = photo.clone()
    other[..., 48:] = 1
    with torch.no_grad():
        before, after = (tiny()(x) for x in (photo, other))
    assert torch.allclose(before[..., :16], after[..., :16], atol=1e-5)
    assert not torch.allclose(before[..., 48:], after[..., 48:])


@pytest.mark.parametrize(
    ("dtype", "error"), [(None, 1e-5), (torch.float16, 2e-3), (torch.int8, 2e-2)]
)
def test_files(tmp_path, dtype, error):
    network, path = tiny(), tmp_path / "style.safetensors"
    save_network(network, path, dtype=dtype)
    again = load_unet(path)
    photo = torch.rand(1, 3, 24, 24) * 2 - 1
    with torch.no_grad():
        assert (network(photo) - again(photo)).abs().max() <= error
    assert not any(p.requires_grad for p in again.parameters()) and not again.training


def test_another_network_is_refused(bundle_generator, tmp_path):
    with pytest.raises(ModelError, match="translator"):
        load_unet(bundle_generator)


@pytest.fixture
def bundle_generator(tmp_path):
    from tests.tiny_bundle import tiny_generator
    from toonify.checkpoints import save_generator

    save_generator(tiny_generator(), tmp_path / "g.safetensors")
    return tmp_path / "g.safetensors"
