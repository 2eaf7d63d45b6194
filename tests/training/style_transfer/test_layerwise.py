"""Training the small network of style transfer."""

import numpy as np
import pytest
import torch

from toonify.errors import UsageError
from toonify.models.style_transfer.adain import StyleEncoder
from toonify.models.style_transfer.layerwise import LayerwiseAdaIN
from toonify.training.core.loop import run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.style_transfer.job import train_style_network
from toonify.training.style_transfer.layerwise import (
    LayerwiseSettings,
    LayerwiseTrainer,
    VGGFeatures,
    content_loss,
    moments,
    style_losses,
)


def vgg():
    torch.manual_seed(1)
    return VGGFeatures(StyleEncoder(widths=(4, 5, 6, 7), depths=(1, 1, 1)))


def trainer(folders, **options):
    torch.manual_seed(0)
    network = LayerwiseAdaIN(widths=(4, 5, 6), blocks=1)
    chosen = {"steps": 4, "batch_size": 2, "crop": 32, "lr": 1e-3} | options
    return LayerwiseTrainer(network, vgg(), *folders, LayerwiseSettings(**chosen))


def test_a_resumed_run_ends_as_an_uninterrupted_one(folders, tmp_path):
    whole = trainer(folders)
    run_trainer(whole, RunFolder(tmp_path / "a"), steps=4, snapshot=4)
    run_trainer(trainer(folders), RunFolder(tmp_path / "b"), steps=2, snapshot=2)
    again = trainer(folders)
    run_trainer(again, RunFolder(tmp_path / "b"), steps=4, snapshot=4, resume=True)
    for name, value in whole.average.state_dict().items():
        assert torch.allclose(again.average.state_dict()[name], value, atol=1e-5)
    assert list((tmp_path / "b").glob("preview-*.jpg"))


def test_learning_lowers_the_reconstruction_error(folders):
    made = trainer(folders, steps=400, lr=3e-3, content_weight=1e-3, style_weight=1e-3)
    first = np.mean([float(made.step()["reconstruction"]) for _ in range(5)])
    for _ in range(60):
        made.step()
    last = np.mean([float(made.step()["reconstruction"]) for _ in range(5)])
    assert last < 0.9 * first


def test_what_looks_the_same_has_the_same_moments():
    random = np.random.default_rng(0)
    noise = torch.from_numpy(random.random((1, 3, 32, 32), np.float32))
    turned = noise.flip(3)
    with torch.no_grad():
        one, two, other = (vgg()(x) for x in (noise, noise, 0.2 * turned))
    same = style_losses([moments(f) for f in one], [moments(f) for f in two])
    apart = style_losses([moments(f) for f in one], [moments(f) for f in other])
    assert float(same[0]) == 0 and float(same[1]) == 0
    assert float(apart[0]) > 0 and float(apart[1]) > 0
    assert float(content_loss(one, two)) == 0 and float(content_loss(one, other)) > 0
    mean, deviation, gram = moments(one[0])
    flat = one[0][0].flatten(1)
    assert torch.allclose(mean[0], flat.mean(1), atol=1e-5)
    assert torch.allclose(gram[0], flat @ flat.T / flat.shape[1], atol=1e-5)
    assert deviation.shape == mean.shape


def test_an_encoder_is_of_the_published_network_alone(folders, tmp_path):
    with pytest.raises(UsageError, match="compared by VGG-16"):
        train_style_network(
            folders[0].folder,
            folders[1].folder,
            tmp_path / "run",
            settings=LayerwiseSettings(steps=1),
            encoder=tmp_path,
        )
