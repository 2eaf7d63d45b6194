"""What `invert-character` and `build-lut` share: options and the loaded networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from toonify.models.encoders import Encoder
    from toonify.models.protocol import Generator
    from toonify.training.perceptual import PerceptualLoss
    from toonify.training.projection import Encode, ProjectionSettings

GeneratorOption = Annotated[
    str,
    typer.Option(
        "--generator",
        help="Layer-swapped generator: a checkpoint, a registry name, or a bundle.",
    ),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="Encoder (or bundle) whose codes the projections start from; without it they start"
        " from the average latent.",
    ),
]
KOption = Annotated[int, typer.Option("--k", min=1, help="Drawings averaged at most.")]
StepsOption = Annotated[int, typer.Option("--steps", min=1, help="Optimisation steps at most.")]
BatchOption = Annotated[
    int, typer.Option("--batch-size", min=1, help="Drawings optimised together.")
]


@dataclass(frozen=True)
class Projector:
    """The networks of one run, and how to project with them."""

    generator: Generator
    encode: Encode | None
    encoder_hash: str
    loss: PerceptualLoss
    settings: ProjectionSettings


def load_projector(
    settings: Settings, generator: str, encoder: str | None, steps: int, batch_size: int
) -> Projector:
    """Networks and loss on the chosen device."""
    import torch

    from toonify.bundle_writing import locate
    from toonify.checkpoints import generator_hash, load_encoder, load_generator
    from toonify.device import pick_device, pick_dtype
    from toonify.training.perceptual import PerceptualLoss
    from toonify.training.projection import ProjectionSettings

    device = pick_device(settings.device)
    wanted = pick_dtype(settings.dtype, device)
    # gradients underflow in float16
    dtype = torch.float32 if wanted == torch.float32 else torch.bfloat16
    network = load_generator(locate(generator, "generator"), device=device)
    encode, encoder_hash = None, ""
    if encoder is not None:
        reader = load_encoder(locate(encoder, "encoder"), device=device)
        encoder_hash = generator_hash(reader)  # type: ignore[arg-type]
        encode = starting_codes(reader, network)
    return Projector(
        network,
        encode,
        encoder_hash,
        PerceptualLoss(dtype=dtype).to(device),
        ProjectionSettings(steps=steps, batch_size=batch_size, seed=settings.seed, dtype=dtype),
    )


def starting_codes(encoder: Encoder, generator: Generator) -> Encode:
    """Images (B, 3, H, W) in [-1, 1] → the encoder's w+, whatever size it takes."""

    def encode(images: Tensor) -> Tensor:
        from torch.nn import functional as F

        size = (encoder.input_size, encoder.input_size)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True)
        return encoder.encode(images, generator)

    return encode
