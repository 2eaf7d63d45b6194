"""What `invert`, `edit` and `translate` share: options, the loaded networks, their inputs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toonify.cli.common import Settings
from toonify.errors import InputError, ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from toonify.faces import FaceDetector
    from toonify.inversion.frames import AlignedInput
    from toonify.inversion.latents import Latents
    from toonify.inversion.model import FaceModel
    from toonify.models.base import Encoder, Generator
    from toonify.models.encoders.styleganex import StyleGANEXEncoder

FACE_GENERATOR = "ffhq-mobile"  # for bundles without a generator of faces


class Framing(StrEnum):
    """How much of a photo is taken."""

    whole = "whole"
    face = "face"
    aligned = "aligned"


EncoderOption = Annotated[
    str,
    typer.Option(
        "--encoder",
        help="What reads the photos: a StyleGANEX, pSp, e4e, ReStyle or compact encoder (file,"
        " registry name such as styleganex-inversion, or bundle).",
    ),
]
GeneratorOption = Annotated[
    str | None,
    typer.Option(
        "--generator",
        help="What renders: a generator's file, registry name or bundle.",
        show_default=f"the encoder's own, else {FACE_GENERATOR}",
    ),
]
FramingOption = Annotated[
    Framing,
    typer.Option(
        "--frame",
        help="The whole photo, 256 px around the eyes at training size, or a photo that is an"
        " aligned face already. Encoders other than StyleGANEX's take the face alone.",
    ),
]


def present(path: Path | None) -> None:
    """Refuse a file that isn't there, before networks are loaded for it.

    Raises:
        InputError: it isn't.
    """
    if path is not None and not path.exists():
        raise InputError(f"no such file: {path}", hint="Check the name.")


def load_model(
    settings: Settings, encoder: str | None, generator: str | None, *, gradients: bool = False
) -> FaceModel:
    """The networks, on the chosen device.

    Args:
        encoder: None where only latents are rendered.
        gradients: latents or weights will be optimised, for which float16 underflows.
    """
    import torch

    from toonify.bundle import INVERSION, has_parts, is_bundle, load_frame_parts, locate
    from toonify.checkpoints import load_encoder, load_generator, load_networks
    from toonify.device import pick_device, pick_dtype
    from toonify.inversion.model import FaceModel
    from toonify.models.encoders.styleganex import StyleGANEXEncoder

    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    if gradients and dtype == torch.float16:
        dtype = torch.bfloat16
    reader: Encoder | None = None
    face_reader: Encoder | None = None
    own: Generator | None = None
    network: Generator | None = None
    if generator is not None:
        part = locate(generator, "inversion_generator", "generator")
        network = load_generator(part, device=device)
    if encoder is not None and is_bundle(encoder) and has_parts(encoder, INVERSION):
        own, reader = load_frame_parts(encoder, INVERSION, device=device)
        if network is not None and not _renders_frames(network, reader):
            own, reader = None, None  # the bundle's encoder of faces alone may serve
        elif not reader.heads:
            face_reader = load_encoder(locate(encoder, "encoder"), device=device)
    if encoder is not None and reader is None:
        reader, own = load_networks(locate(encoder, "encoder"), device=device)
    if network is None:
        if own is None and isinstance(reader, StyleGANEXEncoder):
            raise ModelError(
                f"{encoder} holds no generator",
                hint="Give the one it was trained for: --generator.",
            )
        network = load_generator(FACE_GENERATOR, device=device) if own is None else own
    return FaceModel(network, reader, face_encoder=face_reader, own_generator=own, dtype=dtype)


def _renders_frames(generator: Generator, encoder: StyleGANEXEncoder) -> bool:
    from toonify.models.generators.stylegan2 import StyleGAN2Layers

    return (
        isinstance(generator, StyleGAN2Layers) and generator.channels[4] == encoder.feature_channels
    )


class Photos:
    """Reads photos and inversions into latents; the face detector is made when needed."""

    def __init__(self, settings: Settings, model: FaceModel, framing: Framing) -> None:
        self.settings, self.model, self.framing = settings, model, framing
        self._detector: FaceDetector | None = None

    @property
    def detector(self) -> FaceDetector:
        """Made on first use."""
        if self._detector is None:
            from toonify.faces import get_detector

            self._detector = get_detector(
                device=str(self.model.device), offline=self.settings.offline
            )
        return self._detector

    def latents(self, path: Path) -> Latents:
        """Of a photo (step I) or a file written by `invert`."""
        from toonify.inversion.latents import Latents

        if path.suffix == ".safetensors":
            present(path)
            return Latents.load(path)[0]
        return self.read(path)[1]

    def face_codes(self, path: Path) -> Tensor:
        """w+ (1, num_ws, w_dim) of a photo's largest face, or of a file written by `invert`."""
        from toonify.faces import align
        from toonify.inversion.latents import fit_codes
        from toonify.media.images import read_image
        from toonify.models.encoders.psp import INPUT_SIZE
        from toonify.utils.tensors import to_tensor

        if path.suffix == ".safetensors":
            return fit_codes(self.latents(path).w_plus, self.model.generator.num_ws)
        rgb = read_image(path).flat
        faces = self.detector.detect(rgb)
        if not faces:
            raise InputError(f"{path}: no face found", hint="Use a picture with a visible face.")
        crop = align(rgb, faces[0], INPUT_SIZE).image
        return self.model.face_codes(to_tensor(crop).to(self.model.device))

    def read(self, path: Path) -> tuple[AlignedInput, Latents]:
        """A photo's frame and face, and the encoder's answer."""
        aligned = self.prepare_input(path)
        return aligned, self.model.encode(aligned)

    def prepare_input(self, path: Path, *, lower: int | None = None) -> AlignedInput:
        """A photo's frame and face.

        Args:
            lower: shrink them so that super-resolution by this factor would undo it.
        """
        from toonify.inversion.frames import prepare_input
        from toonify.media.images import read_image

        rgb = read_image(path).flat
        framing = self.framing
        if framing is Framing.whole and not self.model.reads_frames:
            framing = Framing.face  # the frame is of no use, so its limits don't apply
        try:
            detector = None if framing is Framing.aligned else self.detector
            return prepare_input(rgb, framing.value, detector, lower=lower)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
