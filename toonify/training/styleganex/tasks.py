"""StyleGANEX's tasks: what each encoder reads, fuses and is trained on (arXiv 2303.06146, 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from toonify.errors import UsageError
from toonify.inversion.translation import SAMPLED_FROM
from toonify.models.encoders.irse import IRSE50_UNITS, IRSE_CHANNELS
from toonify.models.encoders.psp import StyleHead
from toonify.models.encoders.styleganex import IRSE50_TAPS, MATTE_AT, StyleGANEXEncoder
from toonify.models.generators.stylegan2 import StyleGAN2Layers

TaskName = Literal["inversion", "super-resolution", "sketch", "mask", "video-edit", "video-toonify"]


@dataclass(frozen=True, kw_only=True)
class FrameWeights:
    """Weights of the losses; 0 leaves a term out.

    Attributes:
        l2: squared difference.
        l1: absolute difference, at full size and averaged over 8×8, and of its gradients: lines.
        lpips: perceptual distance, of the frame and of a crop at full size.
        identity: 1 - the face descriptor's similarity.
        w_norm: distance of w+ to its mean.
        latent: squared difference of w+ to a generated face's own, in deviations of w.
        adversarial: of a patch discriminator.
        flicker: squared difference of generating and warping in either order.
        matte: cross-entropy of where the drawing covers the frame, for encoders that say so.
    """

    l2: float = 1.0
    l1: float = 0.0
    lpips: float = 0.8
    identity: float = 0.1
    w_norm: float = 0.0
    latent: float = 0.0
    adversarial: float = 0.1
    flicker: float = 0.0
    matte: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Task:
    """One of StyleGANEX's.

    Attributes:
        labels: channels of a drawing that the network T reads; 0 for photographs.
        fusions: skip connections into the generator.
        attention: layers of the attention on them that an editing vector steers.
        free_from: first row of w+ that a drawing leaves open; None where it leaves none.
        noise: what the generator renders with: moving pictures would flicker with noise.
    """

    name: TaskName
    labels: int = 0
    fusions: int = 0
    attention: int = 0
    free_from: int | None = None
    noise: Literal["const", "zero"] = "const"
    weights: FrameWeights = field(default_factory=FrameWeights)

    @property
    def has_direction(self) -> bool:
        """Whether the encoder holds the vector it is trained for."""
        return self.name == "video-edit"


_DRAWING = FrameWeights(w_norm=0.005)
_MOVING = FrameWeights(identity=0.0, flicker=30.0)
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(name="inversion", weights=FrameWeights(w_norm=1e-4, latent=0.3)),
        Task(name="super-resolution", fusions=7, weights=FrameWeights()),
        Task(name="sketch", labels=1, fusions=1, free_from=SAMPLED_FROM, weights=_DRAWING),
        Task(name="mask", labels=19, fusions=3, free_from=SAMPLED_FROM, weights=_DRAWING),
        Task(name="video-edit", fusions=7, attention=1, noise="zero", weights=_MOVING),
        Task(name="video-toonify", fusions=7, noise="zero", weights=_MOVING),
    )
}


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """Size of the encoder; arguments of `StyleGANEXEncoder`."""

    units: Sequence[int]
    channels: Sequence[int]
    taps: Sequence[int]
    head_channels: int | None


# "50" is the published one; "12" is for a laptop
SIZES: dict[str, Backbone] = {
    "12": Backbone(
        units=(1, 2, 4, 2), channels=(32, 64, 128, 160), taps=(4, 5, 6), head_channels=48
    ),
    "24": Backbone(
        units=(2, 3, 6, 3), channels=(48, 96, 192, 256), taps=(6, 8, 10), head_channels=64
    ),
    "50": Backbone(
        units=IRSE50_UNITS, channels=IRSE_CHANNELS, taps=IRSE50_TAPS, head_channels=None
    ),
}


def new_frame_encoder(
    task: Task,
    generator: StyleGAN2Layers,
    *,
    size: str = "12",
    heads: bool = True,
    crop: int = 256,
    seed: int = 0,
) -> StyleGANEXEncoder:
    """A fresh encoder, which begins with the mean of w and fuses nothing.

    Args:
        size: one of `SIZES`.
        heads: whether it gives w+. Without, another encoder's or a character's latent is taken. Of
            the tasks with skip connections only the deepest are made then, and a matte says what
            of the frame is drawn: through the finer ones the frame is copied before its faces are
            understood.
        crop: px of a frame, the usual side of a face's FFHQ crop.

    Raises:
        UsageError: the generator is too small.
    """
    widths = generator.fusion_channels
    if len(widths) < 4:
        raise UsageError(
            f"a generator of {generator.resolution}x{generator.resolution} is too small",
            hint="Give one of 64x64 or more.",
        )
    backbone = SIZES[size]
    units, channels = tuple(backbone.units), tuple(backbone.channels)
    fusions, matte = task.fusions, bool(task.fusions) and not heads
    if not heads:  # the last stage serves w+ alone
        units, channels = (*units[:3], 0), (*channels[:3], channels[2])
    if matte:
        fusions = MATTE_AT + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = StyleGANEXEncoder(
            num_ws=generator.num_ws,
            label_channels=task.labels,
            w_dim=generator.w_dim,
            feature_channels=generator.channels[4],
            fusion_channels=widths[:fusions],
            attention=task.attention,
            has_direction=task.has_direction,
            input_statistics=bool(task.labels),
            taps=backbone.taps,
            units=units,
            channels=channels,
            head_channels=backbone.head_channels,
            heads=heads,
            matte_channels=widths[MATTE_AT] if matte else 0,
            crop=crop,
        )
    with torch.no_grad():
        encoder.w_plus_mean.copy_(generator.w_avg.expand(generator.num_ws, -1))
        for head in encoder.modules():
            if isinstance(head, StyleHead):
                nn.init.zeros_(head.linear.weight)
    return encoder.to(generator.w_avg.device)
