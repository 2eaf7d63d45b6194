"""Drawings projected into a generator: the networks and options, and the call for one's own."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from toonify.bundle import locate
from toonify.checkpoints import generator_hash, load_encoder, load_generator
from toonify.device import pick_device, pick_dtype
from toonify.errors import InputError, ToonifyError, UsageError
from toonify.faces import align, get_detector
from toonify.inversion.projector import Encode, Projection, ProjectionSettings, Start
from toonify.inversion.projector import Progress as ProjectionProgress
from toonify.inversion.projector import project as project_images
from toonify.media.images import iter_images, read_image
from toonify.metrics import lpips
from toonify.models.base import Encoder, Generator
from toonify.training.characters.jobs import Projector
from toonify.training.characters.sheet import SampleFace
from toonify.training.data.drawings import Drawings, load_drawings, prepare
from toonify.utils.arguments import check_positive, check_range
from toonify.utils.tensors import to_tensor

log = logging.getLogger(__name__)

Picture = str | os.PathLike[str] | np.ndarray


@dataclass(frozen=True, kw_only=True)
class ProjectorOptions:
    """How drawings are projected; travels to worker processes, which load the networks anew.

    Attributes:
        generator: a checkpoint's file, a registry name, or a bundle.
        encoder: the same, whose latents projections start from; None: from the average latent.
        start: "average", "encoder", or "both", of which the better is kept; None takes the
            encoder where there is one.
        k: drawings of a character at most.
        steps, batch_size, lr, patience, optimize_noise, seed: of `ProjectionSettings`.
        device, dtype: "auto", or what networks run on and in.

    Raises:
        UsageError: a start from an encoder that isn't given.
    """

    generator: str
    encoder: str | None = None
    start: Start | None = None
    k: int = 50
    steps: int = 300
    batch_size: int = 8
    lr: float = 0.25
    patience: int = 50
    optimize_noise: bool = True
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"

    def __post_init__(self) -> None:
        if self.start not in (None, "average") and self.encoder is None:
            raise UsageError(f"`start` {self.start} needs an encoder", hint="Name an `encoder`.")
        check_positive("steps", self.steps, whole=True)
        check_positive("batch_size", self.batch_size, whole=True)
        check_positive("lr", self.lr)
        check_positive("k", self.k, whole=True)
        check_range("patience", self.patience, 0, whole=True)
        check_range("seed", self.seed, whole=True)

    def load(self) -> Projector:
        """Networks and loss on the device.

        Raises:
            ModelError: they can't be loaded.
        """
        device = pick_device(self.device)
        # gradients underflow in float16
        full = pick_dtype(self.dtype, device) == torch.float32
        dtype = torch.float32 if full else torch.bfloat16
        network = load_generator(locate(self.generator, "generator"), device=device)
        encode, encoder_hash = None, ""
        if self.encoder is not None:
            reader = load_encoder(locate(self.encoder, "encoder"), device=device)
            encoder_hash = generator_hash(reader)
            encode = starting_latents(reader, network)
        return Projector(
            generator=network,
            loss=lpips.PerceptualLoss(dtype=dtype).to(device),
            settings=ProjectionSettings(
                steps=self.steps,
                batch_size=self.batch_size,
                lr=self.lr,
                patience=self.patience,
                optimize_noise=self.optimize_noise,
                seed=self.seed,
                dtype=dtype,
            ),
            encoder=encode,
            encoder_hash=encoder_hash,
            start=self.start,
            k=self.k,
        )


def project(
    images: Picture | Sequence[Picture],
    *,
    generator: str,
    encoder: str | None = None,
    steps: int = 300,
    batch_size: int = 8,
    lr: float = 0.25,
    patience: int = 50,
    optimize_noise: bool = True,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "auto",
    progress: ProjectionProgress | None = None,
) -> Projection:
    """Find the w+ whose images are nearest to drawings or aligned faces (Karras et al., 2020,
    appendix D, in W+ and with a learned perceptual distance).

    Args:
        images: files, or (H, W, 3) uint8 RGB arrays, one or several; squares, or the square in
            their middle is taken.
        generator: a checkpoint's file, a registry name, or a bundle.
        encoder: likewise, whose latents the search starts from; None: from the average latent.
        steps: of optimization at most.
        batch_size: images optimized together.
        lr: peak of the learning rate, in deviations of W.
        patience: steps without gain that end the optimization; 0 for never.
        optimize_noise: fit the noise maps too, kept white.
        seed: of the noise that is added to latents and of fresh noise maps.
        device: where networks compute: "auto", "cpu", "cuda", "cuda:1" or "mps".
        dtype: what they compute in: "auto", "float32", "bfloat16" or "float16".
        progress: called with (images done, step, steps, loss).

    Returns:
        `latents` (N, num_ws, w_dim) float32, `losses` (N,), `reconstructions` (N, 3, R, R) uint8.

    Raises:
        InputError: an unreadable file.
        ModelError: networks that can't be loaded.

    Examples:
        >>> found = project(["a.png", "b.png"], generator="default", encoder="default")
        >>> found.latents.mean(0).shape  # the character that both have in common
        torch.Size([16, 512])
    """
    options = ProjectorOptions(
        generator=generator,
        encoder=encoder,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        patience=patience,
        optimize_noise=optimize_noise,
        seed=seed,
        device=device,
        dtype=dtype,
    )
    projector = options.load()
    size = projector.generator.resolution
    given = [images] if isinstance(images, (str, os.PathLike, np.ndarray)) else images
    pixels = torch.stack([_prepared(image, size) for image in given])
    start = None
    if projector.encoder is not None:
        with torch.no_grad():
            start = torch.cat(
                [
                    projector.encoder(to_tensor(picture.permute(1, 2, 0).numpy())).float()
                    for picture in pixels
                ]
            )
    return project_images(
        pixels,
        projector.generator,
        loss=projector.loss,
        settings=projector.settings,
        start=start,
        progress=progress,
    )


def _prepared(image: Picture, size: int) -> Tensor:
    """(3, size, size) uint8."""
    if isinstance(image, np.ndarray):
        return torch.tensor(prepare(image, None, size)).permute(2, 0, 1)
    read = read_image(image)
    return torch.tensor(prepare(read.rgb, read.alpha, size)).permute(2, 0, 1)


def read_drawings(paths: list[Path], size: int) -> Drawings:
    """A folder's drawings, or single files; what can't be read is in `skipped`.

    Raises:
        InputError: none of them can be read.
    """
    if len(paths) == 1 and paths[0].is_dir():
        return load_drawings(paths[0], size)
    arrays, names, skipped = [], [], []
    for path in paths:
        try:
            arrays.append(_prepared(path, size))
        except ToonifyError as error:
            skipped.append((str(path), str(error)))
            continue
        names.append(str(path))
    if not arrays:
        raise InputError(f"no drawing can be read: {skipped[0][1]}")
    return Drawings(torch.stack(arrays), names, [""] * len(names), skipped)


def sample_photos(folder: Path, projector: Projector, *, count: int = 3) -> list[SampleFace]:
    """The first faces found in a folder of photos, as the encoder reads them.

    Raises:
        InputError: no photo there has a face.
        UsageError: no encoder.
    """
    if projector.encoder is None:
        raise UsageError("photos need an encoder", hint="Name an `encoder`.")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint="Name a folder of photos.")
    generator, detector, found = projector.generator, get_detector(), []
    for path in sorted(iter_images(folder, recursive=True)):
        try:
            photo = read_image(path).flat
            faces = detector.detect(photo)
        except ToonifyError as error:
            log.warning("%s is left out: %s", path, error)
            continue
        if not faces:
            log.warning("%s is left out: no face found", path)
            continue
        crop = align(photo, faces[0], generator.resolution).image
        with torch.no_grad():
            latent = projector.encoder(to_tensor(crop).to(generator.w_avg.device))[0].float()
        found.append(SampleFace(path.stem, crop, latent))
        if len(found) == count:
            break
    if not found:
        raise InputError(f"no photo in {folder} has a face", hint="Give other `photos`, or none.")
    return found


def starting_latents(encoder: Encoder, generator: Generator) -> Encode:
    """Images (B, 3, H, W) in [-1, 1] → the encoder's w+, whatever size it takes."""

    def encode(images: Tensor) -> Tensor:
        size = (encoder.input_size, encoder.input_size)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True)
        return encoder.encode(images, generator)

    return encode
