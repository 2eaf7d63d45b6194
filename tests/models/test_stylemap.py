"""StyleMapGAN: what the published code answered, and local edits."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from parity import answers, layout
from seeded import seeded_array
from seeded_more import seeded_image, seeded_more

from tests.models.test_style_transfer import assert_answers, seeded
from tests.tiny_bundle import tiny_generator
from toonify.checkpoints import save_generator
from toonify.checkpoints.formats import Checkpoint, build
from toonify.checkpoints.layouts import rosinality_discriminator
from toonify.checkpoints.loading import save_network
from toonify.checkpoints.stylemap import load_stylemap
from toonify.editing.stylemap import (
    local_edit,
    mixed_by_mask,
    moved_in,
    style_mixed,
    transplanted,
)
from toonify.errors import ModelError
from toonify.models.generators.stylemap import StyleMapEncoder, StyleMapGAN, StyleMapGenerator
from toonify.training.core.losses import discriminator_logistic, generator_logistic, r1_penalty

TOLERANCE = 1e-4  # of an array's largest value, for images


def disc_mask():
    y, x = np.mgrid[:128, :128]
    inside = (y - 0.45 * 128) ** 2 + (x - 0.6 * 128) ** 2 < (0.23 * 128) ** 2
    return torch.from_numpy(np.where(inside, 1, -1).astype(np.float32))[None]


def test_the_small_generator_answers_as_published():
    wanted = answers("stylemapgan_small_128")
    generator = StyleMapGenerator(size=128, map_size=16, channel_multiplier=1, small=True)
    encoder = StyleMapEncoder(size=128, map_size=16, channel_multiplier=1)
    seeded(generator, "stylemap.generator.").requires_grad_(False)
    seeded(encoder, "stylemap.encoder.").requires_grad_(False)
    z = torch.from_numpy(seeded_array("stylemap.z", (2, 64))).float()
    many = torch.from_numpy(seeded_array("stylemap.z_mean", (16, 64))).float()
    mean = generator.flat(many).mean(0, keepdim=True)
    mapped = generator.mapping(z)
    assert_answers(mapped, wanted["mapped_stylemap"])
    assert_answers(mean, wanted["mean_stylemap"])
    assert_answers(generator(mapped[:1]), wanted["image"][:1], TOLERANCE)
    truncated = generator.mapping(z, mean=mean, truncation_psi=0.7)
    assert_answers(generator(truncated[1:]), wanted["truncated_image"][1:], TOLERANCE)
    for index, stylemap in enumerate(generator.decoder.resize(mapped)):
        assert_answers(stylemap, wanted[f"resized_{index:02d}"])
    photos = [
        torch.from_numpy(seeded_image(f"stylemap.x{index}", (1, 3, 128, 128)))
        for index in (1, 2, 3)
    ]
    one, other, third = (encoder(photo) for photo in photos)
    assert_answers(torch.cat([one, other]), wanted["encoded_stylemap"])
    mask = disc_mask()
    moved = transplanted(
        one, other, to=(slice(8, 12), slice(4, 12)), of=(slice(6, 10), slice(4, 12))
    )
    for name, picture in (
        ("reconstruction", generator(one)),
        ("edit_w", local_edit(generator, one, other, mask)),
        ("edit_w_plus", local_edit(generator, one, other, mask, every_layer=True)),
        ("stylemixing_coarse", style_mixed(generator, one, other)),
        ("stylemixing_fine", style_mixed(generator, other, one)),
        ("interpolated_image", generator(0.3 * one + 0.7 * other)),
        ("transplanted_image", generator(moved)),
    ):
        assert_answers(picture, wanted[name], TOLERANCE)
    corner = torch.zeros(1, 128, 128)
    corner[:, :32, :64] = 1
    masks = torch.cat([(mask > 0).float(), corner])
    shifts = [(16, -16), (0, 32)]
    pictures = moved_in(generator, one, [other, third], masks, shifts, steps=3)
    assert_answers(torch.cat(pictures), wanted["demo_three_steps"], TOLERANCE)


@pytest.mark.slow
def test_the_full_networks_answer_as_published():
    wanted = answers("stylemapgan_128")
    generator = StyleMapGenerator(size=128, map_size=8, channel_multiplier=2)
    encoder = StyleMapEncoder(size=128, map_size=8, channel_multiplier=2)
    seeded(generator, "stylemap.generator.").requires_grad_(False)
    seeded(encoder, "stylemap.encoder.").requires_grad_(False)
    z = torch.from_numpy(seeded_array("stylemap.z", (2, 64))).float()
    many = torch.from_numpy(seeded_array("stylemap.z_mean", (16, 64))).float()
    mean = generator.flat(many).mean(0, keepdim=True)
    mapped = generator.mapping(z)
    assert_answers(mapped, wanted["mapped_stylemap"])
    assert_answers(mean, wanted["mean_stylemap"])
    fake = generator(mapped)
    assert_answers(fake, wanted["image"], TOLERANCE)
    truncated = generator.mapping(z, mean=mean, truncation_psi=0.7)
    assert_answers(generator(truncated), wanted["truncated_image"], TOLERANCE)
    for index, stylemap in enumerate(generator.decoder.resize(mapped)):
        assert_answers(stylemap, wanted[f"resized_{index:02d}"])
    one, other, third = (
        encoder(torch.from_numpy(seeded_image(f"stylemap.x{index}", (1, 3, 128, 128))))
        for index in (1, 2, 3)
    )
    assert_answers(torch.cat([one, other]), wanted["encoded_stylemap"])
    moved = transplanted(one, other, to=(slice(4, 6), slice(2, 6)), of=(slice(3, 5), slice(2, 6)))
    for name, picture in (
        ("reconstruction", generator(one)),
        ("edit_w", local_edit(generator, one, other, disc_mask())),
        ("edit_w_plus", local_edit(generator, one, other, disc_mask(), every_layer=True)),
        ("stylemixing_coarse", style_mixed(generator, one, other)),
        ("stylemixing_fine", style_mixed(generator, other, one)),
        ("interpolated_image", generator(0.3 * one + 0.7 * other)),
        ("transplanted_image", generator(moved)),
    ):
        assert_answers(picture, wanted[name], TOLERANCE)
    corner = torch.zeros(1, 128, 128)
    corner[:, :32, :64] = 1
    masks = torch.cat([(disc_mask() > 0).float(), corner])
    shifts = [(16, -16), (0, 32)]
    pictures = moved_in(generator, one, [other, third], masks, shifts, steps=3)
    assert_answers(torch.cat(pictures), wanted["demo_three_steps"], TOLERANCE)
    discriminator = published_discriminator()
    four = torch.from_numpy(seeded_image("stylemap.d", (4, 3, 128, 128))).requires_grad_()
    scores = discriminator(four)
    assert_answers(scores, wanted["d_scores"])
    assert_answers(r1_penalty(scores, four)[None], wanted["d_r1"], TOLERANCE)
    real = four.detach()[:2]
    rebuilt = generator(encoder(real))
    losses = {
        "loss_g_adv": generator_logistic(discriminator(fake)),
        "loss_w_rec": F.mse_loss(encoder(fake), mapped),
        "loss_d": discriminator_logistic(discriminator(real), discriminator(fake)),
        "loss_d_indomain": F.softplus(discriminator(rebuilt)).mean(),
        "loss_x_rec": F.mse_loss(rebuilt, real),
        "loss_e_indomain": generator_logistic(discriminator(rebuilt)),
    }
    for name, loss in losses.items():
        assert_answers(loss[None], wanted[name], TOLERANCE)


def published_discriminator():
    """With seeded weights; its filters are constants."""
    shapes = layout("stylemapgan_discriminator_128").items()
    values = {name: seeded_more(f"stylemap.discriminator.{name}", shape) for name, shape in shapes}
    state = {name: torch.from_numpy(x).float() for name, x in values.items() if x is not None}
    published = Checkpoint("rosinality", {"discriminator": lambda: rosinality_discriminator(state)})
    return build("discriminator", published)


def test_an_edit_keeps_the_source_where_the_mask_is_not():
    torch.manual_seed(0)
    one, other = torch.randn(2, 1, 64, 8, 8)
    mask = -torch.ones(1, 32, 32)
    mask[:, 4:8, 8:16] = 1
    mixed = mixed_by_mask(one, other, mask)
    assert torch.equal(mixed[..., 1, 2:4], other[..., 1, 2:4])
    mixed[..., 1, 2:4] = one[..., 1, 2:4]
    assert torch.equal(mixed, one)


def test_sizes_follow_the_arguments():
    torch.manual_seed(0)
    widths = {8: 6, 16: 5, 32: 4}
    generator = StyleMapGenerator(size=32, widths=widths)
    encoder = StyleMapEncoder(size=32, widths=widths)
    stylemap = generator.mapping(torch.randn(2, 64))
    assert stylemap.shape == (2, 64, 8, 8)
    picture = generator(stylemap)
    assert picture.shape == (2, 3, 32, 32) and encoder(picture).shape == stylemap.shape


def test_a_mask_need_not_be_square():
    torch.manual_seed(0)
    one, other = torch.randn(2, 1, 64, 4, 8)
    mask = -torch.ones(1, 32, 16)
    mask[:, 8:16, 2:4] = 1
    mixed = mixed_by_mask(one, other, mask)
    assert torch.equal(mixed[..., 1, 1], other[..., 1, 1])
    assert (mixed != one).any(1).sum() == 1


@pytest.mark.parametrize("small", [False, True])
def test_a_published_checkpoint_loads_whole(tmp_path, small):
    torch.manual_seed(0)
    network = StyleMapGAN(size=32, map_size=8, widths={8: 6, 16: 5, 32: 4}, small=small)
    contents = {
        "g_ema": network.generator.state_dict(),
        "e_ema": {f"module.{k}": v for k, v in network.encoder.state_dict().items()},
    }
    path = tmp_path / "stylemap.pt"
    torch.save(contents, path)
    loaded = load_stylemap(path)
    assert loaded.config() == network.config()
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    torch.save({"g_ema": contents["g_ema"]}, path)
    with pytest.raises(ModelError, match="no e_ema"):
        load_stylemap(path)


@pytest.mark.parametrize("mapping", [False, True])
def test_ours_is_kept_whole(tmp_path, mapping):
    torch.manual_seed(0)
    network = StyleMapGAN(
        size=32, map_size=16, widths={16: 6, 32: 4, 64: 2}, mapping=mapping
    ).eval()
    path = tmp_path / "stylemap.safetensors"
    save_network(network, path)
    loaded = load_stylemap(path)
    assert loaded.config() == network.config()
    assert loaded.config()["widths"] == {"16": 6, "32": 4}, "those in use"
    photo = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(loaded(photo), network(photo))
    if not mapping:
        with pytest.raises(ModelError, match="no mapping network"):
            loaded.generator.mapping(torch.randn(1, 64))


def test_files_of_other_networks_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        load_stylemap(tmp_path / "gone.safetensors")
    save_generator(tiny_generator(), tmp_path / "g.safetensors")
    with pytest.raises(ModelError, match=r"holds a generator .* stylemap weights were expected"):
        load_stylemap(tmp_path / "g.safetensors")
    torch.save({"g_ema": {"input.input": torch.zeros(1, 4, 4, 4)}, "e_ema": {}}, tmp_path / "s.pt")
    with pytest.raises(ModelError, match="of another network"):
        load_stylemap(tmp_path / "s.pt")
