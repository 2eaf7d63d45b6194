"""The options that `invert-character` and `build-lut` share."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import Settings

if TYPE_CHECKING:
    from toonify.training.characters.projecting import ProjectorOptions

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
        help="Encoder (or bundle) whose latents the projections start from; without it they start"
        " from the average latent.",
    ),
]
KOption = Annotated[int, typer.Option("--k", min=1, help="Drawings averaged at most.")]
StepsOption = Annotated[int, typer.Option("--steps", min=1, help="Optimization steps at most.")]
BatchOption = Annotated[
    int, typer.Option("--batch-size", min=1, help="Drawings optimized together.")
]


class StartName(StrEnum):
    """Where projections start."""

    average = "average"
    encoder = "encoder"
    both = "both"


StartOption = Annotated[
    StartName | None,
    typer.Option(
        "--start",
        help="average latent, encoder's latent, or both: twice the time, the better one is kept.",
        show_default="encoder where one is given",
    ),
]
LrOption = Annotated[
    float,
    typer.Option(
        "--lr",
        min=1e-6,
        help="Peak of the learning rate, in deviations of W; it ramps up and down.",
    ),
]
PatienceOption = Annotated[
    int,
    typer.Option("--patience", min=0, help="Steps without gain that end a projection; 0: never."),
]
NoiseOption = Annotated[
    bool, typer.Option("--noise/--no-noise", help="Fit the noise maps too, kept white.")
]


def projector_options(
    settings: Settings,
    *,
    generator: str,
    encoder: str | None,
    start: StartName | None,
    k: int,
    steps: int,
    batch_size: int,
    lr: float,
    patience: int,
    noise: bool,
) -> ProjectorOptions:
    """What the command line says of a projection."""
    from toonify.training.characters.projecting import ProjectorOptions

    return ProjectorOptions(
        generator=generator,
        encoder=encoder,
        start=None if start is None else start.value,
        k=k,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        patience=patience,
        optimize_noise=noise,
        seed=settings.seed,
        device=settings.device,
        dtype=settings.dtype,
    )
