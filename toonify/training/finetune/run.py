"""Fine-tuning on a folder of drawings: on pairs by inversion, adversarially, or both in turn.

The run's folder gets `pairs/` and `adversarial/` (snapshots, metrics, previews of each stage),
`latents.safetensors` (the drawings' latents), `generator.safetensors` and, after pairs,
`characters.safetensors` (the table of the styles it was trained with).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from toonify.checkpoints import generator_hash, save_generator
from toonify.errors import UsageError
from toonify.inversion.projector import Encode
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.base import Generator
from toonify.models.discriminators import StyleGAN2Discriminator
from toonify.models.generators.hybrid import HybridGenerator
from toonify.models.latents import w_deviation
from toonify.training.characters.style_table import style_table
from toonify.training.core.distributed import World
from toonify.training.core.runs import RunFolder
from toonify.training.data.drawings import Drawings
from toonify.training.finetune.adversarial import (
    AdversarialConfig,
    check_fits,
    check_frozen,
    finetune_adversarial,
    frozen_fresh,
)
from toonify.training.finetune.inversion_pairs import InvertedPairs, invert_to_w
from toonify.training.finetune.paired import PairedConfig, finetune_paired
from toonify.utils.atomic import write_bytes, writing
from toonify.utils.tensors import to_float

G = TypeVar("G", bound=Generator)
Objective = Literal["paired", "adversarial", "both"]
OBJECTIVES: tuple[Objective, ...] = ("paired", "adversarial", "both")
# (stage, done, in all, metrics); stages: "inverting" (drawings), "pairs" (steps), "adversarial"
# (images)
Progress = Callable[[str, int, int, dict[str, float]], None]

_STAGE = {"paired": "pairs", "adversarial": "adversarial"}
_INVERTED_TOGETHER = 4
_STYLES_APART = 0.5  # distance of two characters' styles, in that of a latent from the average


def finetune(
    generator: G,
    drawings: Drawings,
    folder: Path,
    *,
    objective: Objective = "paired",
    paired: PairedConfig,
    adversarial: AdversarialConfig,
    perceptual: PerceptualLoss | None = None,
    encode: Encode | None = None,
    discriminator: StyleGAN2Discriminator | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    world: World | None = None,
) -> G:
    """Fine-tune a copy of `generator`; returns it, and writes it to `folder`.

    Pairs come first in "both": they give the drawings' look in minutes, and adversarial training
    then sharpens it. There half of its samples wear a character's style, as the pairs do.

    Args:
        drawings: at the generator's resolution.
        paired: options of the paired stage; adversarial: of the adversarial one.
        perceptual: LPIPS, on the generator's device; the paired stage needs it.
        encode: images (B, 3, R, R) in [-1, 1] → w+ that the inversions start from; the average
            latent when None.
        discriminator: for the adversarial stage to start from; a fresh one when None.
        resume: go on from the stages' snapshots. Inverted latents are reused in any case.
        world: the processes that share the adversarial stage, all calling this with the same
            arguments; the first one alone inverts, learns from pairs, writes and reports.

    Raises:
        UsageError: a run in `folder` without `resume`, or options that don't fit.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.
    """
    world = world or World()
    report = progress or (lambda stage, done, total, metrics: None)
    trained, styles = generator, None
    # before minutes of inversion
    check_finetune(
        generator,
        drawings,
        folder,
        objective=objective,
        paired=paired,
        adversarial=adversarial,
        discriminator=discriminator,
        resume=resume,
        world=world,
    )
    world.check_same("the drawings", _fingerprint(generator, drawings.images, None))
    if objective != "adversarial":
        if perceptual is None:
            raise ValueError("the paired objective needs a perceptual loss")

        def pairs() -> tuple[G, Tensor]:
            latents = _inverted(generator, drawings, folder, perceptual, encode, report)
            source = InvertedPairs(
                latents,
                drawings.images,
                drawings.characters,
                num_ws=generator.num_ws,
                apart=_STYLES_APART * float(w_deviation(generator).norm()),
            )
            drawn = finetune_paired(
                generator,
                source,
                folder / "pairs",
                paired,
                perceptual=perceptual,
                resume=resume,
                progress=lambda row: report("pairs", int(row["step"]), paired.steps, row),
            )
            return drawn, torch.stack(list(source.styles.values()))

        trained, styles = _from_first(world, generator, pairs)
    if objective != "paired":
        latents = None
        if styles is not None:
            latents = styles[:, None].expand(-1, generator.num_ws, -1)
            adversarial = replace(adversarial, character_share=0.5, character_level=paired.level)
        total = round(adversarial.kimg * 1000)
        trained = finetune_adversarial(
            adversarial,
            trained,
            drawings.images,
            folder / "adversarial",
            discriminator=discriminator,
            latents=latents,
            resume=resume,
            progress=lambda row: report("adversarial", round(row["kimg"] * 1000), total, row),
            world=world,
        )
    target, metadata = folder / "generator.safetensors", {"objective": objective}

    def write() -> None:
        save_generator(trained, target, metadata=metadata)
        if styles is not None:
            named = dict(zip(dict.fromkeys(drawings.characters), styles, strict=True))
            table = style_table(trained, named, drawings.characters)
            table.save(folder / "characters.safetensors")

    world.on_first(write)
    return trained


def check_finetune(
    generator: Generator,
    drawings: Drawings,
    folder: Path,
    *,
    objective: Objective,
    paired: PairedConfig,
    adversarial: AdversarialConfig,
    discriminator: StyleGAN2Discriminator | None,
    resume: bool,
    world: World,
) -> None:
    """Refuse what `finetune` would, in a moment; its arguments, in every process.

    Raises:
        UsageError: options or a generator that don't fit, or a run in `folder` without `resume`.
        InputError: `folder` can't be made.
        ModelError: a damaged snapshot.
    """
    if isinstance(generator, HybridGenerator):
        raise UsageError(
            "a hybrid generator is not fine-tuned itself",
            hint="Fine-tune the compact one it was made from, then go on with `toonify distill`.",
        )
    if objective != "adversarial":
        check_frozen(paired.freeze_below, generator)
    if objective != "paired":
        check_fits(adversarial, generator, drawings.images, discriminator, None, world)
        begun = resume and (folder / "adversarial" / "snapshot.pt").is_file()
        if adversarial.freeze_d and discriminator is None and not begun:
            raise frozen_fresh()
    # is every stage free, or to be gone on with?
    world.on_first(lambda: _check_stages(folder, objective, paired, resume))


def _check_stages(folder: Path, objective: Objective, paired: PairedConfig, resume: bool) -> None:
    """Refuse what would fail, or be without effect, after the work before it."""
    stages = ("pairs", "adversarial") if objective == "both" else (_STAGE[objective],)
    states = {stage: RunFolder(folder / stage).start(resume=resume) for stage in stages}
    if objective == "both" and (begun := states["pairs"]) and states["adversarial"]:
        steps = begun.get("step", 0)
        if steps < paired.steps:
            raise UsageError(
                f"the adversarial stage has begun from {steps} steps on pairs, and "
                f"{paired.steps} would not reach it any more",
                hint=f"Give `steps` {steps} to go on with it, or remove {folder / 'adversarial'} "
                "to run it again after more steps.",
            )


def _from_first(
    world: World, generator: G, work: Callable[[], tuple[G, Tensor]]
) -> tuple[G, Tensor]:
    """The generator and latents that the first process makes, in every one."""
    if world.size == 1:
        return work()
    made: list[G] = []

    def send() -> tuple[dict[str, Tensor], Tensor]:
        trained, latents = work()
        made.append(trained)
        state = trained.state_dict()
        return {name: value.cpu() for name, value in state.items()}, latents.cpu()

    state, latents = world.on_first(send)
    trained = made[0] if made else copy.deepcopy(generator)
    trained.load_state_dict(state)
    return trained, latents.to(generator.w_avg.device)


def _inverted(
    generator: Generator,
    drawings: Drawings,
    folder: Path,
    perceptual: PerceptualLoss,
    encode: Encode | None,
    report: Progress,
) -> Tensor:
    """The drawings' latents (N, w_dim); kept in `folder` after every few drawings."""
    path = folder / "latents.safetensors"
    device, count = generator.w_avg.device, len(drawings.images)
    starts = None if encode is None else _starting_latents(generator, drawings.images, encode)
    key = _fingerprint(generator, drawings.images, starts)
    latents = _read_latents(path, key)
    if latents is None:
        latents = _read_latents(folder / "codes.safetensors", key)  # as once written
    if latents is None:
        latents = torch.zeros(0, generator.w_dim)
    while len(latents) < count:
        part = slice(len(latents), len(latents) + _INVERTED_TOGETHER)
        found = invert_to_w(
            generator,
            drawings.images[part],
            perceptual=perceptual,
            start=None if starts is None else starts[part],
        )
        latents = torch.cat((latents, found.cpu()))
        _write_latents(path, latents, key)
        report("inverting", len(latents), count, {})
    return latents.to(device)


