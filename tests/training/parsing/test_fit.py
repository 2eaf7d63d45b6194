"""The training: it learns, resumes, and counts what it is told to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from drawn_face import write_faces

from toonify.errors import InputError, ModelError, UsageError
from toonify.training.core.loop import run_trainer
from toonify.training.core.runs import RunFolder
from toonify.training.parsing.export import export_onnx
from toonify.training.parsing.fit import (
    ComposedPictures,
    ParsingConfig,
    ParsingTrainer,
    attribute_losses,
    label_loss,
)
from toonify.training.parsing.labels import IGNORED
from toonify.training.parsing.pretrained import load_exported

TINY = ParsingConfig(
    steps=6, batch_size=4, sizes=((64, 1.0),), bfloat16=False, widths=(4, 6, 8, 8, 8)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("parsing") / "faces")


def test_borders_are_learnt_as_shares_and_ignored_labels_not_at_all() -> None:
    weights = torch.ones(2)
    labels = torch.tensor([[[0, 0], [1, IGNORED]]])
    even = label_loss(torch.zeros(1, 2, 1, 1), labels, weights)
    assert even.item() == pytest.approx(torch.tensor(2.0).log().item())
    odd = torch.tensor([2.0, -2.0]).view(1, 2, 1, 1)  # two of three are the first
    assert label_loss(odd / 4, labels, weights) < even
    two = torch.tensor([[[0, 0], [1, 1]]])
    sure = torch.tensor([3.0, -3.0]).view(1, 2, 1, 1)
    assert label_loss(torch.zeros(1, 2, 1, 1), two, weights) < label_loss(sure, two, weights)


def test_unknown_attributes_do_not_count() -> None:
    logits = torch.zeros(2, 7)
    known = attribute_losses(logits, torch.tensor([[1.0, 0, 1, 0], [-1, -1, -1, -1]]))
    assert known["glasses"].item() == pytest.approx(torch.tensor(4.0).log().item())
    assert known["worn"].item() == pytest.approx(torch.tensor(2.0).log().item())
    none = attribute_losses(logits, torch.full((2, 4), -1.0))
    assert none["glasses"].item() == none["worn"].item() == 0


def test_it_learns_and_ends_the_same_after_a_break(tmp_path: Path, folder: Path) -> None:
    whole = ParsingTrainer(folder, TINY, workers=0)
    run_trainer(whole, RunFolder(tmp_path / "whole"), steps=6, snapshot=6)
    part = ParsingTrainer(folder, TINY, workers=0)
    run_trainer(part, RunFolder(tmp_path / "part"), steps=3, snapshot=3)
    more = ParsingTrainer(folder, TINY, workers=0)
    run_trainer(more, RunFolder(tmp_path / "part"), steps=6, snapshot=6, resume=True)
    assert more.step_count == 6
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(more.network.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    assert whole.preview().shape == (8, 3, 256, 512)


def test_it_goes_on_from_an_exported_network(tmp_path: Path, folder: Path) -> None:
    trainer = ParsingTrainer(folder, replace(TINY, lr=0.01), workers=0)
    for _ in range(3):
        trainer.step()
    before = trainer.averaged().eval()
    export_onnx(before, tmp_path / "parser.onnx", side=64)
    pictures = trainer.pictures()
    after = ParsingTrainer(folder, TINY, workers=0).averaged()
    load_exported(after, tmp_path / "parser.onnx", pictures)
    small = pictures[..., ::4, ::4].contiguous()
    with torch.no_grad():
        for found, wanted in zip(after.eval()(small), before(small), strict=True):
            torch.testing.assert_close(found, wanted, rtol=2e-2, atol=2e-2)
        load_exported(after, tmp_path / "parser.onnx", small)
        learning, _ = after.train()(small)  # norms have the pictures' own statistics
        torch.testing.assert_close(learning, before(small)[0], rtol=5e-2, atol=5e-2)


def test_an_export_of_another_network_is_refused(tmp_path: Path, folder: Path) -> None:
    trainer = ParsingTrainer(folder, TINY, workers=0)
    export_onnx(trainer.averaged(), tmp_path / "parser.onnx", side=64)
    other = ParsingTrainer(folder, replace(TINY, widths=(4, 6, 8, 8, 12)), workers=0).averaged()
    with pytest.raises(ModelError, match="another network"):
        load_exported(other, tmp_path / "parser.onnx", trainer.pictures())


def test_some_pictures_are_drawn_with_the_same_labels(folder: Path) -> None:
    plain = next(iter(ComposedPictures(folder, seed=3, drawn=1e-9)))
    drawn = next(iter(ComposedPictures(folder, seed=3, drawn=1.0)))
    assert torch.equal(plain[1], drawn[1]) and torch.equal(plain[2], drawn[2])
    assert drawn[0].shape == plain[0].shape and drawn[0].dtype == torch.uint8
    assert (drawn[0].int() - plain[0].int()).abs().float().mean() > 2


def test_losses_fall(folder: Path) -> None:
    trainer = ParsingTrainer(folder, replace(TINY, steps=200, lr=0.05), workers=0)
    losses = [trainer.step()["labels"].item() for _ in range(24)]
    assert sum(losses[-4:]) < 0.95 * sum(losses[:4])


def test_senseless_options_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        ParsingTrainer(folder, ParsingConfig(steps=0))
    with pytest.raises(InputError):
        ParsingTrainer(tmp_path, TINY)
