"""Edits before the photograph's own background, and where the network for them is found."""

import json

import numpy as np
import pytest
import torch

from tests.models.test_fusion_net import published, tiny_net
from tests.tiny_hfgi import tiny_hfgi
from toonify.checkpoints.fusion import load_style_fusion
from toonify.checkpoints.loading import save_network
from toonify.errors import ModelError
from toonify.faces.parsing import LABELS, FaceParser
from toonify.inversion.background_fusion import BackgroundFusion, load_fusion
from toonify.models.encoders.hfgi import HFGI, ConsultationEncoder
from toonify.models.fusion_net import FusionNet
from toonify.models.fusion_tree import PERSON, StyleFusion
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.utils.hashing import file_sha256

WALL, SKIN = 0.5, -0.8  # gray of the stand-in pictures, in [-1, 1]


def parser(crop):
    """Skin where it is dark, background elsewhere; clothes where it is white."""
    small = crop[::2, ::2, 0]
    labels = np.zeros((*small.shape, len(LABELS)), np.float32)
    labels[..., LABELS.index("skin")] = small < 80
    labels[..., LABELS.index("clothes")] = small > 240
    labels[..., LABELS.index("background")] = 1 - labels.sum(axis=2)
    return labels


def head_at(column, wall=WALL):
    picture = torch.full((1, 3, 256, 256), wall)
    picture[..., 60:200, column - 40 : column + 40] = SKIN
    return picture


@pytest.fixture
def details(monkeypatch):
    """Renders heads where latents say, on a wall a little too dark; keeps what it consulted."""
    whole = tiny_hfgi()

    first = whole.generator.styles(torch.zeros(1, 14, 8))[0]

    def drawn(styles):
        column = 120 if torch.equal(styles[0], first) else 150
        return head_at(column, WALL - 0.2)

    def consulted(styles, distortion, rendering):
        whole.seen = distortion
        return rendering + distortion

    monkeypatch.setattr(whole, "drawn", drawn)
    monkeypatch.setattr(whole, "consulted", consulted)
    return whole


def test_the_background_is_the_photograph_s_and_no_outline_stays(details):
    photo = head_at(120)
    photo[..., 60:100, 220:250] = 0.9  # something on the wall
    fused = BackgroundFusion(details, None, parser)(
        photo, torch.zeros(1, 14, 8), torch.ones(1, 14, 8)
    )
    assert torch.allclose(fused.image[..., 60:100, 224:246], torch.tensor(0.9), atol=0.02)
    gone = fused.image[..., 70:190, 84:104]  # of the old head
    assert (gone - WALL).abs().max() < 0.08, "the wall goes on"
    assert (fused.behind[..., 70:190, 84:104] - WALL).abs().max() < 0.08
    assert fused.person[0, 0, 130, 150] == 1 and fused.person[0, 0, 130, 60] == 0
    assert fused.been[0, 0, 130, 90] == 1 and fused.been[0, 0, 20, 20] == 0
    assert (details.seen[..., 80:180, 130:170]).abs().max() < 0.5


def test_clothes_and_what_lies_apart_stay_where_they_are(details):
    photo = head_at(120)
    photo[..., 210:, :] = 1.0  # clothes
    photo[..., 20:40, 10:30] = SKIN  # a face in the crowd
    fused = BackgroundFusion(details, None, parser)(
        photo, torch.zeros(1, 14, 8), torch.ones(1, 14, 8)
    )
    assert fused.been[0, 0, 30, 20] == 0 and fused.been[0, 0, 240, 120] == 0
    assert torch.allclose(fused.image[..., 236:, 10:60], torch.tensor(1.0), atol=0.02)
    assert torch.allclose(fused.image[..., 26:36, 16:24], torch.tensor(SKIN), atol=0.02)


def tree(network):
    return StyleFusion(PERSON, {"all": network})


def test_the_network_fuses_the_latents():
    whole = tiny_hfgi()
    photo = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1
    w_plus, edit = torch.zeros(1, 14, 8), torch.ones(1, 14, 8)
    flat = BackgroundFusion(whole, None, FaceParser())(photo, w_plus, edit)
    fusion = tree(tiny_net(whole.generator))
    fused = BackgroundFusion(whole, fusion, FaceParser())(photo, w_plus, edit)
    assert fused.image.shape == (1, 3, 256, 256) and fused.image.isfinite().all()
    assert not torch.allclose(fused.image, flat.image)
    with pytest.raises(ModelError, match="another generator"):
        other = FusionNet(width=16, hidden=8, up_to=32)
        BackgroundFusion(whole, tree(other), FaceParser())


def test_the_published_networks_keep_backgrounds_too(tmp_path):
    torch.manual_seed(0)
    channels = {4: 8, 8: 8, 16: 8, 32: 8, 64: 8, 128: 4}
    generator = StyleGAN2Generator(resolution=128, channels=channels, w_dim=8, mapping_layers=1)
    details = HFGI(generator, None, residue=ConsultationEncoder(8)).eval().requires_grad_(False)
    photo = torch.rand(1, 3, 256, 256) * 2 - 1
    w_plus = torch.randn(1, 12, 8)
    nets = published(tmp_path / "ffhq", "all", "bg_hair_clothes", "bg_clothes")
    fusion = BackgroundFusion(details, load_style_fusion(nets), FaceParser())
    fused = fusion(photo, w_plus, w_plus + 0.5)
    assert fused.image.shape == (1, 3, 128, 128) and fused.image.isfinite().all()
    with pytest.raises(ModelError, match="don't part the background"):
        face = load_style_fusion(published(tmp_path / "face", "all"))
        BackgroundFusion(details, face, FaceParser())


def test_a_bundle_s_network_is_taken_and_checked(tmp_path):
    whole = tiny_hfgi()
    save_network(tiny_net(whole.generator), tmp_path / "fusion.safetensors")
    digest = file_sha256(tmp_path / "fusion.safetensors")

    def manifest(files):
        (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "files": files}))

    manifest({})
    with pytest.raises(ModelError, match=r"holds no FusionNet.*`keep_background` off"):
        load_fusion(whole, str(tmp_path))
    manifest({"fusion": {"file": "fusion.safetensors", "sha256": "0" * 64}})
    with pytest.raises(ModelError, match="SHA-256 differs"):
        load_fusion(whole, str(tmp_path))
    manifest({"fusion": {"file": "fusion.safetensors", "sha256": digest}})
    assert load_fusion(whole, str(tmp_path)).fusion is not None
