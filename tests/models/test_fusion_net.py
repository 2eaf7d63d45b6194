"""FusionNet: latents of a person and of a background become one; StyleFusion's tree of them."""

import pytest
import torch

from tests.tiny_hfgi import W_DIM, tiny_hybrid
from toonify.checkpoints.fusion import load_fusion_net, load_style_fusion
from toonify.checkpoints.loading import save_network
from toonify.errors import ModelError, UsageError
from toonify.models.fusion_net import COMMON_LAYERS, FUSED_TO, FusionNet
from toonify.models.fusion_tree import FFHQ, StyleFusion
from toonify.models.generators.hybrid import HybridGenerator


def tiny_net(generator, seed=0):
    torch.manual_seed(seed)
    width = max(x.channels for x in generator.layers if x.resolution <= FUSED_TO)
    network = FusionNet(width=width, hidden=8, up_to=FUSED_TO).eval()
    for blender in (network.blender_common, network.blender_segments):
        torch.nn.init.normal_(blender.disentangle_net[-1].weight, std=200)
        torch.nn.init.zeros_(blender.disentangle_net[-1].bias)
    return network


def w_plus(count, num_ws=14):
    return torch.randn(count, 2, num_ws, W_DIM, generator=torch.Generator().manual_seed(1))


def fused_styles(network, generator):
    return [place.index for place in network.places(generator.layers)]


def test_each_channel_lies_between_the_two_latents():
    generator = tiny_hybrid()
    network, (person, background) = tiny_net(generator), w_plus(3).unbind(1)
    with torch.no_grad():
        fused = network.fuse(generator, person, background)
        mine, theirs = generator.styles(person), generator.styles(background)
    shares = []
    for i, layer in enumerate(generator.layers):
        if i not in fused_styles(network, generator):
            assert torch.equal(fused[i], mine[i]), "the person's"
            continue
        assert layer.resolution <= 32
        share = (fused[i] - mine[i]) / (theirs[i] - mine[i])
        assert share.min() > -1e-3 and share.max() < 1.001
        shares.append(share.std())
    assert len(shares) == 7 and min(shares) > 0.01, "channel by channel"


def test_one_latent_stays_what_it_is():
    generator = tiny_hybrid()
    network, (person, other) = tiny_net(generator), w_plus(2).unbind(1)
    with torch.no_grad():
        for fused, own in zip(
            network.fuse(generator, person, person), generator.styles(person), strict=True
        ):
            assert torch.allclose(fused, own, atol=1e-6)
        own = generator.styles(person)
        moved = network(generator.layers, own, own, generator.styles(other))
        drawn = network.aligned(generator.layers, own, generator.styles(other))
    places = fused_styles(network, generator)
    for laid_out in (moved, drawn):
        assert not torch.allclose(laid_out[places[0]], own[places[0]]), "the common latent lays out"
        last = places[COMMON_LAYERS]
        assert torch.allclose(laid_out[last], own[last], atol=1e-6)


def test_layers_may_differ_in_width():
    generator = HybridGenerator(
        resolution=128,
        channels={4: 12, 8: 6, 16: 6, 32: 4},
        junction=8,
        deep=(8,),
        w_dim=W_DIM,
        z_dim=W_DIM,
        mapping_layers=1,
    )
    network, (person, background) = tiny_net(generator), w_plus(2, 12).unbind(1)
    assert network.check(generator) is generator
    with torch.no_grad():
        fused = network.fuse(generator, person, background)
    assert [x.shape for x in fused] == [x.shape for x in generator.styles(person)]
    assert generator.synthesize(fused).isfinite().all()


def test_files_keep_it_and_another_generator_is_refused(tmp_path):
    generator = tiny_hybrid()
    network, (person, background) = tiny_net(generator), w_plus(1).unbind(1)
    save_network(network, tmp_path / "fusion.safetensors")
    loaded = load_fusion_net(tmp_path / "fusion.safetensors")
    found, own = (each.fuse(generator, person, background) for each in (loaded, network))
    assert torch.equal(found[0], own[0])
    assert loaded.check(generator) is generator
    with pytest.raises(ModelError, match="another generator"):
        FusionNet(width=16, hidden=8, up_to=FUSED_TO).check(generator)
    save_network(generator, tmp_path / "generator.safetensors")
    with pytest.raises(ModelError):
        load_fusion_net(tmp_path / "generator.safetensors")


def published(folder, *names, width=8):
    """Files as StyleFusion's project has them, narrow."""
    folder.mkdir(exist_ok=True)
    for name in names:
        torch.manual_seed(len(name))
        torch.save(
            {"state_dict": FusionNet(width=width, hidden=8).state_dict()}, folder / f"{name}.pt"
        )
    return folder


def test_a_region_is_another_latent_s_and_its_common_latents_with_it(tmp_path):
    generator = tiny_hybrid()
    fusion = load_style_fusion(published(tmp_path / "ffhq", "all", "face"))
    assert fusion.parts == ["all", "face", "skin_mouth", "eyes", "bg_hair_clothes"]
    assert fusion.regions == ["face", "all", "mouth", "eyes"]
    fusion.check(generator)
    me, friend = (generator.styles(x) for x in w_plus(1).unbind(1))
    with torch.no_grad():
        same = fusion.swapped(generator, me, {})
        eyes = fusion.swapped(generator, me, {"eyes": friend})
        wanted = fusion.fuse(
            generator.layers, dict.fromkeys(fusion.parts, me) | {"eyes": friend, "face": friend}
        )
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(same, me, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(eyes, wanted, strict=True))
    assert any(not torch.allclose(a, b) for a, b in zip(eyes, me, strict=True))
    with pytest.raises(UsageError, match=r"don't part hair .* face, all, mouth, eyes"):
        fusion.swapped(generator, me, {"hair": friend})


def test_a_node_without_a_net_or_a_child_is_its_own_latent(tmp_path):
    generator = tiny_hybrid()
    fusion = load_style_fusion(published(tmp_path / "ffhq", "all", "face"))
    me, friend = (generator.styles(x) for x in w_plus(1).unbind(1))
    parts = dict.fromkeys(fusion.parts, me) | {"face": friend}
    with torch.no_grad():
        whole = fusion.fuse(generator.layers, parts)
        del parts["eyes"]
        missing = fusion.fuse(generator.layers, parts)
        plain = fusion.nets["all"](generator.layers, friend, me, me)
    assert all(torch.equal(a, b) for a, b in zip(missing, plain, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(missing, whole, strict=True))
    assert StyleFusion(FFHQ, {}).fuse(generator.layers, {"all": me})[0] is me[0]


def test_what_is_no_style_fusion_is_refused_in_a_line(tmp_path):
    with pytest.raises(ModelError, match="no StyleFusion networks in"):
        load_style_fusion(tmp_path)
    folder = published(tmp_path / "ffhq", "all")
    torch.save({"blender_common.disentangle_net.0.bias": torch.zeros(8)}, folder / "face.pt")
    with pytest.raises(ModelError, match=r"face\.pt: it is no FusionNet"):
        load_style_fusion(folder)
    state = FusionNet(width=8, hidden=8).state_dict()
    state["blender_segments.disentangle_net.4.bias"][0] = float("nan")
    torch.save(state, folder / "face.pt")
    with pytest.raises(ModelError, match=r"face\.pt: .*not finite"):
        load_style_fusion(folder)
    (folder / "face.pt").rename(folder / "hair.pt")
    torch.save(FusionNet(width=8, hidden=8).state_dict(), folder / "hair.pt")
    with pytest.raises(ModelError, match="nothing is fused at 'hair'"):
        load_style_fusion(folder)
