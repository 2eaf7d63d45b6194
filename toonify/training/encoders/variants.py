"""The variants of encoders that are trained: made afresh, and checked."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from toonify.errors import UsageError
from toonify.models.base import Encoder, Generator
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.encoders.psp import SIZES, PSPEncoder, ReStyleEncoder, StyleHead
from toonify.models.encoders.trainable import TrainableEncoder
from toonify.training.data.latent_samples import render, sample_w_plus
from toonify.training.encoders.data import resized

Variant = Literal["compact", "psp", "restyle"]
# published: 5; each is a pass and a rendering more
STEPS = {"compact": 1, "psp": 1, "restyle": 3}
# 1e-4 is published for the large backbone; the small ones bear and need more
LEARNING_RATES = {"compact": 1e-3, "10": 5e-4, "18": 3e-4, "50": 1e-4}


def learning_rate(variant: Variant, size: str) -> float:
    """What suits a variant's size."""
    return LEARNING_RATES["compact" if variant == "compact" else size]


def new_encoder(
    variant: Variant,
    generator: Generator,
    *,
    size: str = "18",
    steps: int | None = None,
    seed: int = 0,
) -> TrainableEncoder:
    """A fresh encoder for `generator`, on its device, that begins with the mean of w.

    Args:
        size: of the IR-SE backbone, one of `SIZES`; the compact encoder has one size.
        steps: residual steps it will take; the variant's default when None.

    Raises:
        UsageError: several steps for pSp, which has one pass.
    """
    steps = STEPS[variant] if steps is None else steps
    if variant == "psp" and steps != 1:
        raise UsageError("pSp has one step", hint="Choose `variant` restyle or compact.")
    rows, width = generator.num_ws, generator.w_dim
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder: TrainableEncoder
        if variant == "compact":
            encoder = CompactEncoder(num_ws=rows, w_dim=width, steps=steps)
        elif variant == "psp":
            encoder = PSPEncoder(num_ws=rows, w_dim=width, **SIZES[size])
        else:
            encoder = ReStyleEncoder(num_ws=rows, w_dim=width, steps=steps, **SIZES[size])
    start_from_average(encoder, generator)
    return encoder.to(generator.w_avg.device)


@torch.no_grad()
def start_from_average(encoder: TrainableEncoder, generator: Generator) -> None:
    """Fill in the generator's statistics, and let fresh heads predict no change."""
    if isinstance(encoder, CompactEncoder):
        w_plus = sample_w_plus(generator, 4096, torch.Generator().manual_seed(0), mixed=0.0)[:, 0]
        encoder.w_mean.copy_(w_plus.mean(0))
        encoder.w_std.copy_(w_plus.std(0))
        average = generator.w_avg.expand(1, generator.num_ws, -1)
        image = render(generator, average, size=generator.resolution, bfloat16=False)
        encoder.average_image.copy_(encoder.resample(image)[0])
        return
    assert isinstance(encoder, PSPEncoder | ReStyleEncoder)
    encoder.w_plus_mean.copy_(generator.w_avg.expand(generator.num_ws, -1))
    for head in encoder.modules():
        if isinstance(head, StyleHead):
            nn.init.zeros_(head.linear.weight)


def check_fits(encoder: Encoder, generator: Generator) -> TrainableEncoder:
    """`encoder`, if it can be trained further with `generator`.

    Raises:
        UsageError: another kind of encoder, or another shape of w+.
    """
    if not isinstance(encoder, TrainableEncoder):
        raise UsageError(
            f"a {type(encoder).__name__} can't be trained here",
            hint="Start from a compact, pSp, e4e or ReStyle encoder.",
        )
    if (encoder.num_ws, encoder.w_dim) != (generator.num_ws, generator.w_dim):
        raise UsageError(
            f"the encoder gives ({encoder.num_ws}, {encoder.w_dim}) latents, the generator takes"
            f" ({generator.num_ws}, {generator.w_dim})",
            hint="Use the generator it was made for, or train a new one.",
        )
    return encoder


def inputs(encoder: TrainableEncoder, images: Tensor) -> Tensor:
    """Images (B, 3, H, W) at the size the encoder reads."""
    return resized(images, encoder.input_size)
