"""Training what enlarges small faces, from files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from toonify.bundle import RESTORATION, locate, model_files
from toonify.checkpoints import load_encoder, load_generator
from toonify.checkpoints.loading import load_network
from toonify.device import pick_device, pick_dtype, refuse_float16
from toonify.errors import UsageError
from toonify.models.encoders.restoration import FaceRestoration, moved_channels
from toonify.models.generators.hybrid import HybridGenerator
from toonify.training.core.report import Display, no_display
from toonify.training.core.runs import RunFolder
from toonify.training.core.weights import chosen_weights
from toonify.training.data.photos import load_photos
from toonify.training.encoders.faces import load_loss_networks
from toonify.training.encoders.job import EncoderResult
from toonify.training.encoders.network_job import NetworkJob, run_job
from toonify.training.restoration.step import (
    SHOWN,
    RestorationConfig,
    RestorationTrainer,
    RestorationWeights,
)
from toonify.utils.outputs import InputFiles, check_run_folder
from toonify.utils.progress import Progress, no_progress

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RestorationJob(NetworkJob):
    """What the network is trained for, and from.

    Attributes:
        face_encoder: encoder whose w+ is rendered.
        photos, aligned: folder of faces, nine at least; whether they are FFHQ crops already.
        weights: loss term → weight; terms that are left out, or None, have their default.
    """

    kimg: float = 12.0
    batch_size: int = 6
    snapshot_kimg: float = 0.6
    face_encoder: str | None = None
    photos: Path | None = None
    aligned: bool = False
    weights: Mapping[str, float | None] = field(default_factory=dict)


def train_restoration(
    options: RestorationJob,
    *,
    device: str = "auto",
    dtype: str = "auto",
    display: Display = no_display,
    progress: Progress = no_progress,
) -> EncoderResult:
    """Train what enlarges small faces; restoration.safetensors goes into the folder, with previews
    and report.html.

    Args:
        display: opens a display of the training.

    Raises:
        UsageError: options that don't go together, or a run in the folder without `resume`.
        InputError: too few photographs. ModelError: networks that can't be loaded.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Example:
        >>> job = RestorationJob(generator="default", output=Path("run"), face_encoder="default",
        ...                      photos=Path("people"))
        >>> train_restoration(job).encoder
    """
    refuse_float16(dtype)
    if options.face_encoder is None:
        raise UsageError("whose w+ is rendered?", hint="Add `face_encoder` ENCODER, default say.")
    if options.photos is None:
        raise UsageError("there are no faces to learn from", hint="Add `photos` FOLDER.")
    named = (options.generator, options.face_encoder, options.start)
    check_run_folder(options.output, InputFiles([options.photos, *model_files(*named)]))
    RunFolder(options.output).start(resume=options.resume)  # is it free?
    place = pick_device(device)
    precision = torch.float32 if pick_dtype(dtype, place) == torch.float32 else torch.bfloat16
    part = locate(options.generator, "inversion_generator", "generator")
    generator = load_generator(part, device=place)
    if not isinstance(generator, HybridGenerator):
        raise UsageError(
            "restoration is trained for compact generators with StyleGAN2's layers up to 32x32",
            hint="Give such a one as the default bundle's.",
        )
    weights = chosen_weights(RestorationWeights(), options.weights)
    config = RestorationConfig(
        steps=options.steps,
        batch_size=options.batch_size,
        lr=options.lr or (1e-3 if options.start is None else 3e-4),
        weights=weights,
        bfloat16=precision == torch.bfloat16,
        seed=options.seed,
    )
    perceptual, identity = load_loss_networks(
        place,
        precision,
        trunk="vgg" if weights.lpips else None,
        identity=bool(weights.identity),
    )
    with progress("photographs") as bar:
        faces = load_photos(
            options.photos,
            options.output,
            aligned=options.aligned,
            minimum=SHOWN + 1,
            progress=bar,
        )
    for name, reason in faces.skipped:
        log.warning("%s is left out: %s", name, reason)
    trainer = RestorationTrainer(
        _network(options, generator),
        generator,
        load_encoder(locate(options.face_encoder, "encoder"), device=place),
        faces,
        config,
        perceptual=perceptual,
        identity=identity,
    )
    return run_job(
        options,
        trainer,
        "restoration",
        config={k: v for k, v in vars(options).items() if k != "weights"} | asdict(config),
        facts={"network": trainer.average.config(), "device": place},
        display=display,
    )


def _network(options: RestorationJob, generator: HybridGenerator) -> FaceRestoration:
    device = generator.w_avg.device
    if options.start is not None:
        path = Path(locate(options.start, RESTORATION))
        network = load_network("restoration", path, FaceRestoration, device=device)
        network.check(generator)
        return network
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        return FaceRestoration(channels=moved_channels(generator)).to(device)
