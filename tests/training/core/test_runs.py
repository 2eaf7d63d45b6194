"""Run folders: atomic snapshots, grids, Ctrl-C."""

import os
import signal
from pathlib import Path

import pytest
import torch

from toonify.errors import InputError
from toonify.training.core.runs import RunFolder, grid, interruptible


def test_failed_snapshot_leaves_the_previous_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    folder.save({"images": 1})

    def full(_state, path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InputError, match=r"No space left.*previous one is intact"):
        folder.save({"images": 2})
    assert folder.start(resume=True) == {"images": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["snapshot.pt"]


def test_metrics_that_cant_be_cut_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    folder.log({"kimg": 1.0})
    folder.log({"kimg": 2.0})
    before = folder.metrics.read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(InputError, match=r"No space left.*make room and resume"):
            folder.forget_after(1)
    assert folder.metrics.read_text() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["metrics.jsonl"]
    folder.forget_after(1)
    assert len(folder.metrics.read_text().splitlines()) == 1


def test_grid_places_images_row_by_row() -> None:
    images = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 3, 2, 2)
    picture = grid(images)
    assert picture.shape == (3, 4, 6)
    assert picture[0, ::2, ::2].tolist() == [[0, 1, 2], [3, 4, 255]]


def test_first_interrupt_asks_second_stops() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruptible() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
