import argparse
import os
from pathlib import Path

import published
import pytest
import torch

from toonify.checkpoints import (
    generator_hash,
    load_discriminator,
    load_encoder,
    load_generator,
    save_discriminator,
    save_encoder,
    save_generator,
)
from toonify.errors import ModelError
from toonify.models.encoders.psp import PSPEncoder

RESTYLE = {"encoder_type": "BackboneEncoder", "n_iters_per_batch": 3, "output_size": 16}
TINY = {"num_ws": 8, "w_dim": 32, "units": (1, 2, 1, 1), "channels": (16, 20, 24, 32)}


def w_plus(generator) -> torch.Tensor:
    return torch.randn(2, generator.num_ws, generator.w_dim)


def save(path: Path, contents: object) -> Path:
    torch.save(contents, path)
    return path


def psp_file(path: Path, *, opts: object = RESTYLE, **changes: object) -> Path:
    state = {f"encoder.{k}": v for k, v in published.restyle_encoder().items()}
    state |= {f"decoder.{k}": v for k, v in published.rosinality(width=64).items()}
    average = torch.randn(6, 64)
    return save(path, {"state_dict": state, "latent_avg": average, "opts": opts, **changes})


@torch.no_grad()
def round_trip(network, path: Path, save_as, load, run) -> None:
    save_as(network, path)
    again = load(path)
    assert again.config() == network.config()
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    torch.testing.assert_close(run(again), run(network))


@pytest.mark.parametrize("resolution", [8, 16])
@pytest.mark.parametrize("zipped", [True, False])
def test_rosinality_generator(tmp_path, resolution, zipped):
    state, average = published.rosinality(resolution), torch.randn(8)
    path = tmp_path / "stylegan2.pt"
    contents = {"g_ema": state, "latent_avg": average}
    torch.save(contents, path, _use_new_zipfile_serialization=zipped)
    generator = load_generator(path)
    assert generator.resolution == resolution
    assert torch.equal(generator.w_avg, average)
    assert torch.equal(generator.conv1.noise_const, state["noises.noise_0"])
    latents = w_plus(generator)
    round_trip(generator, tmp_path / "a.safetensors", save_generator, load_generator,
               lambda network: network(latents))  # fmt: skip


def test_rosinality_variants_hold_the_same_network(tmp_path):
    state, average = published.rosinality(), torch.randn(8)
    contents = [
        {"g_ema": state, "latent_avg": average},
        {"g": {f"module.{k}": v for k, v in state.items()}, "latent_avg": average},
        {**state, "latent_avg": average},
        {"state_dict": {f"decoder.{k}": v for k, v in state.items()},
         "latent_avg": average.repeat(6, 1)},
    ]  # fmt: skip
    hashes = {generator_hash(load_generator(save(tmp_path / "g.pt", c))) for c in contents}
    assert len(hashes) == 1


def test_missing_mean_is_estimated_and_missing_noise_repeatable(tmp_path):
    state = {k: v for k, v in published.rosinality().items() if not k.startswith("noises.")}
    path = save(tmp_path / "g.pt", {"g_ema": state})
    generator = load_generator(path)
    with torch.no_grad():
        mean = generator.mapping(torch.randn(4000, 8)).mean(dim=0)
        spread = generator.mapping(torch.randn(4000, 8)).std(dim=0)
    assert ((generator.w_avg - mean).abs() < 0.1 * spread).all()
    assert generator_hash(generator) == generator_hash(load_generator(path))


def test_rosinality_discriminator(tmp_path):
    path = save(tmp_path / "sg2.pt", {"d": published.rosinality_discriminator()})
    discriminator = load_discriminator(path)
    assert discriminator.channels == {4: 8, 8: 7, 16: 6}
    images = torch.randn(4, 3, 16, 16)
    round_trip(discriminator, tmp_path / "d.safetensors", save_discriminator, load_discriminator,
               lambda network: network(images))  # fmt: skip


def test_restyle(tmp_path):
    path = psp_file(tmp_path / "restyle.pt")
    encoder, generator = load_encoder(path), load_generator(path)
    assert encoder.config()["steps"] == 3
    assert encoder.num_ws == generator.num_ws == 6
    faces = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        latents = encoder.encode(faces, generator)
    assert latents.shape == (1, 6, 64)
    round_trip(encoder, tmp_path / "e.safetensors", save_encoder, load_encoder,
               lambda network: network.encode(faces, generator, steps=1))  # fmt: skip


def test_restyle_over_e4e(tmp_path):
    opts = {**RESTYLE, "encoder_type": "ProgressiveBackboneEncoder"}
    config = load_encoder(psp_file(tmp_path / "restyle_e4e.pt", opts=opts)).config()
    assert config["architecture"] == "restyle" and config["deltas"]


