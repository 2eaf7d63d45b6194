"""Photographs to latents: which networks read and render them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from toonify.bundle import INVERSION, has_parts, is_bundle, load_frame_parts, locate
from toonify.checkpoints import load_encoder, load_generator, load_networks
from toonify.device import pick_device, pick_dtype
from toonify.errors import InputError, ModelError
from toonify.faces import get_detector
from toonify.faces.subject import Domain, LargestFace, Subject
from toonify.inversion import FACE_GENERATOR
from toonify.inversion.fitting import FitSettings, fit_face
from toonify.inversion.frames import AlignedInput, Framing, prepare_input
from toonify.inversion.latents import Latents, fit_w_plus
from toonify.inversion.model import FaceModel
from toonify.media.images import read_image
from toonify.models.base import Encoder, Generator
from toonify.models.encoders.psp import INPUT_SIZE
from toonify.models.encoders.styleganex import StyleGANEXEncoder
from toonify.models.generators.stylegan2 import StyleGAN2Layers
from toonify.utils.tensors import to_tensor

DEFAULT_ENCODER = "default"  # of faces


def encoder_of(domain: Domain, encoder: str | None) -> str | None:
    """The encoder that is named, or a domain's own: faces have the default bundle's."""
    return DEFAULT_ENCODER if encoder is None and domain == "faces" else encoder


def load_face_model(
    encoder: str | None = "default",
    generator: str | None = None,
    *,
    domain: Domain = "faces",
    gradients: bool = False,
    device: str = "auto",
    dtype: str = "auto",
) -> FaceModel:
    """An encoder and the generator that it inverts into.

    Args:
        encoder: a file, registry name or bundle; None where only latents are rendered.
        generator: likewise; None for the encoder's own.
        domain: of "any", no generator of faces stands in for one that isn't named.
        gradients: latents or weights will be optimized, for which float16 underflows.

    Raises:
        ModelError: they can't be loaded, or don't fit each other.
    """
    place = pick_device(device)
    arithmetic = pick_dtype(dtype, place)
    if gradients and arithmetic == torch.float16:
        arithmetic = torch.bfloat16
    reader: Encoder | None = None
    face_reader: Encoder | None = None
    own: Generator | None = None
    network: Generator | None = None
    if generator is not None:
        part = locate(generator, "inversion_generator", "generator")
        network = load_generator(part, device=place)
    if encoder is not None and is_bundle(encoder) and has_parts(encoder, INVERSION):
        own, reader = load_frame_parts(encoder, INVERSION, device=place)
        if network is not None and not _renders_frames(network, reader):
            own, reader = None, None  # the bundle's encoder of faces alone may serve
        elif not reader.heads:
            face_reader = load_encoder(locate(encoder, "encoder"), device=place)
    if encoder is not None and reader is None:
        reader, own = load_networks(locate(encoder, "encoder"), device=place)
    if network is None:
        if own is None and (domain == "any" or isinstance(reader, StyleGANEXEncoder)):
            raise ModelError(
                "no generator is named" if encoder is None else f"{encoder} holds no generator",
                hint="Give the one it was trained for as `generator`.",
            )
        network = load_generator(FACE_GENERATOR, device=place) if own is None else own
    return FaceModel(network, reader, face_encoder=face_reader, own_generator=own, dtype=arithmetic)


def _renders_frames(generator: Generator, encoder: StyleGANEXEncoder) -> bool:
    return (
        isinstance(generator, StyleGAN2Layers) and generator.channels[4] == encoder.feature_channels
    )


class PhotoReader:
    """Reads photographs and inversions into latents; the face detector is made when needed.

    Args:
        model: encoder and generator.
        framing: "whole" photographs, "face" for 256 px around the eyes at training size, or
            "aligned" faces. Encoders other than StyleGANEX's take the face alone.
        subject: what finds the square in photographs that show something else than faces; there
            "aligned" reads it alone. None for the largest face.
        offline: never fetch the detector's weights.
    """

    def __init__(
        self,
        model: FaceModel,
        framing: Framing = "whole",
        *,
        subject: Subject | None = None,
        offline: bool = True,
    ) -> None:
        self.model, self.framing, self._offline = model, framing, offline
        self._aligned = subject is None and framing == "aligned"
        self._subject = subject

    @property
    def subject(self) -> Subject:
        """The finder of faces is made on first use."""
        if self._subject is None:
            detector = get_detector(device=str(self.model.device), offline=self._offline)
            self._subject = LargestFace(detector)
        return self._subject

    def latents(self, path: Path) -> Latents:
        """Of a photo (step I) or a file written by `invert`.

        Raises:
            InputError: no such file, or no face.
            ModelError: a file of latents of another generator.
        """
        if path.suffix == ".safetensors":
            if not path.exists():
                raise InputError(f"no such file: {path}", hint="Check the name.")
            latents = Latents.load(path)[0]
            self._check_width(path, latents)
            return latents
        return self.read(path)[1]

    def _check_width(self, path: Path, latents: Latents) -> None:
        width, own = latents.w_plus.shape[2], self.model.generator.w_dim
        if width != own:
            raise ModelError(
                f"{path}: its latents have {width} numbers, the generator takes {own}",
                hint="Use the generator they were made with, or one fine-tuned from it.",
            )

    def face(self, path: Path) -> Tensor:
        """A photo's largest face, or its square, (1, 3, 256, 256) in [-1, 1]."""
        try:
            crop = self.subject.crop(read_image(path).flat, INPUT_SIZE)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        return to_tensor(crop.image).to(self.model.device)

    def face_w_plus(self, path: Path) -> Tensor:
        """w+ (1, num_ws, w_dim) of a photo's largest face, or of a file written by `invert`."""
        if path.suffix == ".safetensors":
            return fit_w_plus(self.latents(path).w_plus, self.model.generator.num_ws)
        return self.model.face_w_plus(self.face(path))

    def read(self, path: Path) -> tuple[AlignedInput, Latents]:
        """A photo's frame and face, and the encoder's answer.

        Where the frame's face is the generator's own, w+ is fitted to it; see `fit_face`.
        """
        aligned, model = self.prepare_input(path), self.model
        latents = model.encode(aligned)
        if not model.seats_faces:
            return aligned, latents
        fit = FitSettings(dtype=model.dtype)
        if not isinstance(self.subject, LargestFace):
            fit = FitSettings.of_anything(model.generator, steps=fit.steps, dtype=model.dtype)
        face = to_tensor(aligned.face).to(model.device)
        w_plus = fit_face(model.generator, model.face_encoder, face, latents.w_plus, fit)
        return aligned, replace(latents, w_plus=w_plus)

    def prepare_input(self, path: Path, *, lower: int | None = None) -> AlignedInput:
        """A photo's frame and face.

        Args:
            lower: shrink them so that super-resolution by this factor would undo it.
        """
        rgb = read_image(path).flat
        if self._aligned:
            return prepare_input(rgb, "aligned", lower=lower)
        # a frame that nothing reads has no limits
        framing = self.framing if self.model.reads_frames else "aligned"
        try:
            return prepare_input(rgb, framing, self.subject, lower=lower)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
