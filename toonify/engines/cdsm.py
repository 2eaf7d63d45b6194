"""Characters by cross-domain style mixing on FFHQ crops (CDSM, see `toonify.cdsm`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from toonify.bundle import PORTRAIT, Bundle, has_parts
from toonify.cdsm import DEFAULT_LEVEL, cross_domain_styles
from toonify.checkpoints import generator_hash
from toonify.device import pick_device
from toonify.engines.head_paste import HeadPaster
from toonify.engines.mixing import MixingEngine, MixingModel
from toonify.faces import Alignment, Face, align, paste_back
from toonify.faces.alignment import silhouette_mask
from toonify.faces.matte import drawing_matte
from toonify.faces.occlusion import OcclusionMask
from toonify.faces.types import RGB, Points
from toonify.lut import CharacterTable
from toonify.models.base import Encoder, Generator
from toonify.tuning import kept_dtype
from toonify.utils.tensors import to_arrays, to_tensor


class CdsmModel(MixingModel):
    """Generator, encoder and characters that belong together, ready to draw.

    Args:
        generator: layer-swapped generator.
        encoder: photo → w+ of that generator.
        table: its characters.
        device, dtype: as of `MixingModel`.
    """

    table: CharacterTable

    def __init__(
        self,
        *,
        generator: Generator,
        encoder: Encoder,
        table: CharacterTable,
        device: str | torch.device = "auto",
        dtype: str = "auto",
    ) -> None:
        super().__init__(generator, encoder, table, device=device, dtype=dtype)
        self.generator, self.encoder = generator, encoder

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        *,
        device: str | torch.device = "auto",
        dtype: str = "auto",
    ) -> CdsmModel:
        """Load a shipped bundle by name, or one from a folder.

        Raises:
            ModelError: the bundle can't be loaded. UsageError: no such device or dtype.
        """
        chosen = pick_device(device)
        loaded = Bundle.load(bundle, device=chosen)
        return cls(
            generator=loaded.generator,
            encoder=loaded.encoder,
            table=loaded.table,
            device=chosen,
            dtype=kept_dtype(chosen, bundle) if dtype == "auto" else dtype,
        )

    @property
    def characters(self) -> tuple[str, ...]:
        """Names in the look-up table."""
        return self.table.names

    def _network_hashes(self) -> dict[str, str]:
        """The generator's is the table's: they were checked against each other."""
        hashes = {"generator": self.table.generator_hash}
        return hashes | {"encoder": generator_hash(self.encoder)}

    def mixes_colors(self, level: int) -> bool:
        """Whether `trgb` and `color` change anything: with color layers below the level, from
        which on all is the character's. A compact generator has one, its last."""
        layers = self.generator.layers
        return any(layer.kind == "rgb" and layer.latent_index < level for layer in layers)

    @torch.inference_mode()
    def encode(self, crops: Sequence[RGB]) -> Tensor:
        """Aligned (S, S, 3) uint8 crops → w+ (B, num_ws, w_dim) float32."""
        size = self.encoder.input_size
        photos = torch.cat([_resized(crop, size) for crop in crops]).to(self.device)
        with self.autocast():
            w_plus = self.encoder.encode(photos, self.generator)
        return w_plus.float()

    @torch.inference_mode()
    def render(
        self,
        w_photo: Tensor,
        character: str,
        *,
        level: int = DEFAULT_LEVEL,
        trgb: bool = True,
        color: float = 1.0,
    ) -> list[RGB]:
        """w+ (B, num_ws, w_dim) → B drawings, (R, R, 3) uint8.

        Raises:
            UsageError: unknown character, or options out of range.
        """
        w_character = self.table[character].w_plus[None].to(self.device)
        styles = cross_domain_styles(
            self.generator, w_photo, w_character, level=level, trgb=trgb, color=color
        )
        with self.autocast():
            images = self.generator.synthesize(styles)
        return to_arrays(images)


class CdsmEngine(MixingEngine[CdsmModel]):
    """Draws people as characters: each FFHQ crop by style mixing, pasted back as a head.

    Args:
        model: networks and characters.
        bundle: whose small networks tell hair and hats when a head is pasted; None pastes by the
            drawing's silhouette.
        options: as of `MixingEngine`.
    """

    name = "cdsm"
    clears_hair = True

    def __init__(
        self,
        model: CdsmModel,
        *,
        bundle: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, **options)
        self._occlusion = OcclusionMask()

        @cache
        def paster() -> HeadPaster | None:
            known = bundle is not None and has_parts(bundle, PORTRAIT)
            return HeadPaster.from_bundle(bundle or "default") if known else None

        self._paster = paster

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        *,
        device: str | torch.device = "auto",
        dtype: str = "auto",
        **options: Any,
    ) -> CdsmEngine:
        """On a bundle's generator, encoder and characters; `options` as of the class.

        Raises:
            ModelError: the bundle can't be loaded. UsageError: no such device or dtype.
        """
        model = CdsmModel.from_bundle(bundle, device=device, dtype=dtype)
        return cls(model, bundle=bundle, **options)

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """FFHQ crop of the face at the generator's resolution."""
        return align(rgb, face, self.model.generator.resolution)

    def _codes(self, faces: Sequence[RGB]) -> Tensor:
        return self.model.encode(faces)

    def _render(self, images: Sequence[RGB], w_plus: Tensor, character: str) -> list[RGB]:
        return self.model.render(
            w_plus, character, level=self.level, trgb=self.trgb, color=self.color
        )

    def paste(self, rgb: RGB, toon: RGB, region: Alignment) -> RGB:
        """The drawing's whole head on the person's neck, where the bundle holds the networks that
        tell hair and hats, else by its silhouette."""
        paster = self._paster() or paste_back
        return paster(rgb, toon, region)

    def matte(self, region: Alignment, toon: RGB) -> Points | None:
        """The drawing before its plain background."""
        return drawing_matte(toon)

    def occlusion(self, region: Alignment) -> Points:
        """Hands and things before the face."""
        return self._occlusion(region.image)

    def mask(self, matte: Points) -> Points:
        """Fading at the bottom."""
        return silhouette_mask(matte)


def _resized(crop: RGB, size: int) -> Tensor:
    """(H, W, 3) uint8 → (1, 3, size, size) in [-1, 1]."""
    x = to_tensor(crop)
    if x.shape[-2:] == (size, size):
        return x
    shrinking = min(x.shape[-2:]) >= size
    return torch.nn.functional.interpolate(
        x,
        size=(size, size),
        mode="area" if shrinking else "bilinear",
        align_corners=None if shrinking else False,
    )
