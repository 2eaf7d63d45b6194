"""Training HFGI's networks from files (arXiv 2109.06590): what keeps a photograph's details."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from toonify.bundle import locate, model_files
from toonify.checkpoints import load_encoder, load_generator
from toonify.checkpoints.hfgi import load_compact_hfgi
from toonify.device import pick_device, pick_dtype, refuse_float16
from toonify.editing.named import shipped_directions
from toonify.errors import UsageError
from toonify.models.base import Generator
from toonify.models.encoders.hfgi_compact import CompactHFGI, CompactInversion, fused_channels
from toonify.models.generators.hybrid import HybridGenerator
from toonify.training.core.report import Display, no_display
from toonify.training.core.runs import RunFolder
from toonify.training.core.weights import chosen_weights
from toonify.training.data.photos import load_photos
from toonify.training.encoders.faces import check_faces, load_loss_networks
from toonify.training.encoders.job import EncoderResult
from toonify.training.encoders.network_job import NetworkJob, run_job
from toonify.training.hfgi.data import HFGIData
from toonify.training.hfgi.pairs import EditPairs, known_directions, sample_edit_pairs
from toonify.training.hfgi.step import HFGIConfig, HFGITrainer, HFGIWeights
from toonify.utils.outputs import InputFiles, check_run_folder
from toonify.utils.progress import Progress, no_progress

log = logging.getLogger(__name__)

PAIRS = 1600  # rendered into an empty folder


@dataclass(frozen=True, kw_only=True)
class HFGIJob(NetworkJob):
    """What HFGI is trained for, and from; the generator's middle layers take the details.

    Attributes:
        face_encoder: encoder whose w+ is rendered.
        faces: generator whose faces are edited into `pairs`; None for `generator`.
        photos, aligned: folder of photographs; whether they are FFHQ crops already.
        pairs: folder of edits, filled with `pair_count` (1600) where it is empty.
        photo_share: of a batch, 0..1; None for 0.25.
        held_out: faces that are only validated on.
        weights: loss term → weight; terms that are left out, or None, have their default.
    """

    kimg: float = 80.0
    snapshot_kimg: float = 4.0
    face_encoder: str | None = None
    faces: str | None = None
    photos: Path | None = None
    aligned: bool = False
    pairs: Path | None = None
    pair_count: int | None = None
    photo_share: float | None = None
    held_out: int = 32
    weights: Mapping[str, float | None] = field(default_factory=dict)


def train_hfgi(
    options: HFGIJob,
    *,
    device: str = "auto",
    dtype: str = "auto",
    display: Display = no_display,
    progress: Progress = no_progress,
) -> EncoderResult:
    """Train HFGI's networks; hfgi.safetensors, previews and report.html go into the folder.

    Args:
        display: opens a display of the training.

    Raises:
        UsageError: options that don't go together, or a run in the folder without `resume`.
        InputError: no photographs.
        ModelError: networks that can't be loaded.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Examples:
        >>> job = HFGIJob(generator="default", output=Path("run"), face_encoder="default",
        ...               pairs=Path("edits"))
        >>> train_hfgi(job).encoder
    """
    refuse_float16(dtype)
    check_faces(
        options.photos, options.aligned, options.photo_share, options.pairs, options.pair_count
    )
    _check(options)
    named = (options.generator, options.face_encoder, options.faces, options.start)
    reads = InputFiles([options.photos, options.pairs, *model_files(*named)])
    check_run_folder(options.output, reads)
    RunFolder(options.output).start(resume=options.resume)  # is it free?
    place = pick_device(device)
    bfloat16 = pick_dtype(dtype, place) != torch.float32
    model = _model(options, place)
    weights = chosen_weights(HFGIWeights(), options.weights)
    precision = torch.bfloat16 if bfloat16 else torch.float32
    perceptual, identity = load_loss_networks(
        model.generator.w_avg.device,
        precision,
        trunk="alex" if weights.lpips else None,
        identity=bool(weights.identity),
    )
    config = HFGIConfig(
        steps=options.steps,
        batch_size=options.batch_size,
        lr=options.lr or (1e-3 if options.start is None else 3e-4),
        weights=weights,
        bfloat16=bfloat16,
        seed=options.seed,
    )
    data = _data(options, model.generator, bfloat16, progress)
    trainer = HFGITrainer(model, data, config, perceptual=perceptual, identity=identity)
    return run_job(
        options,
        trainer,
        "hfgi",
        config={k: v for k, v in vars(options).items() if k != "weights"} | asdict(config),
        facts={"networks": trainer.average.config(), "device": place},
        display=display,
    )


def _check(options: HFGIJob) -> None:
    """UsageError for options that don't go together."""
    if options.face_encoder is None:
        raise UsageError("whose w+ is rendered?", hint="Add `face_encoder` ENCODER, default say.")
    if options.pairs is None and options.photos is None:
        raise UsageError(
            "there is nothing to learn from",
            hint="Give `pairs` FOLDER (filled when it is empty), `photos`, or both.",
        )
    if options.pairs is None and options.faces is not None:
        raise UsageError("`faces` are edited into `pairs`", hint="Name their folder with `pairs`.")


def _model(options: HFGIJob, device: torch.device) -> CompactInversion:
    part = locate(options.generator, "inversion_generator", "generator")
    generator = load_generator(part, device=device)
    encoder = load_encoder(locate(options.face_encoder or "", "encoder"), device=device)
    if not isinstance(generator, HybridGenerator):
        raise UsageError(
            "hfgi is trained for compact generators with StyleGAN2's layers up to 32x32",
            hint="Give such a one as the default bundle's; for StyleGAN2 take HFGI's own ckpt.pt.",
        )
    if options.start is not None:
        networks = load_compact_hfgi(Path(locate(options.start, "hfgi")), device=device)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            networks = CompactHFGI(channels=fused_channels(generator)).to(device)
    return CompactInversion(networks, generator, encoder)


def _data(options: HFGIJob, generator: Generator, bfloat16: bool, progress: Progress) -> HFGIData:
    photos, pairs = None, None
    if options.photos is not None:
        with progress("photographs") as bar:
            photos = load_photos(
                options.photos, options.output, aligned=options.aligned, progress=bar
            )
        for name, reason in photos.skipped:
            log.warning("%s is left out: %s", name, reason)
    if options.pairs is not None:
        if not any(options.pairs.glob("*")):
            faces = generator
            if options.faces is not None:
                part = locate(options.faces, "inversion_generator", "generator")
                faces = load_generator(part, device=generator.w_avg.device)
            with progress("edits") as bar:
                sample_edit_pairs(
                    faces,
                    known_directions(faces, shipped_directions()),
                    options.pairs,
                    options.pair_count or PAIRS,
                    seed=options.seed,
                    bfloat16=bfloat16,
                    progress=bar,
                )
        pairs = EditPairs.load(options.pairs, w_dim=generator.w_dim)
    return HFGIData(
        num_ws=generator.num_ws,
        w_dim=generator.w_dim,
        pairs=pairs,
        photos=photos,
        photo_share=0.25 if options.photo_share is None else options.photo_share,
        held_out=options.held_out,
        seed=options.seed,
    )
