"""Training StyleMapGAN: what a step learns from, and that it goes on as if never stopped."""

import numpy as np
import pytest
import torch

from tests.cli.test_training import PlainLoss
from toonify.errors import UsageError
from toonify.models.generators.stylemap import StyleMapGAN
from toonify.training.core.loop import run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.data.photos import PhotoSet
from toonify.training.stylemap.step import (
    StyleMapConfig,
    StyleMapTrainer,
    StyleMapWeights,
    new_stylemap,
    random_boxes,
)


def faces(count=8):
    images = np.random.default_rng(0).integers(0, 255, (count, 4, 4, 3), np.uint8)
    images = images.repeat(8, axis=1).repeat(8, axis=2)
    return PhotoSet(images, [str(i) for i in range(count)], [])


def tiny(*, map_size=8, mapping=False, seed=0):
    torch.manual_seed(seed)
    widths = {8: 24, 16: 16, 32: 12}
    return StyleMapGAN(size=32, map_size=map_size, widths=widths, mapping=mapping)


def trainer(*, mapping=False, perceptual=None, seed=0, **options):
    network = tiny(mapping=mapping, seed=seed)
    config = StyleMapConfig(**{"steps": 60, "batch_size": 4, "lr": 1e-2, "beta1": 0.9} | options)
    return StyleMapTrainer(network, faces(), config, perceptual=perceptual)


def test_it_learns_to_reconstruct():
    training = trainer(weights=StyleMapWeights(adversarial=0))
    losses = [float(training.step()["l2"]) for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:2])
    assert training.kimg == 0.12


@pytest.mark.parametrize("mapping", [False, True])
def test_all_losses_take_part_and_reach_what_they_are_of(mapping):
    training = trainer(mapping=mapping, perceptual=PlainLoss("alex"), r1_interval=1)
    before = {k: v.clone() for k, v in training.network.named_parameters()}
    d_before = {k: v.clone() for k, v in training.discriminator.named_parameters()}
    metrics = training.step()
    names = {"l2", "lpips", "adversarial", "in_domain", "latent", "loss", "discriminator"}
    assert set(metrics) == names and all(bool(v.isfinite()) for v in metrics.values())
    still = [k for k, v in training.network.named_parameters() if torch.equal(v, before[k])]
    assert not still
    moved = [not torch.equal(v, d_before[k]) for k, v in training.discriminator.named_parameters()]
    assert all(moved)


def test_a_random_face_s_latent_loss_is_the_encoder_s_alone():
    only = StyleMapWeights(adversarial=1e-12, l2=0, lpips=0)
    training = trainer(mapping=True, weights=only, lr=1.0)
    training.optimizer = torch.optim.SGD(training.network.parameters(), lr=1.0)
    before = {k: v.detach().clone() for k, v in training.network.named_parameters()}
    training.step()
    named = training.network.named_parameters()
    change = {k: float((v.detach() - before[k]).abs().max()) for k, v in named}
    assert max(v for k, v in change.items() if k.startswith("generator")) < 1e-9
    assert change["encoder.final_conv.0.weight"] > 1e-6


def test_the_discriminator_waits_for_its_step():
    training = trainer(adversarial_from=1)
    first = {k: v.clone() for k, v in training.discriminator.state_dict().items()}
    assert set(training.step()) == {"l2", "loss"}
    for name, value in training.discriminator.state_dict().items():
        assert torch.equal(value, first[name])
    assert "discriminator" in training.step()


def test_nothing_changes_where_a_loss_is_not_finite():
    training = trainer()
    with torch.no_grad():
        training.discriminator.logit.weight.fill_(float("nan"))
    before = {k: v.clone() for k, v in training.network.state_dict().items()}
    training.step()
    assert training.step_count == 0 and not training.finite()
    for name, value in training.network.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path):
    whole = trainer(augment=True)
    run_trainer(whole, RunFolder(tmp_path / "whole"), steps=6, snapshot=3)
    run_trainer(trainer(augment=True), RunFolder(tmp_path / "cut"), steps=3, snapshot=3)
    again = trainer(augment=True, seed=5)
    run_trainer(again, RunFolder(tmp_path / "cut"), steps=6, snapshot=3, resume=True)
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, again.average.state_dict()[name]), name
    assert whole.preview().shape == (1, 3, 32, 96)
    other = StyleMapTrainer(tiny(map_size=16), faces(), whole.config)
    with pytest.raises(UsageError, match="of another run"):
        run_trainer(other, RunFolder(tmp_path / "cut"), steps=6, snapshot=3, resume=True)
    with pytest.raises(UsageError, match="batches of 4, not 2"):
        run_trainer(
            trainer(batch_size=2), RunFolder(tmp_path / "cut"), steps=6, snapshot=3, resume=True
        )


def test_boxes_cover_a_part():
    masks = random_boxes(50, 16, torch.Generator().manual_seed(0))
    shares = masks.flatten(1).float().mean(1)
    assert masks.shape == (50, 16, 16) and shares.min() >= 4 / 256 and shares.max() <= 144 / 256
    for mask in masks:
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns[None, :])


def test_too_few_faces():
    with pytest.raises(UsageError, match="too few"):
        StyleMapTrainer(tiny(), faces(1), StyleMapConfig())


@pytest.mark.parametrize(("design", "width"), [("light", 16), ("small", 128), ("full", 256)])
def test_designs_are_of_different_widths(design, width):
    with torch.device("meta"):
        network = new_stylemap(size=256, map_size=8, design=design)
    assert network.generator.widths[128] == width