@pytest.mark.parametrize(
    ("kind", "architecture"), [("GradualStyleEncoder", "psp"), ("Encoder4Editing", "e4e")]
)
@pytest.mark.parametrize("relative", [True, False])
def test_psp_and_e4e(tmp_path, kind, architecture, relative):
    original = PSPEncoder(deltas=architecture == "e4e", **TINY).eval()
    if relative:
        original.w_plus_mean.copy_(torch.randn(32).expand(8, 32))
    contents = {
        "state_dict": {f"encoder.{k}": v for k, v in original.net.state_dict().items()},
        "latent_avg": original.w_plus_mean[0] if relative else torch.randn(32),
        "opts": argparse.Namespace(encoder_type=kind, start_from_latent_avg=relative),
    }
    encoder = load_encoder(save(tmp_path / "psp.pt", contents))
    assert encoder.config() == original.config()
    assert encoder.config()["architecture"] == architecture
    faces = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        assert torch.equal(encoder.encode(faces), original.encode(faces))


def test_float16_file_loads_as_float32_with_the_same_hash(tmp_path):
    generator = load_generator(save(tmp_path / "g.pt", {"g_ema": published.rosinality()}))
    save_generator(generator, tmp_path / "half.safetensors", dtype=torch.float16)
    again = load_generator(tmp_path / "half.safetensors")
    assert next(again.parameters()).dtype == torch.float32
    assert generator_hash(again) == generator_hash(generator)


def refused(load, path: Path, *words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message and path.name in message
    for word in words:
        assert word in message


def test_wrong_checkpoint_for_the_option(tmp_path):
    generator = save(tmp_path / "g.pt", {"g_ema": published.rosinality()})
    refused(load_encoder, generator, "holds a generator", "encoder weights were expected")
    refused(load_discriminator, generator, "discriminator weights were expected")
    encoder = tmp_path / "e.safetensors"
    save_encoder(PSPEncoder(**TINY), encoder)
    refused(load_generator, encoder, "holds an encoder", "generator weights were expected")


def test_broken_weights(tmp_path):
    for value in (float("nan"), float("inf")):
        state = published.rosinality()
        state["convs.0.conv.weight"][0, 0, 0, 0, 0] = value
        path = save(tmp_path / "nan.pt", {"g_ema": state})
        refused(load_generator, path, "blocks.0.up.weight", "NaN or infinite")
    state = published.rosinality()
    del state["convs.1.conv.modulation.bias"]
    path = save(tmp_path / "missing.pt", {"g_ema": state})
    refused(load_generator, path, "lacks 'convs.1.conv.modulation.bias'")
    state = published.rosinality()
    state["to_rgbs.0.conv.modulation.weight"] = torch.randn(9, 8)
    path = save(tmp_path / "shape.pt", {"g_ema": state})
    refused(load_generator, path, "to_rgb.affine.weight", "(9, 8)", "expected (8, 8)")
    state = published.rosinality()
    state["to_rgbs.0.conv.weight"] = torch.randn(3, 8)
    path = save(tmp_path / "flat.pt", {"g_ema": state})
    refused(load_generator, path, "unexpected shapes")
    refused(load_encoder, psp_file(tmp_path / "avg.pt", latent_avg=torch.ones(5, 64)), "shapes")
    state = published.rosinality()
    state["convs.0.conv.blur.kernel"] = torch.ones(4, 4)
    path = save(tmp_path / "blur.pt", {"g_ema": state})
    refused(load_generator, path, "another filter", "convs.0.conv.blur.kernel")


def test_broken_files(tmp_path):
    whole = save(tmp_path / "whole.pt", {"g_ema": published.rosinality()}).read_bytes()
    ours = tmp_path / "whole.safetensors"
    save_generator(load_generator(tmp_path / "whole.pt"), ours)
    for name, data, word in (
        ("empty.pt", b"", "empty"),
        ("cut.pt", whole[: len(whole) // 2], "can't be read"),
        ("text.pt", b"<!DOCTYPE html><html>not found", "not a checkpoint"),
        ("cut.safetensors", ours.read_bytes()[:-100], "not a readable safetensors"),
        ("html.safetensors", b"<!DOCTYPE html>", "not a readable safetensors"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        refused(load_generator, path, word)
    refused(load_generator, tmp_path / "nowhere.pt", "no checkpoint at")
    refused(load_generator, tmp_path, "does not hold")


def test_foreign_contents(tmp_path):
    refused(load_generator, save(tmp_path / "list.pt", [1, 2]), "holds a list")
    other = save(tmp_path / "other.pt", {"model": {"fc.weight": torch.ones(1)}, "epoch": 3})
    refused(load_generator, other, "no network we know", "epoch, model")
    neither = save(tmp_path / "neither.pt", {"state_dict": {"fc.weight": torch.ones(1)}})
    refused(load_generator, neither, "neither an encoder nor a decoder")


def test_unsupported_encoders(tmp_path):
    path = psp_file(tmp_path / "p.pt", opts={**RESTYLE, "encoder_type": "ResNetBackboneEncoder"})
    refused(load_encoder, path, "ResNetBackboneEncoder", "BackboneEncoder")
    refused(load_encoder, psp_file(tmp_path / "q.pt", opts={}), "'none'")
    refused(load_encoder, psp_file(tmp_path / "r.pt", latent_avg=None), "lacks latent_avg")


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pytorch_file_is_not_run(tmp_path, zipped):
    marker, path = tmp_path / "marker", tmp_path / "hostile.pt"
    contents = {"g_ema": published.rosinality(), "extra": Hostile(marker)}
    torch.save(contents, path, _use_new_zipfile_serialization=zipped)
    refused(load_generator, path, "mkdir", "refused")
    assert not marker.exists()
