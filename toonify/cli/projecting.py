"""The options that `invert-character` and `build-lut` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import Settings
from toonify.cli.live import training_display

if TYPE_CHECKING:
    from toonify.training.characters.jobs import Projector
    from toonify.training.characters.projecting import ProjectorOptions

# (character, drawings done, of all, step, steps, loss)
Report = Callable[[str, int, int, int, int, float], None]

EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="Encoder (or bundle) whose latents the projections start from; without it they start"
        " from the average latent.",
    ),
]


class StartName(StrEnum):
    """Where projections start."""

    average = "average"
    encoder = "encoder"
    both = "both"


@dataclass(frozen=True, kw_only=True)
class ProjectionRequest:
    """What both commands are given, an option each."""

    generator: Annotated[
        str,
        typer.Option(help="Layer-swapped generator: a checkpoint, a registry name, or a bundle."),
    ]
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Table to write, or to add to if it is there.")
    ]
    encoder: EncoderOption = None
    start: Annotated[
        StartName | None,
        typer.Option(
            help="average latent, encoder's latent, or both: twice the time, the better one is"
            " kept.",
            show_default="encoder where one is given",
        ),
    ] = None
    k: Annotated[int, typer.Option(min=1, help="Drawings averaged at most.")] = 50
    steps: Annotated[int, typer.Option(min=1, help="Optimization steps at most.")] = 300
    batch_size: Annotated[int, typer.Option(min=1, help="Drawings optimized together.")] = 8
    lr: Annotated[
        float,
        typer.Option(
            min=1e-6,
            help="Peak of the learning rate, in deviations of W; it ramps up and down.",
        ),
    ] = 0.25
    patience: Annotated[
        int, typer.Option(min=0, help="Steps without gain that end a projection; 0: never.")
    ] = 50
    noise: Annotated[
        bool, typer.Option("--noise/--no-noise", help="Fit the noise maps too, kept white.")
    ] = True

    def options(self, settings: Settings) -> ProjectorOptions:
        """The same for the library."""
        from toonify.training.characters.projecting import ProjectorOptions

        return ProjectorOptions(
            generator=self.generator,
            encoder=self.encoder,
            start=None if self.start is None else self.start.value,
            k=self.k,
            steps=self.steps,
            batch_size=self.batch_size,
            lr=self.lr,
            patience=self.patience,
            optimize_noise=self.noise,
            seed=settings.seed,
            device=settings.device,
            dtype=settings.dtype,
        )

    @contextmanager
    def display(self, settings: Settings, projector: Projector) -> Iterator[Report]:
        """A display of projections; gives what is called with each one's progress."""
        opening = projector.loss.source
        with training_display(settings, unit="projections", opening=opening) as show:

            def report(who: str, done: int, of: int, step: int, steps: int, loss: float) -> None:
                now = done + (step + 1) / steps * min(self.batch_size, of - done)
                show(who, round(now), of, {"loss": loss})

            yield report
