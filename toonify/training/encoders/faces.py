"""What encoders learn from and by: photographs and generated faces, and the losses' networks."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from toonify.bundle import locate
from toonify.checkpoints import load_encoder, load_identity
from toonify.errors import ModelError, UsageError
from toonify.faces.subject import Domain, check_domain
from toonify.inversion.latents import fit_w_plus
from toonify.metrics import lpips
from toonify.models.base import Generator
from toonify.models.identity import Identity
from toonify.training.data.latent_samples import LatentSamples, write_samples
from toonify.training.data.photos import load_photos
from toonify.training.encoders.data import EncoderData, FreshSamples, LatentSource, StoredSamples
from toonify.training.encoders.losses import EncoderLoss, EncoderWeights
from toonify.utils.progress import Progress, no_progress

log = logging.getLogger(__name__)


def load_loss_networks(
    device: torch.device, dtype: torch.dtype, *, trunk: lpips.Net | None, identity: bool
) -> tuple[lpips.PerceptualLoss | None, Identity | None]:
    """The networks that losses compare pictures by.

    Args:
        trunk: of LPIPS; None leaves it out.
        identity: the face descriptor too; where its weights aren't there it is left out, with a
            word in the log.

    Raises:
        ModelError: LPIPS's weights are not there.
    """
    perceptual = None
    if trunk is not None:
        perceptual = lpips.PerceptualLoss(trunk, dtype=dtype).to(device)
    if not identity:
        return perceptual, None
    try:
        return perceptual, load_identity(device=device, dtype=dtype)
    except ModelError as error:
        log.warning("the identity term is left out: %s", error)
        return perceptual, None


def encoder_loss(generator: Generator, weights: EncoderWeights, bfloat16: bool) -> EncoderLoss:
    """The losses with their networks; without the face descriptor its term is left out."""
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    perceptual, descriptor = load_loss_networks(
        generator.w_avg.device,
        dtype,
        trunk="alex" if weights.lpips else None,
        identity=bool(weights.identity),
    )
    if descriptor is None:
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
    domain: Domain = "faces",
) -> None:
    """UsageError for options of faces, or a domain's pictures, that don't go together."""
    check_domain(domain)
    if aligned and domain == "any":
        raise UsageError("`aligned` is of `domain` faces", hint="Leave it out.")
    if photos is None and (aligned or photo_share):
        raise UsageError(
            f"`{'aligned' if aligned else 'photo_share'}` needs photographs",
            hint="Name their folder as `photos`.",
        )
    if pair_count is not None and pairs is None:
        raise UsageError("`pair_count` is of `pairs`", hint="Name their folder as `pairs`.")
    if pairs is not None and photo_share == 1:
        raise UsageError(
            "a `photo_share` of 1 leaves the pairs out", hint="Lower it, or leave `pairs` out."
        )


def face_data(
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
    seed: int = 0,
    progress: Progress = no_progress,
) -> EncoderData:
    """Photographs and generated faces to learn from; what can't be read is logged."""
    people, generated = None, None
    if photos is not None:
        with progress("photographs") as bar:
            people = load_photos(photos, output, aligned=aligned, progress=bar)
        for name, reason in people.skipped:
            log.warning("%s is left out: %s", name, reason)
    if photos is None or photo_share < 1:
        faces: LatentSource
        if pairs is None:
            faces = FreshSamples(generator, held_out=held_out, bfloat16=bfloat16)
        else:
            if not any(pairs.glob("*")):
                with progress("faces") as bar:
                    size = min(256, generator.resolution)
                    write_samples(
                        generator,
                        pairs,
                        pair_count,
                        size=size,
                        seed=seed,
                        progress=lambda done: bar(done, pair_count),
                    )
            stored = LatentSamples.load(
                pairs, num_ws=generator.num_ws, w_dim=generator.w_dim, generator=generator
            )
            faces = StoredSamples(stored, held_out=held_out)
        generated = faces
    return EncoderData(
        photos=people,
        pairs=generated,
        photo_share=photo_share,
        held_out=held_out,
        seed=seed,
    )


def face_reader(name: str | None, generator: Generator) -> Callable[[Tensor], Tensor] | None:
    """Faces → w+ by an encoder that stays as it is; None where none is named."""
    if name is None:
        return None
    encoder = load_encoder(locate(name, "encoder"), device=generator.w_avg.device)
    width = getattr(encoder, "w_dim", generator.w_dim)
    if width != generator.w_dim:
        raise UsageError(
            f"the encoder's latents have {width} numbers, the generator takes {generator.w_dim}",
            hint="Give an encoder of the same W as `face_encoder`.",
        )
    encoder.requires_grad_(False)

    def read(faces: Tensor) -> Tensor:
        size = (encoder.input_size, encoder.input_size)
        faces = F.interpolate(faces, size, mode="area")
        return fit_w_plus(encoder.encode(faces, generator).float(), generator.num_ws)

    return read
