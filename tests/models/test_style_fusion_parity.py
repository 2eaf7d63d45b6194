"""StyleFusion: what the published networks answered on seeded weights."""

import numpy as np
import pytest
import torch
from parity import answers, decoder_256
from seeded import seeded_array

from tests.models.test_style_transfer import assert_answers, seeded
from toonify.models.fusion_net import FusionNet
from toonify.models.fusion_tree import FFHQ, StyleFusion

TRUNCATION = 0.7
IMAGE = 1e-4


def array(name, *shape):
    return torch.from_numpy(seeded_array(f"stylefusion.{name}", shape)).float()


@pytest.fixture(scope="module")
def nets():
    return {name: seeded(FusionNet(), f"fusion.{name}.") for name in ("all", "face")}


def w_plus(name):
    generator = decoder_256()
    mean = 0.1 * array("mean_latent", 1, 512)
    w = mean.lerp(generator.mapping(array(f"z.{name}", 1, 512)), TRUNCATION)
    return w[:, None].expand(-1, generator.num_ws, -1)


def styles(name):
    return decoder_256().styles(w_plus(name))


def as_published(styles):
    """One vector: the convolutions' styles, then the tRGBs'; every fourth number."""
    layers = decoder_256().layers
    parts = [
        style[0]
        for kind in ("conv", "rgb")
        for style, layer in zip(styles, layers, strict=True)
        if layer.kind == kind
    ]
    return torch.cat(parts)[::4]


@pytest.mark.slow
@torch.no_grad()
def test_blenders_and_fusion_answer_as_published(nets):
    wanted, generator = answers("stylefusion_256"), decoder_256()
    one, two, common = (styles(name) for name in ("one", "two", "common"))
    assert_answers(as_published(one), wanted["styles_one"])
    assert_answers(w_plus("one"), wanted["w_plus_one"])
    assert_answers(generator.synthesize(one), wanted["image_one"], IMAGE)
    net = nets["all"]
    a, b, extra = array("a", 1, 512), array("b", 1, 512), array("e", 512)[None]
    assert_answers(net.blender_segments(a, b, 3, extra=extra), wanted["blender_segments_i3"])
    assert_answers(net.blender_common(a, b, 2), wanted["blender_common_i2"])
    assert_answers(net.blender_common(a, b, 2, rgb=True), wanted["blender_common_i2_rgb"])
    assert_answers(net._wide(array("narrow", 1, 64)), wanted["up_64"])
    assert_answers(net._narrow(a, 64), wanted["pool_64"])
    layers = generator.layers
    fused = net(layers, one, two, common)
    assert_answers(as_published(fused), wanted["fused"])
    assert_answers(generator.synthesize(fused), wanted["image_fused"], IMAGE)
    assert_answers(as_published(net(layers, one, two)), wanted["fused_only_segments"])
    assert_answers(as_published(net.aligned(layers, one, common)), wanted["fused_only_common"])
    everywhere = FusionNet(common_layers=None)
    everywhere.load_state_dict(net.state_dict())
    found = everywhere(layers, one, two, common)
    assert_answers(as_published(found), wanted["fused_common_layers_none"])


@pytest.mark.slow
@torch.no_grad()
def test_the_hierarchy_answers_as_published(nets):
    with np.load("tests/assets/parity/stylefusion_256.npz") as arrays:
        parts = arrays["hierarchy_parts"].tolist()
    wanted, generator = answers("stylefusion_256"), decoder_256()
    fusion = StyleFusion(FFHQ, nets)
    fusion.check(generator)
    assert fusion.parts == parts
    given = {part: styles(part) for part in parts}
    found = fusion.fuse(generator.layers, given)
    assert_answers(as_published(found), wanted["hierarchy"])
    assert_answers(generator.synthesize(found), wanted["image_hierarchy"], IMAGE)
    swapped = fusion.fuse(generator.layers, given | {parts[-1]: styles("swap")})
    assert_answers(as_published(swapped), wanted["hierarchy_swapped"])
    del given["skin_mouth"]
    missing = fusion.fuse(generator.layers, given)
    assert_answers(as_published(missing), wanted["hierarchy_missing_child"])
