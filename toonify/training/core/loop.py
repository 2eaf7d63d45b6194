"""The loop around a trainer: metrics, snapshots, previews, Ctrl-C, divergence, resumption."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from toonify.errors import Diverged, ToonifyError, UsageError
from toonify.training.core.pace import Pace, snapshots_left
from toonify.training.core.runs import RunFolder, interruptible
from toonify.utils.arguments import check_positive

Progress = Callable[[dict[str, float]], None]


class Trainer(Protocol):
    """Networks in training with their optimizers and random numbers."""

    @property
    def step_count(self) -> int:
        """Steps done."""
        ...

    @property
    def kimg(self) -> float:
        """Thousand images learnt from."""
        ...

    def step(self) -> dict[str, Tensor]:
        """Learn from one batch; the losses, scalars. Nothing changes when they are not finite."""
        ...

    def finite(self) -> bool:
        """Whether every weight is."""
        ...

    def preview(self) -> Tensor:
        """(N, 3, S, S') uint8."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that an exact resumption needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises KeyError, RuntimeError or ValueError when the state is of another run."""
        ...


def require_positive(config: object, *names: str) -> None:
    """UsageError unless these options are above 0, and whole where their default is."""
    for name in names:
        whole = isinstance(getattr(type(config), name, None), int)
        check_positive(name, getattr(config, name), whole=whole)


def same_batches(config: dict[str, Any], batch_size: int) -> None:
    """UsageError unless a stored run's batches, in which its steps are counted, are this large."""
    if config["batch_size"] != batch_size:
        raise UsageError(
            f"the run to resume has batches of {config['batch_size']}, not {batch_size}",
            hint=f"Give `batch_size` {config['batch_size']}, or start a new run elsewhere.",
        )


def run_trainer(
    trainer: Trainer,
    run: RunFolder,
    *,
    steps: int,
    snapshot: int,
    resume: bool = False,
    log_every: int = 10,
    progress: Progress | None = None,
    kept: Callable[[], None] | None = None,
    keep: int = 0,
    model: str = "snapshot.pt",
    write: Callable[[Path], None] | None = None,
) -> None:
    """Step until `steps` are done; on the CPU a resumed run ends as an uninterrupted one.

    Args:
        snapshot: steps between snapshots and previews.
        progress: called after every step with the losses, "seconds" (of a step, snapshots counted
            in) and "seconds_left".
        kept: called before each snapshot, to write what the run is for.
        keep: snapshots of so many previews are kept, see `RunFolder.keep`.
        model: what of the folder is kept of them.
        write: writes the model; None takes the file as it lies in the folder.

    Raises:
        UsageError: a run in the folder without `resume`, or a resumption of something else.
        Diverged: a loss or a weight is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.
    """
    state = run.start(resume=resume)
    if state:
        try:
            trainer.load_state_dict(state)
        except ToonifyError:
            raise
        except (KeyError, RuntimeError, ValueError) as error:
            raise UsageError(
                f"{run.snapshot} is of another run (of another generator, say, or with other "
                "frozen layers)",
                hint="Repeat its options, or start a new run elsewhere.",
            ) from error
        run.forget_after(trainer.kimg)
    else:
        run.metrics.unlink(missing_ok=True)
    start = trainer.step_count

    def save() -> None:
        if not trainer.finite():
            raise _diverged(run, trainer.step_count)
        if kept:
            kept()
        run.save(trainer.state_dict())
        run.keep(model, trainer.kimg, keep, write)
        run.preview(trainer.preview(), trainer.kimg)

    began, pace = time.monotonic(), Pace()
    with interruptible() as interrupt:
        while trainer.step_count < steps:
            losses = {k: v.item() for k, v in trainer.step().items()}
            done = trainer.step_count
            if not all(math.isfinite(value) for value in losses.values()):
                raise _diverged(run, done)
            pace.stepped()
            seconds = (time.monotonic() - began) / (done - start)
            row = {"step": done, "kimg": trainer.kimg, **losses, "seconds": seconds}
            row["seconds_left"] = pace.left(steps - done, snapshots_left(done - 1, steps, snapshot))
            if done % log_every == 0:
                run.log(row)
            if progress:
                progress(row)
            # read once: Ctrl-C between saving and leaving must not skip the snapshot
            stop = interrupt.requested
            if done % snapshot == 0 or done == steps or stop:
                save()
                pace.saved()
            if stop:
                raise KeyboardInterrupt


def _diverged(run: RunFolder, step: int) -> Diverged:
    kept = f" and resume: {run.snapshot} is good" if run.snapshot.is_file() else ""
    return Diverged(
        f"the training is no longer finite at step {step}", hint=f"Lower the learning rate{kept}."
    )
