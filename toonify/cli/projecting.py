"""What `invert-character` and `build-lut` share: options and the loaded networks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import Settings, complain
from toonify.errors import InputError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from toonify.inversion.projector import Encode
    from toonify.models.base import Encoder, Generator
    from toonify.training.characters.jobs import Projector
    from toonify.training.characters.sheet import SampleFace

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


class StartName(StrEnum):
    """Where projections start."""

    average = "average"
    encoder = "encoder"
    both = "both"


StartOption = Annotated[
    StartName | None,
    typer.Option(
        "--start",
        help="average latent, encoder's code, or both: twice the time, the better one is kept.",
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


@dataclass(frozen=True)
class ProjectionOptions:
    """What the command line says of a projection; travels to worker processes."""

    generator: str
    encoder: str | None
    start: StartName | None
    k: int
    steps: int
    batch_size: int
    lr: float
    patience: int
    noise: bool

    def __post_init__(self) -> None:
        if self.start not in (None, StartName.average) and self.encoder is None:
            raise UsageError(f"--start {self.start} needs an encoder", hint="Add --encoder E.")


def load_projector(settings: Settings, options: ProjectionOptions) -> Projector:
    """Networks and loss on the chosen device."""
    import torch

    from toonify.bundle import locate
    from toonify.checkpoints import generator_hash, load_encoder, load_generator
    from toonify.device import pick_device, pick_dtype
    from toonify.inversion.projector import ProjectionSettings
    from toonify.metrics.lpips import PerceptualLoss
    from toonify.training.characters.jobs import Projector

    device = pick_device(settings.device)
    wanted = pick_dtype(settings.dtype, device)
    # gradients underflow in float16
    dtype = torch.float32 if wanted == torch.float32 else torch.bfloat16
    network = load_generator(locate(options.generator, "generator"), device=device)
    encode, encoder_hash = None, ""
    if options.encoder is not None:
        reader = load_encoder(locate(options.encoder, "encoder"), device=device)
        encoder_hash = generator_hash(reader)  # type: ignore[arg-type]
        encode = starting_codes(reader, network)
    return Projector(
        generator=network,
        loss=PerceptualLoss(dtype=dtype).to(device),
        settings=ProjectionSettings(
            steps=options.steps,
            batch_size=options.batch_size,
            lr=options.lr,
            patience=options.patience,
            optimize_noise=options.noise,
            seed=settings.seed,
            dtype=dtype,
        ),
        encoder=encode,
        encoder_hash=encoder_hash,
        start=None if options.start is None else options.start.value,
        k=options.k,
    )


def sample_photos(folder: Path, projector: Projector, *, count: int = 3) -> list[SampleFace]:
    """The first faces found in a folder of photos, as the encoder reads them.

    Raises:
        InputError: no photo there has a face. UsageError: no encoder.
    """
    import torch

    from toonify.errors import ToonifyError
    from toonify.faces import align, get_detector
    from toonify.media.images import iter_images, read_image
    from toonify.training.characters.sheet import SampleFace
    from toonify.utils.tensors import to_tensor

    if projector.encoder is None:
        raise UsageError("--photos needs an encoder", hint="Add --encoder E.")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint="Name a folder of photos.")
    generator, detector, found = projector.generator, get_detector(), []
    for path in sorted(iter_images(folder, recursive=True)):
        try:
            photo = read_image(path).flat
            faces = detector.detect(photo)
        except ToonifyError as error:
            complain(f"{path} is left out: {error}")
            continue
        if not faces:
            complain(f"{path} is left out: no face found")
            continue
        crop = align(photo, faces[0], generator.resolution).image
        with torch.no_grad():
            code = projector.encoder(to_tensor(crop).to(generator.w_avg.device))[0].float()
        found.append(SampleFace(path.stem, crop, code))
        if len(found) == count:
            break
    if not found:
        raise InputError(f"no photo in {folder} has a face", hint="Give other --photos, or none.")
    return found


def starting_codes(encoder: Encoder, generator: Generator) -> Encode:
    """Images (B, 3, H, W) in [-1, 1] → the encoder's w+, whatever size it takes."""

    def encode(images: Tensor) -> Tensor:
        from torch.nn import functional as F

        size = (encoder.input_size, encoder.input_size)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True)
        return encoder.encode(images, generator)

    return encode
