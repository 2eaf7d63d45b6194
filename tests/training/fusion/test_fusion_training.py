"""Training FusionNet: what pairs are, what is compared where, that it learns and resumes."""

import pytest
import torch

from tests.models.test_fusion_net import tiny_net
from tests.tiny_hfgi import W_DIM, tiny_hybrid
from toonify.training.core.loop import run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.fusion.step import FusionConfig, FusionTrainer, regions
from toonify.training.hfgi.pairs import known_directions


def trainer(steps=40, batch=4, lr=0.5):
    generator = tiny_hybrid()
    parser = torch.randn(9, 4, generator=torch.Generator().manual_seed(3))
    config = FusionConfig(steps=steps, batch_size=batch, lr=lr, bfloat16=False)
    directions = known_directions(generator, None)
    return FusionTrainer(tiny_net(generator), generator, parser, directions, config)


def test_pairs_are_one_person_edited_or_two():
    person, background = trainer().draw(40, torch.Generator().manual_seed(0))
    assert person.shape == background.shape == (40, 14, W_DIM)
    way = (person - background).flatten(1)
    assert (way.norm(dim=1) > 0).all()
    ranks = [int(torch.linalg.matrix_rank(x.view(14, W_DIM), rtol=1e-4)) for x in way]
    assert 20 < sum(rank == 1 for rank in ranks) < 40, "a direction's step is the same in each row"


def test_regions_are_apart():
    front, other = torch.zeros(2, 1, 1, 64, 64).unbind()
    front[..., 16:48, 24:56] = 1
    other[..., 16:48, 8:40] = 1
    head, wall, gone = regions(front, other, 32)
    assert head[0, 0, 16, 20] == 1 and head[0, 0, 16, 6] == 0
    assert wall[0, 0, 2, 2] == 1 and wall[0, 0, 16, 6] == wall[0, 0, 16, 20] == 0
    assert gone[0, 0, 16, 6] == 1 and gone[0, 0, 16, 15] == gone[0, 0, 2, 2] == 0
    assert (head * wall).max() == (head * gone).max() == (wall * gone).max() == 0


def test_it_learns(monkeypatch):
    trained = trainer()
    pair = trained.draw(4, torch.Generator().manual_seed(0))
    monkeypatch.setattr(trained, "draw", lambda count, random: pair)
    losses = [float(trained.step()["loss"]) for _ in range(40)]
    assert losses[-1] < 0.9 * losses[0]
    assert all(p.grad is None for p in trained.generator.parameters())
    monkeypatch.undo()
    assert trained.preview().shape[1:] == (3, 256, 3 * 256)


def test_the_person_s_latent_alone_costs_nothing_of_the_person():
    trained = trainer()

    class Unfused(torch.nn.Module):
        def fuse(self, generator, person, background):
            return generator.styles(person)

    losses = trained.losses(Unfused(), *trained.draw(4, torch.Generator().manual_seed(0)))
    assert max(losses["person"], losses["layout"]) < 1e-6


def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path):
    def run(name, steps, resume=False):
        trained = trainer(steps=4, batch=2)
        run_trainer(trained, RunFolder(tmp_path / name), steps=steps, snapshot=2, resume=resume)
        return trained.average.state_dict()

    whole = run("whole", 4)
    run("cut", 2)
    for name, value in run("cut", 4, resume=True).items():
        assert torch.equal(value, whole[name]), name


def test_steps_need_a_batch():
    with pytest.raises(ValueError, match="batch_size"):
        FusionConfig(batch_size=0)
