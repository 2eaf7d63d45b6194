"""An encoder and a generator as one: a photograph to latents, latents to a picture."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from toonify.device import arithmetic
from toonify.errors import ModelError
from toonify.faces.alignment import unit_to_photo
from toonify.faces.types import Points, f32
from toonify.inversion.frames import AlignedInput, pad_to_stride
from toonify.inversion.latents import Latents, fit_w_plus
from toonify.models.base import Encoder, Generator
from toonify.models.encoders.styleganex import STRIDE, StyleGANEXEncoder
from toonify.models.generators.stylegan2 import StyleGAN2Layers
from toonify.models.generators.styleganex import FEATURE_RESOLUTION, StyleGANEXGenerator
from toonify.utils.tensors import to_tensor


class FaceModel:
    """Reads photographs and renders them; whole frames where both networks are StyleGANEX's.

    Args:
        generator: of any family; a StyleGAN2 is refactored where frames are rendered.
        encoder: of any family; None to render only, or to read the average latent off everything,
            from where photographs are refined.
        face_encoder: reads w+ off aligned faces where `encoder` has no heads for it.
        own_generator: what residual steps of the encoder of faces render with; `generator` when
            None.
        dtype: of the networks' arithmetic.

    Raises:
        ModelError: the networks don't fit each other.
    """

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder | None = None,
        *,
        face_encoder: Encoder | None = None,
        own_generator: Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.generator, self.encoder, self.dtype = generator, encoder, dtype
        self.own_generator = own_generator or generator
        self.device = generator.w_avg.device
        # that reads w+
        self.face_encoder = face_encoder if self.reads_frames and not self._has_heads else encoder
        for network in (generator, encoder, face_encoder, own_generator):
            if network is not None:
                network.eval().requires_grad_(False)
        for network in (encoder, self.face_encoder):
            width = getattr(network, "w_dim", generator.w_dim)
            if width != generator.w_dim:
                raise ModelError(
                    f"the encoder's latents have {width} numbers, the generator takes"
                    f" {generator.w_dim}",
                    hint="Use an encoder trained for this generator.",
                )
        if self.reads_frames:
            self.refactored(cast(StyleGANEXEncoder, encoder).feature_channels)

    @property
    def reads_frames(self) -> bool:
        """Whether the encoder gives first features of whole frames."""
        return isinstance(self.encoder, StyleGANEXEncoder)

    @property
    def _has_heads(self) -> bool:
        return cast(StyleGANEXEncoder, self.encoder).heads

    @property
    def seats_faces(self) -> bool:
        """Whether faces within frames are the generator's own, see `seated`: they are where another
        encoder reads their w+, with which the first feature of a frame has not learnt to agree."""
        return self.reads_frames and not self._has_heads

    def refactored(self, feature_channels: int) -> StyleGANEXGenerator:
        """The generator for whole frames.

        Raises:
            ModelError: it is no StyleGAN2, too small, or its first feature has another width.
        """
        base = self.generator
        if not isinstance(base, StyleGAN2Layers) or base.resolution <= FEATURE_RESOLUTION:
            raise ModelError(
                "whole frames need a StyleGAN2 generator of 64x64 or more",
                hint="Give one with `generator`, or another `encoder` for aligned faces.",
            )
        if base.channels[4] != feature_channels:
            raise ModelError(
                f"the first feature has {feature_channels} channels, the generator takes "
                f"{base.channels[4]}",
                hint="Use the generator this encoder was trained for.",
            )
        return StyleGANEXGenerator(base)

    @torch.no_grad()
    def encode(self, aligned: AlignedInput) -> Latents:
        """Step I: the encoder's answer, or the average latent without one.

        Raises:
            ModelError: the encoder was trained for a translation, not to invert, or has no heads
                and no other to give w+.
        """
        face = to_tensor(aligned.face).to(self.device)
        if not self.reads_frames:
            return Latents(self.face_w_plus(face))
        encoder = cast(StyleGANEXEncoder, self.encoder)
        if encoder.label_channels or len(encoder.net.fusion):
            raise ModelError(
                "the encoder was trained for a translation, whose skip connections latents lack",
                hint="Use `toonify translate`, or the encoder styleganex-inversion.",
            )
        frame = face if aligned.frame is None else to_tensor(aligned.frame).to(self.device)
        with self.arithmetic():
            feature = encoder.frame_features(pad_to_stride(frame)).feature.float()
        if self.seats_faces and (aligned.frame is None or aligned.crop is not None):
            own = self.refactored(encoder.feature_channels).first_feature().float()
            crop = aligned.crop
            feature = own if crop is None else seated(feature, own, unit_to_photo(crop))
        height, width = frame.shape[2:]
        return Latents(self.face_w_plus(face), feature, {}, (height, width))

    def face_w_plus(self, face: Tensor) -> Tensor:
        """w+ (1, num_ws, w_dim) of an aligned face (1, 3, 256, 256)."""
        if self.encoder is None:
            return self.generator.w_avg.float().expand(1, self.generator.num_ws, -1)
        reader = self.face_encoder
        if reader is None:
            raise ModelError(
                "the encoder reads frames alone, and none is here for their faces",
                hint="Put it into a bundle, whose encoder it was trained with.",
            )
        size = (reader.input_size, reader.input_size)
        with self.arithmetic():
            w_plus = reader.encode(F.interpolate(face, size, mode="area"), self.own_generator)
        return fit_w_plus(w_plus.float(), self.generator.num_ws)

    def renderer(self, latents: Latents) -> Generator:
        """The network that renders these latents.

        Raises:
            ModelError: it can't.
        """
        if latents.w_plus.shape[2] != self.generator.w_dim:
            raise ModelError(
                f"the latents have {latents.w_plus.shape[2]} numbers, the generator takes "
                f"{self.generator.w_dim}",
                hint="Use the generator they were made with, or one fine-tuned from it.",
            )
        if latents.feature is None:
            return self.generator
        return self.refactored(latents.feature.shape[1])

    def image(self, latents: Latents, network: Generator | None = None) -> Tensor:
        """The picture (1, 3, H, W) with its padding, differentiable, about [-1, 1].

        Args:
            network: `renderer(latents)`, given where it is called often.
        """
        network = network or self.renderer(latents)
        module = network
        known = dict(module.named_buffers())
        free = latents.feature is not None  # frames take noise of any size
        noises = {
            name: value.to(self.device)
            for name, value in latents.noises.items()
            if name in known and (free or known[name].shape == value.shape)
        }
        options: dict[str, Any] = {}
        if latents.feature is not None:
            options["feature"] = latents.feature.to(self.device)
        w_plus = fit_w_plus(latents.w_plus.to(self.device), network.num_ws)
        with self.arithmetic():
            return functional_call(module, noises, (w_plus,), options).float()

    @torch.inference_mode()
    def render(self, latents: Latents) -> Tensor:
        """The picture (1, 3, H, W), padding cut off, about [-1, 1], not clamped."""
        return self.cropped(self.image(latents), latents)

    def cropped(self, image: Tensor, latents: Latents) -> Tensor:
        """A rendered frame without what `pad_to_stride` added."""
        if latents.frame_size is None or latents.feature is None:
            return image
        scale = image.shape[2] / (latents.feature.shape[2] * STRIDE)
        height, width = (round(side * scale) for side in latents.frame_size)
        return image[:, :, :height, :width]

    def arithmetic(self) -> AbstractContextManager[object]:
        """Where networks compute in `dtype`."""
        return arithmetic(self.device, self.dtype)


def seated(feature: Tensor, constant: Tensor, place: Points) -> Tensor:
    """A frame's first feature (1, C, H, W) with a generator's constant where the face's crop lies.

    There the generator then draws what it draws of w+ alone: an aligned face.

    Args:
        constant: (1, C, 32, 32), see `StyleGANEXGenerator.first_feature`.
        place: (2, 3) from the crop, 0..1 across and down, to px of the frame.
    """
    height, width = feature.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=feature.device, dtype=torch.float32),
        torch.arange(width, device=feature.device, dtype=torch.float32),
        indexing="ij",
    )
    to_frame = torch.from_numpy(f32(place)).to(feature)
    middles = torch.stack((x, y), dim=-1) * STRIDE + (STRIDE - 1) / 2  # px of the frame
    at = (middles - to_frame[:, 2]) @ torch.linalg.inv(to_frame[:, :2]).T  # in the crop, 0..1
    inside = ((at > 0) & (at < 1)).all(dim=-1)
    there = F.grid_sample(constant, at[None] * 2 - 1, padding_mode="border", align_corners=False)
    return torch.where(inside, there, feature)
