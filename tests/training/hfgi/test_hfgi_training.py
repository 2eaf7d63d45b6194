"""Training a compact HFGI: pairs of edits, what batches hold, and that it learns and resumes."""

import numpy as np
import pytest
import torch

from tests.tiny_hfgi import W_DIM, tiny_hfgi, tiny_hybrid
from toonify.errors import InputError, UsageError
from toonify.training.core.loop import run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.data.photos import PhotoSet
from toonify.training.hfgi.data import HFGIData, perspective
from toonify.training.hfgi.pairs import EditPairs, known_directions, sample_edit_pairs
from toonify.training.hfgi.step import HFGIConfig, HFGITrainer, HFGIWeights

ALONE = HFGIWeights(lpips=0, identity=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    generator, path = tiny_hybrid(), tmp_path_factory.mktemp("edits")
    directions = known_directions(generator, None)
    sample_edit_pairs(generator, directions, path, 12, size=64, seed=1, bfloat16=False)
    return path


@pytest.fixture
def pairs(folder):
    return EditPairs.load(folder, w_dim=W_DIM)


def test_pairs_are_one_face_before_and_after_a_known_edit(pairs):
    generator = tiny_hybrid()
    before, after, steps = pairs.batch(torch.arange(12), generator.num_ws)
    assert before.shape == after.shape == (12, 3, 64, 64) and steps.shape == (12, 14, W_DIM)
    assert (steps.flatten(1).norm(dim=1) > 0).all() and (before != after).flatten(1).any(1).all()


def test_pairs_of_another_w_or_kind_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="wide"):
        EditPairs.load(folder, w_dim=W_DIM + 1)
    np.save(tmp_path / "images.npy", np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="no readable pairs of edits"):
        EditPairs.load(tmp_path, w_dim=W_DIM)
    np.save(tmp_path / "steps.npy", np.zeros((2, 14, W_DIM), np.float16))
    with pytest.raises(InputError, match="of shape"):
        EditPairs.load(tmp_path, w_dim=W_DIM)


def test_a_batch_is_edits_and_inversions(pairs):
    data = HFGIData(num_ws=14, w_dim=W_DIM, pairs=pairs, held_out=2)
    batch = data.draw(24, torch.Generator().manual_seed(0))
    moved = batch.steps.flatten(1).any(dim=1)
    assert torch.equal(moved, batch.edited) and 4 < int(batch.edited.sum()) < 20
    same = (batch.photos == batch.targets).flatten(1).all(dim=1)
    assert torch.equal(same, ~batch.edited)
    assert batch.photos.abs().max() <= 1 and batch.photos.shape == (24, 3, 256, 256)
    kept = data.held_out()
    assert len(kept.photos) == 2 and kept.edited.all()


def test_photographs_are_inverted_alone():
    images = np.random.default_rng(0).integers(0, 255, (6, 256, 256, 3), np.uint8)
    photos = PhotoSet(images, [str(i) for i in range(6)], [])
    data = HFGIData(num_ws=14, w_dim=W_DIM, photos=photos)
    batch = data.draw(4, torch.Generator().manual_seed(0))
    assert not batch.edited.any() and not batch.steps.any()
    with pytest.raises(UsageError, match="nothing to learn from"):
        HFGIData(num_ws=14, w_dim=W_DIM)


def test_a_perspective_moves_corners_inwards_at_most_as_published():
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 64)] * 2, indexing="xy"))[None]
    seen = perspective(grid.expand(32, -1, -1, -1), torch.Generator().manual_seed(0))
    moved = (seen - grid).abs().amax(dim=1)
    assert 0 < moved.max() <= 0.16
    still = int((moved.flatten(1).max(dim=1).values < 1e-4).sum())
    assert 4 < still < 24, "six of ten are moved"
    still = perspective(grid, torch.Generator().manual_seed(0), share=0)
    assert torch.allclose(still, grid, atol=1e-4)


def test_it_learns_the_details_of_what_it_sees(pairs, monkeypatch):
    data = HFGIData(num_ws=14, w_dim=W_DIM, pairs=pairs, held_out=2)
    batch = data.draw(2, torch.Generator().manual_seed(0))
    monkeypatch.setattr(data, "draw", lambda count, random: batch)
    config = HFGIConfig(steps=60, batch_size=2, lr=4e-2, weights=ALONE, bfloat16=False)
    trainer = HFGITrainer(tiny_hfgi(), data, config)
    losses = [float(trainer.step()["l2"]) for _ in range(15)]
    assert losses[-1] < 0.8 * losses[0]
    assert all(p.grad is None for p in trainer.model.generator.parameters())
    assert trainer.preview().shape[1:] == (3, 256, 5 * 256)


def test_a_resumed_run_ends_as_an_uninterrupted_one(pairs, tmp_path):
    data = HFGIData(num_ws=14, w_dim=W_DIM, pairs=pairs, held_out=2)
    config = HFGIConfig(steps=4, batch_size=2, weights=ALONE, bfloat16=False)

    def run(name, steps, resume=False):
        trainer = HFGITrainer(tiny_hfgi(), data, config)
        run_trainer(trainer, RunFolder(tmp_path / name), steps=steps, snapshot=2, resume=resume)
        return trainer.average.state_dict()

    whole = run("whole", 4)
    run("cut", 2)
    for name, value in run("cut", 4, resume=True).items():
        assert torch.equal(value, whole[name]), name
