"""Published StyleGANEX checkpoints, with narrow networks, through the loaders."""

from __future__ import annotations

import argparse
from pathlib import Path

import published
import pytest
import torch

from toonify.checkpoints import load_encoder, load_generator, save_encoder
from toonify.errors import ModelError
from toonify.models.generators.styleganex import StyleGANEXGenerator

INVERSION = {"dataset_type": "ffhq_encode", "start_from_latent_avg": True, "device": "cuda"}


def save(path: Path, variant: str = "", **changes: object) -> Path:
    contents = {
        "state_dict": published.styleganex(variant),
        "latent_avg": torch.randn(14, 64),
        "opts": INVERSION,
    }
    torch.save(contents | changes, path)
    return path


@torch.no_grad()
def test_encoder_and_generator_load_and_work_together(tmp_path):
    path = save(tmp_path / "styleganex.pt")
    encoder, generator = load_encoder(path), StyleGANEXGenerator(load_generator(path))
    assert encoder.num_ws == generator.num_ws == 14
    assert encoder.config()["fusion_channels"] == [64] * 5
    w_plus, features = encoder.read(torch.rand(1, 3, 40, 56) * 2 - 1)
    fuse = encoder.fuser(features)
    image = generator(w_plus, feature=features.feature, fuse=fuse)
    assert image.shape == (1, 3, 40, 56) and image.isfinite().all()
    save_encoder(encoder, tmp_path / "e.safetensors")
    again = load_encoder(tmp_path / "e.safetensors")
    assert again.config() == encoder.config()
    for name, value in encoder.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


@pytest.mark.parametrize("options", [dict, lambda opts: argparse.Namespace(**opts)])
def test_video_editing_brings_its_vector(tmp_path, options):
    vectors = torch.randn(4, 14, 64)
    path = save(tmp_path / "edit.pt", "att1", editing_w=vectors, opts=options(INVERSION))
    encoder = load_encoder(path)
    assert encoder.config()["attention"] == 1
    assert torch.equal(encoder.direction, vectors[0])


@pytest.mark.parametrize(("labels", "kind"), [(1, "sketch"), (19, "seg")])
def test_translations_read_labels_by_their_own_statistics(tmp_path, labels, kind):
    path = save(tmp_path / "t.pt", f"in{labels}", opts={"dataset_type": f"ffhq_{kind}_to_face"})
    encoder = load_encoder(path)
    config = encoder.config()
    assert config["label_channels"] == labels and config["translation_blocks"] == 2
    assert config["input_statistics"]
    drawn = torch.rand(1, labels, 48, 40).round()
    with torch.no_grad():
        w_plus = encoder.encode(drawn)
        encoder.net.input_layer[1].running_mean.add_(5)
        assert torch.equal(encoder.encode(drawn), w_plus)


def test_relative_to_zero_where_trained_so(tmp_path):
    opts = INVERSION | {"start_from_latent_avg": False}
    assert not load_encoder(save(tmp_path / "s.pt", opts=opts)).w_plus_mean.any()


def test_what_is_not_supported_or_not_whole_is_said_in_a_line(tmp_path):
    def refused(load, path: Path, *words: str) -> None:
        with pytest.raises(ModelError) as caught:
            load(path)
        assert all(word in str(caught.value) for word in (path.name, *words))

    whole = published.styleganex()
    encoder = {k: v for k, v in whole.items() if k.startswith("encoder.")}
    path = save(tmp_path / "half.pt", state_dict=encoder)
    refused(load_generator, path, "holds an encoder", "generator weights were expected")
    refused(load_encoder, save(tmp_path / "a.pt", latent_avg=None), "lacks latent_avg")
    refused(load_encoder, save(tmp_path / "b.pt", opts={"max_pooling": True}), "max_pooling")
    del whole["encoder.featlayer.weight"]
    refused(load_encoder, save(tmp_path / "c.pt", state_dict=whole), "featlayer.weight")
