"""What a StyleGANEX encoder learns from, and how: batches, their sources, the options."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from toonify.errors import UsageError
from toonify.inversion.optimize import fit_size
from toonify.training.core.loop import require_positive
from toonify.training.styleganex.tasks import FrameWeights


@dataclass(frozen=True)
class FrameBatch:
    """What an encoder reads and what is to come of it.

    Attributes:
        frames: (B, 3, H, W) in [-1, 1], or labels (B, C, H, W) in 0..1.
        targets: (B, 3, kH, kW) in [-1, 1].
        faces: (B, 3, 256, 256) that w+ is read from; None where it is the frames, or latents given.
        w_plus: w+ (B, num_ws, w_dim) given: a character's.
        v: (B, num_ws, w_dim) added to w+.
        theta: (B, 2, 3) aligned face → frame, both -1..1 across; None where nobody is.
        latents: w+ (P, num_ws, w_dim) of the last P faces, which are generated; None if unknown.
        matte: (B, 1, kH, kW) 0..1, where the target isn't the frame itself; None if unknown.
    """

    frames: Tensor
    targets: Tensor
    faces: Tensor | None = None
    w_plus: Tensor | None = None
    v: Tensor | None = None
    theta: Tensor | None = None
    latents: Tensor | None = None
    matte: Tensor | None = None

    def to(self, device: torch.device) -> FrameBatch:
        moved = {k: v.to(device) for k, v in vars(self).items() if v is not None}
        return replace(self, **moved)


class FrameSource(Protocol):
    """Where batches come from."""

    def draw(self, count: int, random: torch.Generator) -> FrameBatch:
        """A batch to learn from."""
        ...

    def held_out(self) -> FrameBatch:
        """A few frames that are never learnt from, always the same."""
        ...


@dataclass(frozen=True, kw_only=True)
class FrameConfig:
    """Options of `train_frames`.

    Attributes:
        steps: optimizer steps (published: 100,000; 50,000 for toonification).
        batch_size: frames a step.
        lr: Adam's peak rate; falls to a fiftieth.
        weights: of the losses.
        train_from: generator layers from this resolution on learn too; None freezes all.
        coarse_share: of the steps, the first ones, rendered at no more than a pixel a frame pixel.
        supervised_share: of the steps, the first ones, in which latents of generated faces are all
            that is learnt, and nothing is rendered.
        perceptual_size: side of the pictures and crops that LPIPS compares.
        flicker_share: of the steps, the last ones, in which flicker is suppressed.
        compiled: through `torch.compile`.
        bfloat16: where that is exact enough; else float32.
        snapshot: steps between snapshots.
        keep: so many snapshots are kept, beside their previews.
    """

    steps: int = 4000
    batch_size: int = 4
    lr: float = 1e-3
    weights: FrameWeights
    train_from: int | None = None
    coarse_share: float = 0.0
    supervised_share: float = 0.0
    perceptual_size: int = 128
    flicker_share: float = 0.5
    compiled: bool = False
    bfloat16: bool = True
    ema: float = 0.998
    snapshot: int = 250
    keep: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "lr", "snapshot")
        if self.supervised_share and not self.weights.latent:
            raise UsageError(
                "latents are supervised first, and have the weight 0", hint="Give `latent` some."
            )
        compared = ("l2", "l1", "lpips", "identity", "adversarial")
        if not any(getattr(self.weights, name) for name in compared):
            raise UsageError("every loss has the weight 0", hint=f"Give one of {compared} some.")


def at_size(batch: FrameBatch, side: int) -> FrameBatch:
    """With targets and mattes averaged down to `side` px."""
    small = batch.targets[..., :side, :side]
    matte = None if batch.matte is None else fit_size(batch.matte, small)
    return replace(batch, targets=fit_size(batch.targets, small), matte=matte)
