"""What a generator is told by small faces: nothing at first, then what makes them consistent."""

import pytest
import torch
import torch.nn.functional as F

from tests.tiny_hfgi import tiny_hybrid
from toonify.errors import ModelError
from toonify.models.encoders.restoration import (
    FaceRestoration,
    consistent,
    moved_channels,
    restored,
)


def tiny_restoration(generator=None, seed=0):
    torch.manual_seed(seed)
    channels = moved_channels(generator or tiny_hybrid())
    return FaceRestoration(channels=channels, widths=(8, 8, 8, 8), fine=4).eval()


def small_faces(*sides):
    torch.manual_seed(1)
    faces = [torch.rand(1, 3, side, side) * 2 - 1 for side in sides]
    large = [F.interpolate(x, (256, 256), mode="bicubic", align_corners=False) for x in faces]
    return faces, torch.cat(large), torch.tensor(sides, dtype=torch.float32)


@torch.no_grad()
def test_an_untrained_network_leaves_the_latent_s_rendering():
    generator = tiny_hybrid()
    network = tiny_restoration(generator)
    for head in network.heads.values():
        torch.nn.init.zeros_(head.weight)
    _, photos, sides = small_faces(32, 20)
    w_plus = torch.randn(2, generator.num_ws, 8)
    drawn = restored(network, generator, photos, w_plus, sides)
    assert torch.allclose(drawn, generator(w_plus), atol=1e-4)
    torch.nn.init.normal_(network.heads["32"].weight)
    assert not torch.allclose(restored(network, generator, photos, w_plus, sides), drawn)


@torch.no_grad()
def test_made_small_again_it_is_the_photograph():
    small, photos, sides = small_faces(16, 32, 64)
    drawn = consistent(torch.rand(3, 3, 256, 256) * 2 - 1, photos, sides)
    for one, wanted in zip(drawn, small, strict=True):
        back = F.interpolate(one[None], wanted.shape[2:], mode="area")
        assert (back - wanted).abs().mean() < 0.03


def test_another_generator_is_refused():
    with pytest.raises(ModelError, match="another generator"):
        tiny_restoration().check(tiny_hybrid(128))
