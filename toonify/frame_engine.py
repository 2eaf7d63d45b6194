"""Whole frames in, whole frames with drawn characters out: StyleGANEX (arXiv 2303.06146)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from toonify.bundle import FRAMES, bundle_folder, load_frame_parts, part_path, read_manifest
from toonify.cdsm import cross_domain_styles
from toonify.checkpoints import load_networks
from toonify.device import pick_device
from toonify.engine import DEFAULT_LEVEL
from toonify.errors import ModelError, UsageError
from toonify.faces.types import RGB
from toonify.inversion.latents import fit_codes
from toonify.lut import CharacterTable
from toonify.models.protocol import Generator
from toonify.models.stylegan2 import StyleGAN2Generator
from toonify.models.styleganex import StyleGANEXGenerator
from toonify.models.styleganex_encoder import STRIDE, StyleGANEXEncoder, composite
from toonify.names import unknown_name
from toonify.tuning import choose_dtype

FACE = 256  # px, side of the aligned crops that w+ is read from


class FrameToonifier:
    """Draws the people of frames with a StyleGANEX encoder and generator.

    Args:
        generator: in StyleGAN2's layout; it is refactored, not copied.
        encoder: trained for video toonification with it.
        table: codes of characters; None where the generator has one style of its own.
        style: what that one is called.
        device, dtype: as of `Toonifier`.

    Raises:
        ModelError: the networks don't fit each other, or the encoder is not of that kind.
    """

    def __init__(
        self,
        *,
        generator: StyleGAN2Generator,
        encoder: StyleGANEXEncoder,
        table: CharacterTable | None = None,
        style: str = "toon",
        device: str = "auto",
        dtype: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        self.dtype = choose_dtype(dtype, self.device, generator, encoder)
        if encoder.label_channels or encoder.has_direction or not len(encoder.net.fusion):
            raise ModelError(
                "the encoder was not trained to toonify frames",
                hint="Train one: toonify train-encoder --task video-toonify.",
            )
        if encoder.feature_channels != generator.channels[4]:
            raise ModelError("the encoder was trained for another generator")
        self.network, self.encoder = StyleGANEXGenerator(generator), encoder
        self.table, self._style = table, style
        for module in (self.network, encoder):
            module.eval().requires_grad_(False)
            module.to(self.device).to(memory_format=torch.channels_last)

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        *,
        device: str = "auto",
        dtype: str = "auto",
    ) -> FrameToonifier:
        """Load a bundle's `FRAMES`.

        Raises:
            ModelError: it has none, or they can't be loaded.
        """
        generator, encoder = load_frame_parts(bundle, FRAMES, device=pick_device(device))
        folder = bundle_folder(bundle)
        table = CharacterTable.load(part_path(folder, read_manifest(folder), "characters"))
        return cls(generator=generator, encoder=encoder, table=table, device=device, dtype=dtype)

    @classmethod
    def from_checkpoint(
        cls, path: str | os.PathLike[str], *, device: str = "auto", dtype: str = "auto"
    ) -> FrameToonifier:
        """Load an official `styleganex_toonify_*.pt`, a file or a registry name.

        Raises:
            ModelError: it is none.
        """
        encoder, generator = load_networks(path, device=pick_device(device))
        if not isinstance(encoder, StyleGANEXEncoder) or not isinstance(
            generator, StyleGAN2Generator
        ):
            raise ModelError(
                f"{path} holds no StyleGANEX encoder with its generator",
                hint="Give a checkpoint for toonification: styleganex-toonify-cartoon, say.",
            )
        style = Path(path).stem.removeprefix("styleganex").strip("-_") or "toon"
        return cls(generator=generator, encoder=encoder, style=style, device=device, dtype=dtype)

    @property
    def crop(self) -> int:
        """Side, in px of a frame, of the FFHQ crop of a face as large as in training."""
        return self.encoder.crop

    @property
    def mixes(self) -> bool:
        """Whether level, trgb and color have a part in the drawing."""
        return self.table is not None and self.encoder.heads

    @property
    def characters(self) -> tuple[str, ...]:
        """What frames can be drawn as."""
        return (self._style,) if self.table is None else self.table.names

    @torch.inference_mode()
    def encode(self, faces: Sequence[RGB]) -> Tensor:
        """Aligned crops (256, 256, 3) uint8 → w+ (B, num_ws, w_dim) float32."""
        images = self._tensor(faces)
        with self._autocast():
            codes = self.encoder.encode(images).float()
        return fit_codes(codes, self.network.num_ws)

    @torch.inference_mode()
    def render(
        self,
        frames: Sequence[RGB],
        w_photo: Tensor,
        character: str,
        *,
        level: int = DEFAULT_LEVEL,
        trgb: bool = True,
        color: float = 1.0,
    ) -> list[RGB]:
        """Frames with their people drawn.

        Args:
            frames: (H, W, 3) uint8 RGB of one size, multiples of 8, faces as large as in training
                (`crop`).
            w_photo: (B, num_ws, w_dim), `encode`'s.
            character: one of `characters`.
            level, trgb, color: as in `Toonifier.render`; they have no part without a table, nor
                where the encoder gives no w+ and all of it is the character's.

        Returns:
            (H·scale, W·scale, 3) uint8 each.

        Raises:
            UsageError: unknown character, or options out of range.
        """
        if character not in self.characters:
            raise unknown_name("character", character, self.characters)
        if self.table is None:
            styles = self.network.styles(w_photo)
        else:
            own = self.table[character].w_plus[None].to(w_photo)
            styles = cross_domain_styles(
                cast(Generator, self.network),
                w_photo,
                fit_codes(own, self.network.num_ws),
                level=level if self.encoder.heads else 0,
                trgb=trgb and self.encoder.heads,
                color=color,
            )
        images = self._tensor(frames)
        if images.shape[2] % STRIDE or images.shape[3] % STRIDE:
            raise UsageError(f"frames must be multiples of {STRIDE} px")
        with self._autocast():
            drawn, matte = self.encoder.draw(self.network, images, styles, noise="zero")
        if matte is not None:
            drawn = composite(drawn.float(), images, matte.float())
        pixels = (drawn.float().clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
        return list(pixels.permute(0, 2, 3, 1).cpu().numpy())

    def _tensor(self, images: Sequence[RGB]) -> Tensor:
        stacked = torch.from_numpy(np.ascontiguousarray(np.stack(images)))
        return stacked.permute(0, 3, 1, 2).to(self.device).float() / 127.5 - 1

    def _autocast(self) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)
