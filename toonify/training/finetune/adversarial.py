"""Adversarial fine-tuning of either generator family on a few drawings (StyleGAN2-ADA's recipe).

Non-saturating logistic loss, lazy R1, optional path-length regularization, ADA, EMA with ramp-up
(arXiv 2006.06676). The mapping network, the constant input and the layers below a resolution
stay as they are, since the layer swap takes them from the face generator anyway.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from toonify.checkpoints import save_discriminator, save_generator
from toonify.errors import Diverged, UsageError
from toonify.models.base import Generator
from toonify.models.discriminators import StyleGAN2Discriminator
from toonify.training.core.distributed import World
from toonify.training.core.pace import Pace
from toonify.training.core.runs import RunFolder, interruptible
from toonify.training.finetune.adversarial_config import AdversarialConfig
from toonify.training.finetune.adversarial_step import AdversarialTrainer

G = TypeVar("G", bound=Generator)
Progress = Callable[[dict[str, float]], None]

__all__ = ["AdversarialConfig", "finetune_adversarial"]


def finetune_adversarial(
    config: AdversarialConfig,
    generator: G,
    drawings: Tensor,
    out: str | Path,
    *,
    discriminator: StyleGAN2Discriminator | None = None,
    latents: Tensor | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    world: World | None = None,
) -> G:
    """Fine-tune a copy of `generator` on drawings; returns the averaged copy, in eval mode.

    Writes to `out`: snapshot.pt (everything a resumption needs), generator.safetensors (the
    averaged copy, so far), discriminator.safetensors, metrics.jsonl and preview grids.
    On Ctrl-C the running step is finished and a snapshot written before KeyboardInterrupt
    rises. On the CPU a resumed run ends with the weights of an uninterrupted one.

    Args:
        generator: the face generator (or an earlier result); its device is used.
        drawings: (N, 3, R, R) uint8 at the generator's resolution.
        discriminator: to start from; fresh weights by the config's widths when None.
        latents: characters' latents (K, num_ws, w_dim), for the config's `character_share`.
        resume: go on from the snapshot in `out`, if there is one.
        progress: called with each line of metrics: kimg, images_per_second, loss_g, loss_d,
            r1, r_t, p and seconds_left.
        world: the processes that share the work, all calling this with the same arguments; only
            the first one writes and reports.

    Raises:
        UsageError: drawings or discriminator of another size, a run in `out` without `resume`,
            or a resumption with other options.
        Diverged: a loss is no longer finite; the last snapshot is good.
    """
    world = world or World()
    check_fits(config, generator, drawings, discriminator, latents, world)
    state = world.on_first(lambda: RunFolder(out).start(resume=resume))
    folder = RunFolder(out) if world.first else None
    if state is not None:
        arguments = dict(state["discriminator_config"])
        del arguments["architecture"]
        discriminator = StyleGAN2Discriminator(**arguments)
    elif discriminator is None and config.freeze_d:
        raise frozen_fresh()
    trainer = AdversarialTrainer(config, generator, drawings, discriminator, latents, world)
    if state is not None:
        trainer.load_state_dict(state)
    world.on_first(lambda: _open(folder, trainer, fresh=state is None))
    kept = trainer.images  # images shown when the last snapshot was written

    with interruptible() as interrupt:
        pace = Pace()
        while trainer.images < config.kimg * 1000:
            metrics = trainer.step()
            pace.stepped()
            # Read once: Ctrl-C between saving and leaving must not skip the snapshot.
            stop = world.any(interrupt.requested)
            due = stop or trainer.images - kept >= config.snapshot_kimg * 1000
            finite = all(math.isfinite(value) for value in metrics.values())
            if not finite or (due and not trainer.finite()):
                raise _diverged(trainer, kept)
            if folder is not None and trainer.steps % config.log_every == 0:
                line = {
                    "kimg": trainer.images / 1000,
                    "images_per_second": config.batch_size / pace.seconds,
                    **metrics,
                    "seconds_left": pace.left(*_left(config, trainer.images, kept)),
                }
                folder.log(line)
                if progress:
                    progress(line)
            if due:
                world.on_first(lambda: _save(folder, trainer))
                kept = trainer.images
                pace.saved()
            if stop:
                raise KeyboardInterrupt
    if kept != trainer.images:
        world.on_first(lambda: _save(folder, trainer))
    return trainer.average


def _left(config: AdversarialConfig, images: int, kept: int) -> tuple[int, int]:
    """Steps and snapshots to come when so many images are done and kept."""
    together = config.batch_size
    end = math.ceil(config.kimg * 1000 / together)
    every = math.ceil(config.snapshot_kimg * 1000 / together)
    return end - images // together, -(-(end - kept // together) // every)


def _open(folder: RunFolder | None, trainer: AdversarialTrainer[G], *, fresh: bool) -> None:
    assert folder is not None
    if fresh:
        folder.metrics.unlink(missing_ok=True)
        folder.preview(trainer.preview(), 0.0)
    else:
        folder.forget_after(trainer.images / 1000)


def _save(folder: RunFolder | None, trainer: AdversarialTrainer[G]) -> None:
    """The snapshot first: what follows can be made again from it."""
    assert folder is not None
    shown = trainer.images / 1000
    folder.save(trainer.state_dict())
    metadata = {"kimg": f"{shown:g}"}
    save_generator(trainer.average, folder.path / "generator.safetensors", metadata=metadata)
    target = folder.path / "discriminator.safetensors"
    folder.keep("generator.safetensors", shown, trainer.config.keep)
    save_discriminator(trainer.discriminator, target, metadata=metadata)
    folder.preview(trainer.preview(), shown)


def _diverged(trainer: AdversarialTrainer[G], kept: int) -> Diverged:
    config = trainer.config
    hint = f"a lower `lr` (now {config.lr:g}) or a higher `r1` (now {trainer.gamma:.3g})"
    return Diverged(
        f"the training diverged at {trainer.images / 1000:.2f} kimg",
        hint=f"Resume with {hint}: the snapshot at {kept / 1000:.2f} kimg is good."
        if kept
        else f"Start again with {hint}.",
    )


def frozen_fresh() -> UsageError:
    """What to say of --freeze-d without --discriminator."""
    return UsageError(
        "freezing layers of a fresh discriminator would keep them random",
        hint="Give `discriminator`, or leave `freeze_d` out.",
    )


def check_frozen(freeze_below: int, generator: Generator) -> None:
    """Raise UsageError where `freeze_below` leaves no layer of `generator` to train."""
    if not any(layer.resolution >= freeze_below for layer in generator.layers):
        raise UsageError(
            f"freezing below {freeze_below} leaves no layer to train",
            hint=f"Choose at most {generator.resolution}.",
        )


def check_fits(
    config: AdversarialConfig,
    generator: Generator,
    drawings: Tensor,
    discriminator: StyleGAN2Discriminator | None,
    latents: Tensor | None,
    world: World,
) -> None:
    """Raise UsageError where the arguments of `finetune_adversarial` don't go together."""
    size = generator.resolution
    if config.batch_size % world.size:
        raise UsageError(
            f"a batch of {config.batch_size} can't be shared by {world.size} processes",
            hint=f"Give a `batch_size` that {world.size} divides.",
        )
    if drawings.ndim != 4 or drawings.shape[1:] != (3, size, size) or not len(drawings):
        raise UsageError(
            f"the generator makes {size}x{size} images, the drawings are {tuple(drawings.shape)}",
            hint="Load the drawings at the generator's resolution.",
        )
    if discriminator is not None and discriminator.resolution != size:
        raise UsageError(
            f"the discriminator is for {discriminator.resolution} pixels, not {size}",
            hint="Leave it out to train a fresh one.",
        )
    if discriminator is not None and config.freeze_d >= len(discriminator.layers()):
        raise UsageError(
            f"freezing {config.freeze_d} layers leaves nothing of the discriminator to train",
            hint=f"It has {len(discriminator.layers())}.",
        )
    if config.character_share and latents is None:
        raise UsageError("a character share needs characters' latents", hint="Give a table.")
    if latents is not None and latents.shape[1:] != (generator.num_ws, generator.w_dim):
        raise UsageError(
            f"the latents are {tuple(latents.shape[1:])}, the generator takes "
            f"({generator.num_ws}, {generator.w_dim})",
            hint="Use a table made for this generator.",
        )
    check_frozen(config.freeze_below, generator)
