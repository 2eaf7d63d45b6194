"""Characters by cross-domain style mixing on FFHQ crops (CDSM, see `toonify.cdsm`)."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from toonify.bundle import PORTRAIT, Bundle, has_parts
from toonify.cdsm import DEFAULT_LEVEL, cross_domain_styles
from toonify.checkpoints import generator_hash
from toonify.device import pick_device
from toonify.engines.base import Engine
from toonify.engines.head_paste import HeadPaster
from toonify.faces import Alignment, Face, FaceDetector, align, get_detector, paste_back
from toonify.faces.alignment import silhouette_mask
from toonify.faces.matte import drawing_matte
from toonify.faces.occlusion import OcclusionMask
from toonify.faces.types import RGB, Points, f32
from toonify.inversion.frames import check_finite
from toonify.lut import CharacterTable
from toonify.models.base import Encoder, Generator
from toonify.tuning import choose_dtype, kept_dtype

T = TypeVar("T")


class CdsmModel:
    """Generator, encoder and characters that belong together, ready to draw.

    Args:
        generator: layer-swapped generator; it is moved to `device`.
        encoder: photo → w+ of that generator.
        table: its characters.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        dtype: "auto", "float32", "bfloat16" or "float16", of the generator's arithmetic.
    """

    def __init__(
        self,
        *,
        generator: Generator,
        encoder: Encoder,
        table: CharacterTable,
        device: str | torch.device = "auto",
        dtype: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        self.dtype = choose_dtype(dtype, self.device, generator, encoder)
        self.generator, self.encoder, self.table = generator, encoder, table
        self._hashes: dict[str, str] = {}
        for network in (generator, encoder):
            network.eval().requires_grad_(False)
            network.to(self.device).to(memory_format=torch.channels_last)

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

    def identity(self, character: str) -> dict[str, str]:
        """What tells drawings of a character by these networks from others, JSON-able."""
        if not self._hashes:
            self._hashes = {
                "generator": self.table.generator_hash,
                "encoder": generator_hash(self.encoder),
            }
        code = self.table[character].w_plus.float().cpu().numpy().tobytes()
        return self._hashes | {"code": hashlib.sha256(code).hexdigest()}

    def mixes_colors(self, level: int) -> bool:
        """Whether `trgb` and `color` change anything: with color layers below the level, from
        which on all is the character's. A compact generator has one, its last."""
        layers = self.generator.layers
        return any(layer.kind == "rgb" and layer.latent_index < level for layer in layers)

    @torch.inference_mode()
    def encode(self, crops: Sequence[RGB]) -> Tensor:
        """Aligned (S, S, 3) uint8 crops → w+ (B, num_ws, w_dim) float32."""
        size = self.encoder.input_size
        photos = torch.cat([_to_tensor(crop, size) for crop in crops]).to(self.device)
        with self._autocast():
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
        with self._autocast():
            images = self.generator.synthesize(styles)
        return _to_arrays(images)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


class CdsmEngine(Engine):
    """Draws people as characters: each FFHQ crop by style mixing, pasted back as a head.

    Args:
        model: networks and characters.
        detector: finds faces; None takes the default one on first use.
        bundle: whose small networks tell hair and hats when a head is pasted; None pastes by the
            drawing's silhouette.
        level: m of cross-domain style mixing, 0 (all character) to num_ws (all photo).
        trgb: replace the tRGB styles by the character's.
        color: how far they are replaced, 0 to 1.
        landmarks: name of the detector to take when `detector` is None.
        offline: never fetch a detector's weights.
        min_face: height in px of the smallest faces that are looked for; None takes a 120th of a
            photograph's longest side, at least 24.
        batch_size: faces drawn together.
    """

    name = "cdsm"
    clears_hair = True

    def __init__(
        self,
        model: CdsmModel,
        *,
        detector: FaceDetector | None = None,
        bundle: str | os.PathLike[str] | None = None,
        level: int = DEFAULT_LEVEL,
        trgb: bool = True,
        color: float = 1.0,
        landmarks: str = "auto",
        offline: bool = True,
        min_face: float | None = None,
        batch_size: int = 8,
    ) -> None:
        self.model, self.batch_size = model, batch_size
        self.level, self.trgb, self.color = level, trgb, color
        self._landmarks, self._min_face = landmarks, min_face

        @cache  # shared by copies with other options
        def find() -> FaceDetector:
            if detector is not None:
                return detector
            device = str(model.device)
            return get_detector(landmarks, device=device, offline=offline, min_face=min_face)

        self._find = find
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

    def mixing(self, *, level: int, trgb: bool = True, color: float = 1.0) -> CdsmEngine:
        """The same engine with other options of mixing; networks and detector are shared."""
        other = copy.copy(self)
        other.level, other.trgb, other.color = level, trgb, color
        return other

    @property
    def characters(self) -> tuple[str, ...]:
        """Names in the look-up table."""
        return self.model.table.names

    @property
    def detector(self) -> FaceDetector:
        """The face detector, made on first use."""
        return self._find()

    def identity(self, character: str) -> dict[str, Any]:
        """Networks, code and the detector's name."""
        return {**self.model.identity(character), "landmarks": self._landmarks}

    def settings(self) -> dict[str, Any]:
        """The mixing, and what it is computed in."""
        return {
            "level": self.level,
            "trgb": self.trgb,
            "color": self.color,
            "min_face": self._min_face,
            "landmarks": self.detector.name,
            "device": str(self.model.device),
            "dtype": str(self.model.dtype),
        }

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """FFHQ crop of the face at the generator's resolution."""
        return align(rgb, face, self.model.generator.resolution)

    def encode(self, regions: Sequence[Alignment]) -> Points:
        """w+ (N, num_ws, w_dim)."""
        parts = [
            self.model.encode([region.image for region in part]).cpu().numpy()
            for part in chunks(regions, self.batch_size)
        ]
        return f32(np.concatenate(parts))

    def render(
        self, regions: Sequence[Alignment], codes: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """Drawings at the generator's resolution."""
        drawn: dict[int, RGB] = {}
        for name in sorted(set(characters)):
            rows = [row for row, wanted in enumerate(characters) if wanted == name]
            for part in chunks(rows, self.batch_size):
                w_plus = torch.from_numpy(codes[part]).to(self.model.device)
                toons = self.model.render(
                    w_plus, name, level=self.level, trgb=self.trgb, color=self.color
                )
                drawn.update(zip(part, toons, strict=True))
        return [drawn[row] for row in range(len(characters))]

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


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """`items` in parts of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), max(size, 1))]


def _to_tensor(crop: RGB, size: int) -> Tensor:
    """(H, W, 3) uint8 → (1, 3, size, size) in [-1, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None].float() / 127.5 - 1
    if x.shape[-2:] == (size, size):
        return x
    shrinking = min(x.shape[-2:]) >= size
    return torch.nn.functional.interpolate(
        x,
        size=(size, size),
        mode="area" if shrinking else "bilinear",
        align_corners=None if shrinking else False,
    )


def _to_arrays(images: Tensor) -> list[RGB]:
    """(B, 3, H, W) in [-1, 1] → B arrays (H, W, 3) uint8."""
    check_finite(images)
    x = (images.float().clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return list(x.permute(0, 2, 3, 1).cpu().numpy())
