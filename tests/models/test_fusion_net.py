"""FusionNet: codes of a person and of a background become one."""

import pytest
import torch

from tests.tiny_hfgi import W_DIM, tiny_hybrid
from toonify.checkpoints.fusion import load_fusion_net
from toonify.checkpoints.loading import save_network
from toonify.errors import ModelError
from toonify.models.fusion_net import COMMON_LAYERS, FusionNet, fused_styles
from toonify.models.generators.hybrid import HybridGenerator


def tiny_net(generator, seed=0):
    torch.manual_seed(seed)
    lengths = [generator.layers[i].channels for i in fused_styles(generator)]
    network = FusionNet(channels=lengths, hidden=8).eval()
    for blender in (network.common, network.regions):
        torch.nn.init.normal_(blender.net[-1].weight)
    return network


def codes(count, num_ws=14):
    return torch.randn(count, 2, num_ws, W_DIM, generator=torch.Generator().manual_seed(1))


def test_each_channel_lies_between_the_two_codes():
    generator = tiny_hybrid()
    network, (person, background) = tiny_net(generator), codes(3).unbind(1)
    with torch.no_grad():
        fused = network.fuse(generator, person, background)
        mine, theirs = generator.styles(person), generator.styles(background)
    shares = []
    for i, layer in enumerate(generator.layers):
        if i not in fused_styles(generator):
            assert torch.equal(fused[i], mine[i]), "the person's"
            continue
        assert layer.resolution <= 32
        share = (fused[i] - mine[i]) / (theirs[i] - mine[i])
        assert share.min() > -1e-3 and share.max() < 1.001
        shares.append(share.std())
    assert len(shares) == 7 and min(shares) > 0.01, "channel by channel"


def test_one_code_stays_what_it_is():
    generator = tiny_hybrid()
    network, (person, other) = tiny_net(generator), codes(2).unbind(1)
    with torch.no_grad():
        for fused, own in zip(
            network.fuse(generator, person, person), generator.styles(person), strict=True
        ):
            assert torch.allclose(fused, own, atol=1e-6)
        moved = network.fuse(generator, person, person, other)
        places = fused_styles(generator)
        own = generator.styles(person)
    assert not torch.allclose(moved[places[0]], own[places[0]]), "the common code lays out"
    assert torch.allclose(moved[places[COMMON_LAYERS]], own[places[COMMON_LAYERS]], atol=1e-6)


def test_layers_may_differ_in_width():
    generator = HybridGenerator(
        resolution=128,
        channels={4: 12, 8: 8, 16: 8, 32: 4},
        junction=8,
        deep=(8,),
        w_dim=W_DIM,
        z_dim=W_DIM,
        mapping_layers=1,
    )
    network, (person, background) = tiny_net(generator), codes(2, 12).unbind(1)
    assert network.channels == (12, 12, 8, 8, 8, 8, 4)
    assert generator.synthesize(network.fuse(generator, person, background)).isfinite().all()


def test_files_keep_it_and_another_generator_is_refused(tmp_path):
    generator = tiny_hybrid()
    network, (person, background) = tiny_net(generator), codes(1).unbind(1)
    save_network(network, tmp_path / "fusion.safetensors")
    loaded = load_fusion_net(tmp_path / "fusion.safetensors")
    found, own = (each.fuse(generator, person, background) for each in (loaded, network))
    assert torch.equal(found[0], own[0])
    assert loaded.check(generator) is generator
    with pytest.raises(ModelError, match="another generator"):
        FusionNet(channels=(4, 4), hidden=8).check(generator)
    save_network(generator, tmp_path / "generator.safetensors")
    with pytest.raises(ModelError):
        load_fusion_net(tmp_path / "generator.safetensors")