@torch.no_grad()
def _starting_latents(generator: Generator, images: Tensor, encode: Encode) -> Tensor:
    """The mean row of each drawing's w+, (N, w_dim)."""
    rows = [
        encode(to_float(part.to(generator.w_avg.device))).float().mean(dim=1).cpu()
        for part in images.split(_INVERTED_TOGETHER)
    ]
    starts = torch.cat(rows)
    if starts.shape[1] != generator.w_dim:
        raise UsageError(
            f"the encoder's latents are {starts.shape[1]} wide, the generator's {generator.w_dim}",
            hint="Give the encoder of this generator, or none.",
        )
    return starts


def _fingerprint(generator: Generator, images: Tensor, starts: Tensor | None) -> str:
    """Of everything the latents depend on."""
    digest = hashlib.sha256(generator_hash(generator).encode())
    digest.update(str(tuple(images.shape)).encode())
    digest.update(images.contiguous().numpy().tobytes())
    if starts is not None:
        digest.update(starts.numpy().tobytes())
    return digest.hexdigest()


def _read_latents(path: Path, key: str) -> Tensor | None:
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("fingerprint") != key:
                return None  # of other drawings, or another generator
            return file.get_tensor(path.stem)
    except (OSError, SafetensorError):
        return None  # not there yet, or cut short by a crash: invert again


def _write_latents(path: Path, latents: Tensor, key: str) -> None:
    with writing(path):
        write_bytes(path, save({path.stem: latents}, {"toonify.latents": "1", "fingerprint": key}))
