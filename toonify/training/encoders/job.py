"""Training an encoder from files: what `toonify train-encoder` does, as a function."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import get_args

import torch

from toonify.bundle import locate, model_files
from toonify.checkpoints import load_encoder, load_generator
from toonify.device import pick_device, pick_dtype, refuse_float16
from toonify.errors import UsageError
from toonify.faces.subject import Domain
from toonify.models.base import Generator
from toonify.models.encoders.psp import SIZES
from toonify.models.encoders.trainable import TrainableEncoder
from toonify.training.core.report import Display, no_display, reported
from toonify.training.core.runs import RunFolder
from toonify.training.encoders import train, variants
from toonify.training.encoders.faces import check_faces, encoder_loss, face_data
from toonify.training.encoders.losses import EncoderWeights
from toonify.utils.arguments import check_choice, check_range
from toonify.utils.outputs import InputFiles, check_run_folder
from toonify.utils.progress import Progress as Bars
from toonify.utils.progress import no_progress


@dataclass(frozen=True, kw_only=True)
class EncoderResult:
    """What a run left in its folder.

    Attributes:
        encoder: its network's file; of an encoder for `load_encoder`.
        report: report.html.
        architecture: "compact", "psp", "e4e", "restyle", or what else was trained.
    """

    encoder: Path
    report: Path
    architecture: str


def train_encoder(
    generator: str,
    output: str | os.PathLike[str],
    *,
    variant: variants.Variant | None = None,
    size: str | None = None,
    residual_steps: int | None = None,
    start: str | None = None,
    photos: str | os.PathLike[str] | None = None,
    aligned: bool = False,
    domain: Domain = "faces",
    photo_share: float | None = None,
    pairs: str | os.PathLike[str] | None = None,
    pair_count: int | None = None,
    held_out: int = 32,
    kimg: float = 80.0,
    batch_size: int | None = None,
    lr: float | None = None,
    snapshot_kimg: float = 8.0,
    keep: int = 0,
    weights: EncoderWeights | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "auto",
    display: Display = no_display,
    progress: Bars = no_progress,
) -> EncoderResult:
    """Train an encoder from aligned faces to a generator's w+: pSp, ReStyle, or the compact one.

    On photographs it learns from L2, LPIPS, identity and the length of w+ (Richardson et al.,
    2021), on generated faces from their latents and activations too. Snapshots, metrics.jsonl,
    previews, report.html and encoder.safetensors go into the folder.

    Args:
        generator: whose w+ it learns: a checkpoint's file, a registry name, or a bundle.
        output: folder of the run.
        variant: "compact" (the default), "psp" or "restyle".
        size: "10", "18" or "50", layers of pSp's and ReStyle's body.
        residual_steps: of ReStyle.
        start: an encoder to go on from, which brings its own architecture.
        photos: folder of photographs.
        aligned: they are FFHQ-aligned crops already: no face is looked for.
        domain: "faces", or "any" for a generator of something else: nothing is detected, the middle
            square of each photograph is learnt, and the identity term has no part.
        photo_share: of a batch, 0..1; 0.5 where there are photographs.
        pairs: folder of generated faces and their latents, filled where it is empty; None
            generates them as they are needed.
        pair_count: so many are put into an empty folder; 6000 when None.
        held_out: faces that are only validated on.
        kimg: thousand faces to show.
        batch_size: faces a step; None for the variant's own.
        lr: AdamW's learning rate; None for the variant's own.
        snapshot_kimg: thousand faces between snapshots.
        keep: so many of their encoders stay, beside their previews.
        weights: of the losses.
        resume: go on from the last snapshot in the folder.
        seed: of the weights, and of what is drawn at random.
        device: where networks compute: "auto", "cpu", "cuda", "cuda:1" or "mps".
        dtype: what they compute in: "auto", "float32" or "bfloat16".
        display: opens a display of the training.
        progress: opens a bar for what is named, and is given what is done of how much.

    Raises:
        UsageError: options that don't go together, or a run in the folder without `resume`.
        InputError: no photographs.
        ModelError: networks that can't be loaded.
        Diverged: training is no longer finite; the last snapshot stays.
        KeyboardInterrupt: after Ctrl-C, once a snapshot is kept.

    Examples:
        >>> done = train_encoder("default", "runs/encoder", photos="people/", kimg=20)
        >>> encoder = load_encoder(done.encoder)
    """
    folder = Path(output)
    people = None if photos is None else Path(photos)
    stored = None if pairs is None else Path(pairs)
    check_choice("variant", variant, get_args(variants.Variant))
    for name, value in (("batch_size", batch_size), ("residual_steps", residual_steps)):
        check_range(name, value, 1, whole=True)
    check_range("pair_count", pair_count, 1, whole=True)
    check_range("held_out", held_out, 1, whole=True)
    check_range("photo_share", photo_share, 0, 1)
    config = train.EncoderConfig(
        kimg=kimg, lr=1e-3 if lr is None else lr, snapshot_kimg=snapshot_kimg, keep=keep, seed=seed
    )
    refuse_float16(dtype)
    check_architecture(start, variant, size, residual_steps)
    check_faces(people, aligned, photo_share, stored, pair_count, domain)
    check_run_folder(folder, InputFiles([people, stored, *model_files(generator, start)]))
    RunFolder(folder).start(resume=resume)  # before minutes of preparation: is it free?
    place = pick_device(device)
    bfloat16 = pick_dtype(dtype, place) != torch.float32
    inverted = load_generator(locate(generator, "generator"), device=place)
    kind: variants.Variant = variant or "compact"
    if start is None:
        width = size or "18"
        encoder = variants.new_encoder(kind, inverted, size=width, steps=residual_steps, seed=seed)
        rate = variants.learning_rate(kind, width)
    else:
        encoder = _loaded(start, inverted)
        rate = variants.LEARNING_RATES["50"]  # gently: it knows something already
    small = encoder.config()["architecture"] == "compact"
    weights = weights or EncoderWeights()
    if domain == "any":
        weights = replace(weights, identity=0.0)
    loss = encoder_loss(inverted, weights, bfloat16)
    data = face_data(
        inverted,
        folder,
        photos=people,
        aligned=aligned or domain == "any",
        pairs=stored,
        pair_count=6000 if pair_count is None else pair_count,
        photo_share=0.5 if photo_share is None else photo_share,
        held_out=held_out,
        bfloat16=bfloat16,
        seed=seed,
        progress=progress,
    )
    config = replace(
        config,
        batch_size=batch_size or (32 if small else 8),
        lr=rate if lr is None else lr,
    )
    given = {"generator": generator, "start": start, "photos": photos, "pairs": pairs}
    options = {**given, **asdict(config), "weights": asdict(loss.weights)}
    architecture = str(encoder.config()["architecture"])
    with reported(
        folder,
        command="train-encoder",
        steps=config.steps,
        config=options,
        facts={"encoder": architecture, "device": place},
        display=display,
    ) as report:
        train.train_encoder(
            encoder, data, folder, config, loss=loss, resume=resume, progress=report
        )
    return EncoderResult(
        encoder=folder / "encoder.safetensors",
        report=folder / "report.html",
        architecture=architecture,
    )


def check_architecture(
    start: str | None, variant: str | None, size: str | None, residual_steps: int | None
) -> None:
    """UsageError for options of an encoder's architecture that don't go together."""
    if start is not None and (variant or size or residual_steps):
        raise UsageError(
            "`start` brings its own architecture",
            hint="Leave `variant`, `size` and its steps out.",
        )
    if size is not None and variant in (None, "compact"):
        raise UsageError("`size` is of psp and restyle", hint="Take `variant` restyle.")
    if size is not None and size not in SIZES:
        raise UsageError(f"`size` {size} is of StyleGANEX's", hint="Choose 10, 18 or 50.")


def _loaded(start: str, generator: Generator) -> TrainableEncoder:
    encoder = load_encoder(locate(start, "encoder"), device=generator.w_avg.device)
    return variants.check_fits(encoder, generator)
