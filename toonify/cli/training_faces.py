"""What `toonify train-encoder` learns from: photographs and generated faces, and its losses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from toonify.cli.common import Settings, complain
from toonify.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from toonify.models.base import Generator
    from toonify.training.encoders.data import EncoderData
    from toonify.training.encoders.losses import EncoderLoss, EncoderWeights


def judges(
    settings: Settings, generator: Generator, weights: EncoderWeights, bfloat16: bool
) -> EncoderLoss:
    """The losses' networks; without the face descriptor its term is left out."""
    import dataclasses

    import torch

    from toonify.checkpoints import load_identity
    from toonify.errors import ModelError
    from toonify.metrics.lpips import PerceptualLoss
    from toonify.training.encoders.losses import EncoderLoss

    device, dtype = generator.w_avg.device, torch.bfloat16 if bfloat16 else torch.float32
    perceptual, descriptor = None, None
    if weights.lpips:
        perceptual = PerceptualLoss("alex", dtype=dtype).to(device)
    if weights.identity:
        try:
            descriptor = load_identity(device=device, dtype=dtype)
        except ModelError as error:
            complain(f"the identity term is left out: {error}")
            weights = dataclasses.replace(weights, identity=0.0)
    return EncoderLoss(
        generator, weights, perceptual=perceptual, identity=descriptor, bfloat16=bfloat16
    )


def check_faces(
    photos: Path | None,
    aligned: bool,
    photo_share: float | None,
    pairs: Path | None,
    pair_count: int | None,
) -> None:
    """UsageError for options of faces that don't go together."""
    if photos is None and (aligned or photo_share):
        raise UsageError(
            f"{'--aligned' if aligned else '--photo-share'} needs photographs",
            hint="Name their folder with --photos.",
        )
    if pair_count is not None and pairs is None:
        raise UsageError("--pair-count is of --pairs", hint="Name their folder with --pairs.")
    if pairs is not None and photo_share == 1:
        raise UsageError(
            "--photo-share 1 leaves the pairs out", hint="Lower it, or leave --pairs out."
        )


def face_data(
    settings: Settings,
    generator: Generator,
    output: Path,
    *,
    photos: Path | None,
    aligned: bool,
    pairs: Path | None,
    pair_count: int,
    photo_share: float,
    held_out: int,
    bfloat16: bool,
) -> EncoderData:
    from toonify.training.data.latent_samples import PairSet, sample_pairs
    from toonify.training.data.photos import load_photos
    from toonify.training.encoders.data import EncoderData, FreshPairs, Pairs, StoredPairs

    people, generated = None, None
    if photos is not None:
        with settings.progress("photographs") as bar:
            people = load_photos(photos, output, aligned=aligned, progress=bar)
        for name, reason in people.skipped:
            complain(f"{name} is left out: {reason}")
    if photos is None or photo_share < 1:
        faces: Pairs
        if pairs is None:
            faces = FreshPairs(generator, held_out=held_out, bfloat16=bfloat16)
        else:
            if not any(pairs.glob("*")):
                with settings.progress("faces") as bar:
                    size = min(256, generator.resolution)
                    sample_pairs(
                        generator,
                        pairs,
                        pair_count,
                        size=size,
                        seed=settings.seed,
                        progress=lambda done: bar(done, pair_count),
                    )
            stored = PairSet.load(
                pairs, num_ws=generator.num_ws, w_dim=generator.w_dim, generator=generator
            )
            faces = StoredPairs(stored, held_out=held_out)
        generated = faces
    return EncoderData(
        photos=people,
        pairs=generated,
        photo_share=photo_share,
        held_out=held_out,
        seed=settings.seed,
    )


def face_reader(name: str | None, generator: Generator) -> Callable[[Tensor], Tensor] | None:
    """Faces → w+ by an encoder that stays as it is; None where none is named."""
    from torch.nn import functional as F

    from toonify.bundle import locate
    from toonify.checkpoints import load_encoder
    from toonify.inversion.latents import fit_codes

    if name is None:
        return None
    encoder = load_encoder(locate(name, "encoder"), device=generator.w_avg.device)
    width = getattr(encoder, "w_dim", generator.w_dim)
    if width != generator.w_dim:
        raise UsageError(
            f"the encoder's codes have {width} numbers, the generator takes {generator.w_dim}",
            hint="Give an encoder of the same W: --codes-by.",
        )
    encoder.requires_grad_(False)

    def read(faces: Tensor) -> Tensor:
        size = (encoder.input_size, encoder.input_size)
        faces = F.interpolate(faces, size, mode="area")
        return fit_codes(encoder.encode(faces, generator).float(), generator.num_ws)

    return read
