"""The trainable encoders, and how each takes one residual step."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import UsageError
from toonify.models.base import Generator
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.encoders.psp import SIZES, PSPEncoder, ReStyleEncoder, StyleHead
from toonify.training.data.latent_samples import render, sample_w_plus
from toonify.training.encoders.data import resized

Variant = Literal["compact", "psp", "restyle"]
TrainableEncoder = CompactEncoder | PSPEncoder | ReStyleEncoder
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
    encoder.w_plus_mean.copy_(generator.w_avg.expand(generator.num_ws, -1))
    for head in encoder.modules():
        if isinstance(head, StyleHead):
            nn.init.zeros_(head.linear.weight)


def check_fits(encoder: nn.Module, generator: Generator) -> TrainableEncoder:
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


def residual_steps(encoder: TrainableEncoder) -> int:
    """How many steps the encoder takes by itself."""
    return 1 if isinstance(encoder, PSPEncoder) else encoder.steps


def inputs(encoder: TrainableEncoder, images: Tensor) -> Tensor:
    """Images (B, 3, H, W) at the size the encoder reads."""
    return resized(images, encoder.input_size)


@torch.no_grad()
def first_guess(encoder: TrainableEncoder, generator: Generator) -> tuple[Tensor, Tensor]:
    """What the first step changes: w+ (1, num_ws, w_dim) and its image at the encoder's size."""
    if isinstance(encoder, CompactEncoder):
        return encoder.w_mean.expand(1, encoder.num_ws, -1), encoder.average_image[None]
    w_plus = encoder.w_plus_mean[None]
    # as the encoder itself does it: unclamped
    image = generator.synthesize(generator.styles(w_plus))
    return w_plus, F.adaptive_avg_pool2d(image, encoder.input_size)


def refine(encoder: TrainableEncoder, photos: Tensor, seen: Tensor, w_plus: Tensor) -> Tensor:
    """One step: photographs and reconstructions (B, 3, S, S), the latter's w+ → better w+."""
    if isinstance(encoder, CompactEncoder):
        return w_plus + encoder.residual(photos, seen).float() * encoder.w_std
    if isinstance(encoder, PSPEncoder):
        return encoder.net(photos).float() + encoder.w_plus_mean
    return w_plus + encoder.net(torch.cat([photos, seen], dim=1)).float()


def reconstruction(encoder: TrainableEncoder, images: Tensor) -> Tensor:
    """A rendered batch as the encoder's next step sees it."""
    if isinstance(encoder, CompactEncoder):
        return encoder.resample(images.clamp(-1, 1))
    return F.adaptive_avg_pool2d(images, encoder.input_size)
