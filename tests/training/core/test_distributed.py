"""Several processes give one process's result, fail as one and stop as one."""

import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.tiny_training import tiny_generator
from toonify.errors import InputError, UsageError
from toonify.training.core.distributed import World, joined, launch
from toonify.training.finetune.adversarial import AdversarialConfig, finetune_adversarial

CPU = torch.device("cpu")


def train(out: Path, **options: Any) -> None:
    """Everything random takes part; run in one process or in several."""
    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (6, 3, 32, 32), generator=random, dtype=torch.uint8)
    latents = torch.randn(2, 8, 16, generator=random)
    config = AdversarialConfig(
        batch_size=8,  # four in each of two processes: the discriminator's groups stay whole
        kimg=0.016,
        freeze_below=16,
        r1_interval=2,
        path_weight=2.0,
        path_interval=2,
        style_mixing=0.5,
        character_share=0.5,
        character_level=4,
        augment="bgcfnc",
        snapshot_kimg=0.008,
        log_every=1,
        discriminator_base=256,
        discriminator_max=16,
        ada_interval=1,
        ada_kimg=0.05,
        ada_target=-2.0,
    )
    with joined(CPU) as (world, _):
        generator = tiny_generator("stylegan2")
        finetune_adversarial(
            config, generator, images, out, latents=latents, world=world, **options
        )


def disagree() -> None:
    logging.getLogger("toonify.somewhere").warning("a word from a process")
    with joined(CPU) as (world, _):

        def work() -> None:
            raise InputError("no room", hint="Make some.")

        with pytest.raises(InputError, match=r"^no room\. Make some\.$"):
            world.on_first(work)
        assert world.any(world.rank == 1)
        world.check_same("the options", "alike")
        world.check_same("the drawings", str(world.rank))


def die() -> None:
    os._exit(9)


def wait_for_interrupt(folder: Path) -> None:
    try:
        (folder / "ready").touch()
        time.sleep(60)
    except KeyboardInterrupt:
        (folder / "interrupted").touch()
        raise


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    train(tmp_path / "one")
    launch(train, 2, tmp_path / "two")
    one, two = (
        torch.load(tmp_path / name / "snapshot.pt", weights_only=True) for name in ("one", "two")
    )
    assert one["images"] == two["images"] == 16
    assert one["ada"] == two["ada"] and one["ada"]["p"] > 0
    assert torch.equal(one["random"], two["random"])
    for part in ("average", "generator", "discriminator"):
        for name, value in one[part].items():
            # Adam divides by tiny second moments in its first steps, which magnifies rounding.
            torch.testing.assert_close(two[part][name], value, rtol=0, atol=2e-3)
            assert (two[part][name] - value).abs().mean() < 1e-4, name
    names = {path.name for path in (tmp_path / "two").iterdir()}
    assert names == {path.name for path in (tmp_path / "one").iterdir()}
    lines = (tmp_path / "two/metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2, "only the first process writes"
    # and one process may go on from what two have done
    train(tmp_path / "two", resume=True)


def test_failures_are_everyones_and_what_is_logged_is_logged_here(caplog) -> None:
    with pytest.raises(UsageError, match=r"^the drawings differ .* files and options\.$"):
        launch(disagree, 2)
    assert caplog.messages == ["a word from a process"] * 2


def test_a_killed_process_ends_the_run() -> None:
    with pytest.raises(RuntimeError, match="killed"):
        launch(die, 1)


@pytest.mark.parametrize("background", [pytest.param(False, marks=pytest.mark.slow), True])
def test_interrupt_is_passed_on(tmp_path: Path, background: bool) -> None:
    """To processes of a shell's background job too, which ignore it at first."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if background else None

    def press() -> None:
        while not (tmp_path / "ready").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            launch(wait_for_interrupt, 1, tmp_path)
    finally:
        if background:
            signal.signal(signal.SIGINT, before)
    assert (tmp_path / "interrupted").exists()


def test_alone() -> None:
    with joined(CPU) as (world, device):
        assert world == World() and device == CPU
    assert world.on_first(lambda: 7) == 7
    assert world.any(True) and not world.any(False)
    values = torch.arange(6)
    assert torch.equal(world.share(values), values)
    assert World(1, 2).share(values).tolist() == [1, 3, 5]
