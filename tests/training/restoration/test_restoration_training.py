"""Training what enlarges small faces: what is made small, that it learns and resumes."""

import numpy as np
import torch

from tests.models.test_restoration import tiny_restoration
from tests.tiny_hfgi import tiny_encoder, tiny_hybrid
from toonify.training.core.loop import run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.data.photos import PhotoSet
from toonify.training.restoration.data import SIDES, draw_batch
from toonify.training.restoration.step import RestorationConfig, RestorationTrainer


def faces(count=10):
    images = np.random.default_rng(0).integers(0, 255, (count, 16, 16, 3), np.uint8)
    images = images.repeat(16, axis=1).repeat(16, axis=2)
    return PhotoSet(images, [f"{i}.png" for i in range(count)], [])


def trainer(steps=4):
    generator = tiny_hybrid()
    config = RestorationConfig(steps=steps, batch_size=2, bfloat16=False)
    network = tiny_restoration(generator)
    return RestorationTrainer(network, generator, tiny_encoder(), faces(), config)


def test_faces_are_made_small_in_many_ways():
    batch = draw_batch(faces(), torch.arange(10), np.random.default_rng(0))
    assert batch.faces.shape == batch.photos.shape == (10, 3, 256, 256)
    assert batch.sides.min() >= SIDES[0] and batch.sides.max() <= SIDES[1]
    assert len(set(batch.sides.tolist())) > 5
    assert (batch.faces - batch.photos).abs().mean() > 0.01


def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path):
    def run(name, steps, resume=False):
        trained = trainer()
        run_trainer(trained, RunFolder(tmp_path / name), steps=steps, snapshot=1, resume=resume)
        return trained

    whole = run("whole", 2)
    assert whole.preview().shape == (8, 3, 256, 3 * 256)
    assert any(
        (a != b).any()
        for a, b in zip(whole.network.parameters(), trainer().network.parameters(), strict=True)
    )
    run("cut", 1)
    for name, value in run("cut", 2, resume=True).average.state_dict().items():
        assert torch.equal(value, whole.average.state_dict()[name]), name
