"""The compact HFGI: what it changes, what it leaves, and what it refuses."""

import pytest
import torch
import torch.nn.functional as F

from tests.tiny_hfgi import W_DIM, tiny_encoder, tiny_hfgi, tiny_hybrid
from toonify.checkpoints import save_encoder
from toonify.checkpoints.hfgi import load_compact_hfgi
from toonify.checkpoints.loading import save_network
from toonify.errors import ModelError
from toonify.models.encoders.hfgi_compact import CompactInversion, warped
from toonify.models.generators.mobile import MobileGenerator


def picture(seed=0):
    random = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 3, 16, 16, generator=random) * 2 - 1
    return F.interpolate(small, size=(256, 256), mode="bilinear")


@pytest.mark.parametrize("resolution", [128, 256])
def test_before_anything_is_learnt_it_is_the_generator_s_own_picture(resolution):
    model = tiny_hfgi(resolution)
    for head in (model.networks.consult.head, getattr(model.networks.consult, "fine_head", None)):
        if head is not None:
            torch.nn.init.zeros_(head.weight)
    with torch.no_grad():
        w_plus = model.encode(picture())
        plain = model.generator(w_plus)
        assert torch.allclose(model.edited(picture(), w_plus, w_plus), plain, atol=1e-5)


def test_the_aligned_map_is_the_map_before_anything_is_learnt():
    model = tiny_hfgi()
    distortion = picture(1)
    with torch.no_grad():
        aligned, flow = model.networks.align(distortion, picture(2), picture(3))
    assert torch.allclose(aligned, distortion * torch.sigmoid(torch.tensor(3.0)), atol=1e-5)
    assert not flow.any()


@pytest.mark.parametrize("resolution", [128, 256])
def test_the_photo_reaches_the_picture_at_every_fused_size(resolution):
    model = tiny_hfgi(resolution)
    model.requires_grad_(False)
    photo = picture(1).requires_grad_()
    w_plus = torch.zeros(1, model.generator.num_ws, W_DIM)
    shallow, rendering = model.rendered(w_plus)
    found = model.networks.consult(photo - rendering, rendering)
    assert list(found) == [64, 128][: len(found)] and len(found) == (2 if resolution == 256 else 1)
    for size, (scale, shift) in found.items():
        assert scale.shape == shift.shape == (1, 8, size, size)
    model.fused(w_plus, shallow, photo - rendering, rendering).sum().backward()
    assert photo.grad.abs().sum() > 0


def test_a_flow_fetches_from_where_it_points():
    image = torch.zeros(1, 1, 64, 64)
    image[..., 20, 40] = 1
    flow = torch.zeros(1, 2, 64, 64)
    flow[:, 0] = 2 * 10 / 64  # ten pixels to the right
    moved = warped(image, flow)
    assert moved[0, 0, 20, 30] > 0.99 and moved.sum() < 1.01


def test_a_file_gives_back_what_was_saved(tmp_path):
    model = tiny_hfgi()
    path = tmp_path / "hfgi.safetensors"
    save_network(model.networks, path)
    read = load_compact_hfgi(path)
    assert read.channels == {64: 8, 128: 8}
    for name, value in model.networks.state_dict().items():
        assert torch.equal(read.state_dict()[name], value)
    save_encoder(tiny_encoder(), path)
    with pytest.raises(ModelError, match="hfgi weights were expected"):
        load_compact_hfgi(path)


def test_another_generator_is_refused():
    networks = tiny_hfgi(256).networks
    mobile = MobileGenerator(resolution=64, channels=(8, 8, 8, 8), w_dim=W_DIM, mapping_layers=1)
    for generator in (tiny_hybrid(128), mobile):
        with pytest.raises(ModelError, match="another generator"):
            CompactInversion(networks, generator, None)
