"""HFGI: what the published modules answered, and what fusion does."""

import pytest
import torch
from parity import answers
from published import shrink
from seeded_more import seeded_image

from tests.models.test_style_transfer import assert_answers, seeded
from toonify.checkpoints.hfgi import load_hfgi
from toonify.errors import ModelError
from toonify.inversion.hfgi import load_details
from toonify.inversion.model import FaceModel
from toonify.models.encoders.hfgi import HFGI, AlignmentNetwork, ConsultationEncoder
from toonify.models.encoders.psp import PSPEncoder
from toonify.models.generators.stylegan2 import StyleGAN2Generator

CHANNELS = {4: 8, 8: 8, 16: 8, 32: 8, 64: 6, 128: 4}


def generator():
    torch.manual_seed(0)
    return StyleGAN2Generator(resolution=128, channels=CHANNELS, w_dim=16, mapping_layers=1)


def probe(name, shape):
    return torch.from_numpy(seeded_image(name, shape))


def test_the_modules_answer_as_published():
    wanted = answers("hfgi_modules_256")
    with torch.no_grad():
        aligner = seeded(AlignmentNetwork(), "grid_align.")
        found = aligner(probe("hfgi.probe6", (1, 6, 256, 256)))
        assert_answers(found, wanted["aligner_probe"])
        consult = seeded(ConsultationEncoder(), "residue.")
        for suffix, part, shape in (
            ("", "probe", (1, 3, 256, 256)),
            ("_wide", "wide", (1, 3, 192, 320)),
        ):
            scale, shift = consult(probe(f"hfgi.probe3{suffix}", shape))
            assert_answers(scale, wanted[f"consult_{part}_scale"])
            assert_answers(shift, wanted[f"consult_{part}_shift"])


def test_fusion_happens_between_the_convolutions_at_64_and_nowhere_else():
    made = HFGI(generator(), None, residue=ConsultationEncoder(6)).eval().requires_grad_(False)
    w_plus = torch.randn(1, made.generator.num_ws, 16)
    plain = made.generator(w_plus)
    made.residue.forward = lambda aligned: (torch.zeros(()), torch.zeros(()))
    assert torch.equal(made.fused(w_plus, torch.zeros(1, 3, 256, 256)), plain)
    made.residue.forward = lambda aligned: (torch.ones(()), torch.zeros(()))
    changed = made.fused(w_plus, torch.zeros(1, 3, 256, 256))
    assert not torch.allclose(changed, plain)
    photo = torch.rand(1, 3, 256, 256) * 2 - 1
    assert made.edited(photo, w_plus, w_plus + 0.1).shape == plain.shape


def test_a_generator_without_that_feature_is_refused():
    with pytest.raises(ModelError, match="512 channels at 64x64"):
        HFGI(generator(), None)


def test_a_published_checkpoint_loads_whole(tmp_path):
    torch.manual_seed(0)
    parts = {"residue": ConsultationEncoder(64), "grid_align": AlignmentNetwork()}
    state = {
        f"{prefix}.{name}": value
        for prefix, network in parts.items()
        for name, value in network.state_dict().items()
    }
    widths = {512: 64, 256: 48, 128: 32}
    state |= {f"decoder.{k}": v for k, v in shrink("decoder_256", widths).items()}
    state |= {f"encoder.{k}": v for k, v in e4e().items()}
    path = tmp_path / "ckpt.pt"
    options = {"encoder_type": "Encoder4Editing"}
    torch.save({"state_dict": state, "latent_avg": torch.randn(64), "opts": options}, path)
    loaded = load_hfgi(path)
    for prefix, network in parts.items():
        for name, value in network.state_dict().items():
            assert torch.equal(getattr(loaded, prefix).state_dict()[name], value)
    photo = torch.rand(1, 3, 256, 256) * 2 - 1
    with torch.no_grad():
        w_plus = loaded.encode(photo)
    assert w_plus.shape == (1, 14, 64)
    model = FaceModel(loaded.generator, loaded.encoder)
    assert isinstance(load_details(model, str(path)), HFGI), "what `--encoder ckpt.pt` gives"
    del state["grid_align.conv_layer1.0.weight"]
    torch.save({"state_dict": state, "latent_avg": torch.randn(64), "opts": options}, path)
    with pytest.raises(ModelError, match="grid_align is not HFGI's"):
        load_hfgi(path)


def e4e():
    """A state dict of a narrow e4e encoder for 256×256."""
    encoder = PSPEncoder(
        deltas=True, num_ws=14, w_dim=64, units=(1, 1, 1, 1), channels=(16, 24, 32, 64)
    )
    return encoder.net.state_dict()
