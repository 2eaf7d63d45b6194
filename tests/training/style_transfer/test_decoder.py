"""Training a decoder of style transfer."""

import numpy as np
import pytest
import torch

from toonify.errors import InputError
from toonify.models.style_transfer.adain import AdaINNetwork
from toonify.training.core.loop import run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.style_transfer.decoder import StyleTrainer, StyleTrainSettings
from toonify.training.style_transfer.pictures import PictureFolder, random_crop
from toonify.training.style_transfer.vgg import normalized_vgg16


def trainer(folders, **options):
    torch.manual_seed(0)
    network = AdaINNetwork(widths=(4, 6, 8), depths=(1, 2))
    chosen = {"steps": 4, "batch_size": 2, "crop": 32, "lr": 1e-2} | options
    settings = StyleTrainSettings(**chosen)
    return StyleTrainer(network, *folders, settings)


def test_a_resumed_run_ends_as_an_uninterrupted_one(folders, tmp_path):
    whole = trainer(folders, reconstruction=1.0)
    encoder = {k: v.clone() for k, v in whole.network.encoder.state_dict().items()}
    run_trainer(whole, RunFolder(tmp_path / "a"), steps=4, snapshot=4)
    assert all(torch.equal(v, encoder[k]) for k, v in whole.network.encoder.state_dict().items())
    run_trainer(
        trainer(folders, reconstruction=1.0), RunFolder(tmp_path / "b"), steps=2, snapshot=2
    )
    again = trainer(folders, reconstruction=1.0)
    run_trainer(again, RunFolder(tmp_path / "b"), steps=4, snapshot=4, resume=True)
    for name, value in whole.network.state_dict().items():
        assert torch.allclose(again.network.state_dict()[name], value, atol=1e-6)
    assert list((tmp_path / "b").glob("preview-*.jpg"))


def test_learning_lowers_the_losses(folders):
    made = trainer(folders, steps=200, lr=3e-2)
    random = np.random.default_rng(3)
    content, style = (folder.batch(4, random) for folder in folders)

    def total():
        losses = made._losses(content, style)
        return float((losses["content"] + 10 * losses["style"]).detach())

    before = total()
    for _ in range(80):
        made.step()
    assert total() < 0.9 * before


def test_crops_fill_their_size_whatever_the_picture():
    rng = np.random.default_rng(0)
    for shape in ((20, 90, 3), (200, 33, 3), (32, 32, 3)):
        crop = random_crop(np.zeros(shape, np.uint8), 32, rng)
        assert crop.shape == (32, 32, 3)


def test_folders_without_pictures(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        PictureFolder(tmp_path / "gone", crop=32)
    with pytest.raises(InputError, match="no image"):
        PictureFolder(tmp_path, crop=32)


def test_vgg_s_channels_get_a_mean_activation_of_one():
    torch.manual_seed(0)
    shapes = [(64, 3), (64, 64), (128, 64), (128, 128), (256, 128)]
    trunk = [(0.1 * torch.randn(*shape, 3, 3), torch.zeros(shape[0])) for shape in shapes]
    samples = torch.rand(4, 3, 24, 24)
    encoder = normalized_vgg16(trunk, samples, depths=(2, 2))
    assert encoder.widths == (64, 128, 256)
    with torch.no_grad():
        means = encoder.features(samples)[-1].mean((0, 2, 3))
    assert torch.allclose(means.median(), torch.tensor(1.0), atol=0.05)
