"""What `invert-character` and `build-lut` share: options and the loaded networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import Settings

if TYPE_CHECKING:
    from toonify.training.tables import LoadedProjector

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


def load_projector(
    settings: Settings, generator: str, encoder: str | None, k: int, steps: int, batch_size: int
) -> LoadedProjector:
    """Networks and loss on the chosen device."""
    import torch

    from toonify.bundle_writing import locate
    from toonify.device import pick_device, pick_dtype
    from toonify.training.projection import ProjectionSettings
    from toonify.training.tables import Projector

    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    projection = ProjectionSettings(
        steps=steps,
        batch_size=batch_size,
        seed=settings.seed,
        # gradients underflow in float16
        dtype=dtype if dtype == torch.float32 else torch.bfloat16,
    )
    return Projector(
        generator=locate(generator, "generator"),
        encoder=locate(encoder, "encoder") if encoder else None,
        k=k,
        settings=projection,
        device=str(device),
    ).load()
