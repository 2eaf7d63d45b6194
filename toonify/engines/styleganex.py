"""Characters drawn into whole frames by StyleGANEX (arXiv 2303.06146)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from toonify.bundle import FRAMES, bundle_folder, load_frame_parts, part_path, read_manifest
from toonify.cdsm import DEFAULT_LEVEL, cross_domain_styles
from toonify.checkpoints import generator_hash, load_networks
from toonify.device import pick_device
from toonify.engines.mixing import MixingEngine, MixingModel
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces import Alignment, Face, align
from toonify.faces.alignment import ffhq_quad
from toonify.faces.types import RGB, Points, f32
from toonify.inversion.latents import fit_w_plus
from toonify.lut import CharacterTable
from toonify.models.encoders.styleganex import STRIDE, StyleGANEXEncoder, composite
from toonify.models.generators.stylegan2 import StyleGAN2Layers
from toonify.models.generators.styleganex import StyleGANEXGenerator
from toonify.names import unknown_name
from toonify.utils.ramps import smoothstep
from toonify.utils.tensors import stacked, start_download, uploaded

FACE = 256  # px, side of the aligned crops that w+ is read from
REACH = 1.5  # side of the part that is drawn, in sides of the face's FFHQ crop
LIFT = 0.06  # of that part's center above the crop's, in crop sides: hair is above, body below
EDGE = 0.08  # of its side, over which it fades into the frame
SEEN = (9.0, 26.0)  # levels of difference from the frame that begin to count, and count fully
CLOSE = 0.035  # of its side: gaps in a drawing up to this wide are drawn too


class StyleGANEXModel(MixingModel):
    """A StyleGANEX encoder and generator that draw the people of frames.

    Args:
        generator: in StyleGAN2's layout; it is refactored, not copied.
        encoder: trained for video toonification with it.
        table: latents of characters; None where the generator has one style of its own.
        style: what that one is called.
        device, dtype: as of `CdsmModel`.

    Raises:
        ModelError: the networks don't fit each other, or the encoder is not of that kind.
    """

    def __init__(
        self,
        *,
        generator: StyleGAN2Layers,
        encoder: StyleGANEXEncoder,
        table: CharacterTable | None = None,
        style: str = "toon",
        device: str | torch.device = "auto",
        dtype: str = "auto",
    ) -> None:
        if encoder.label_channels or encoder.has_direction or not len(encoder.net.fusion):
            raise ModelError(
                "the encoder was not trained to toonify frames",
                hint="Train one with `toonify train-encoder`.",
            )
        if encoder.feature_channels != generator.channels[4]:
            raise ModelError("the encoder was trained for another generator")
        self.network, self.encoder, self._style = StyleGANEXGenerator(generator), encoder, style
        super().__init__(self.network, encoder, table, device=device, dtype=dtype)
        self._encode, self._draw = self._replayed(self._encoded), self._replayed(self._drawn)

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        *,
        device: str | torch.device = "auto",
        dtype: str = "auto",
    ) -> StyleGANEXModel:
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
        cls,
        path: str | os.PathLike[str],
        *,
        device: str | torch.device = "auto",
        dtype: str = "auto",
    ) -> StyleGANEXModel:
        """Load an official `styleganex_toonify_*.pt`, a file or a registry name.

        Raises:
            ModelError: it is none.
        """
        encoder, generator = load_networks(path, device=pick_device(device))
        if not isinstance(encoder, StyleGANEXEncoder) or not isinstance(generator, StyleGAN2Layers):
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

    def _network_hashes(self) -> dict[str, str]:
        hashes = {"generator": generator_hash(self.network.base)}
        return hashes | {"encoder": generator_hash(self.encoder)}

    @torch.inference_mode()
    def encode(self, faces: Sequence[RGB]) -> Tensor:
        """Aligned crops (256, 256, 3) uint8 → w+ (B, num_ws, w_dim) float32."""
        images = stacked(faces, self.device)
        return fit_w_plus(self._encode(images), self.network.num_ws)

    def _encoded(self, images: Tensor) -> Tensor:
        with self.autocast():
            return self.encoder.encode(images).float()

    def _drawn(self, images: Tensor, *styles: Tensor) -> tuple[Tensor | None, ...]:
        with self.autocast():
            return self.encoder.draw(self.network, images, styles, noise="zero")

    def render(
        self, frames: Sequence[RGB], w_photo: Tensor, character: str, **options: Any
    ) -> list[RGB]:
        """Frames with their people drawn, (H·scale, W·scale, 3) uint8 each; arguments as of
        `start`."""
        return self.start(frames, w_photo, character, **options)()

    @torch.inference_mode()
    def start(
        self,
        frames: Sequence[RGB],
        w_photo: Tensor,
        character: str,
        *,
        level: int = DEFAULT_LEVEL,
        trgb: bool = True,
        color: float = 1.0,
    ) -> Callable[[], list[RGB]]:
        """Begin to draw the people of frames.

        Args:
            frames: (H, W, 3) uint8 RGB of one size, multiples of 8, faces as large as in training
                (`crop`).
            w_photo: (B, num_ws, w_dim), `encode`'s.
            character: one of `characters`.
            level, trgb, color: as in `CdsmModel.render`; they have no part without a table, nor
                where the encoder gives no w+ and all of it is the character's.

        Returns:
            what waits for the frames, (H·scale, W·scale, 3) uint8 each.

        Raises:
            UsageError: unknown character, or options out of range.
        """
        if character not in self.characters:
            raise unknown_name("character", character, self.characters)
        w_photo = uploaded(w_photo, self.device)
        if self.table is None:
            styles = self.network.styles(w_photo)
        else:
            own = uploaded(self.table[character].w_plus[None], self.device).to(w_photo.dtype)
            styles = cross_domain_styles(
                self.network,
                w_photo,
                fit_w_plus(own, self.network.num_ws),
                level=level if self.encoder.heads else 0,
                trgb=trgb and self.encoder.heads,
                color=color,
            )
        images = stacked(frames, self.device)
        if images.shape[2] % STRIDE or images.shape[3] % STRIDE:
            raise UsageError(f"frames must be multiples of {STRIDE} px")
        drawn, matte = self._draw(images, *styles)
        assert drawn is not None
        if matte is not None:
            drawn = composite(drawn.float(), images, matte.float())
        return start_download(drawn)


class StyleGANEXEngine(MixingEngine[StyleGANEXModel]):
    """Draws people where they stand in a frame, by StyleGANEX's encoder and generator.

    A region is not turned and not aligned, so the landmarks' noise moves nothing; where the
    network leaves the frame alone, the frame's own pixels stay. Arguments are those of
    `MixingEngine`; `level`, `trgb` and `color` count where the model `mixes`.
    """

    name = "styleganex"
    keeps_latents = True

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str | torch.device = "auto",
        dtype: str = "auto",
        **options: Any,
    ) -> StyleGANEXEngine:
        """On a bundle's whole-frame networks; `options` as of the class.

        Args:
            checkpoint: an official StyleGANEX checkpoint for toonification instead of the
                bundle's, a file or a registry name.

        Raises:
            ModelError: the bundle or checkpoint has no such networks, or they can't be loaded.
        """
        if checkpoint is not None:
            model = StyleGANEXModel.from_checkpoint(checkpoint, device=device, dtype=dtype)
        else:
            model = StyleGANEXModel.from_bundle(bundle, device=device, dtype=dtype)
        return cls(model, **options)

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """An upright square around the head, its face as large as in training."""
        quad = ffhq_quad(face).astype(np.float64)
        crop = float(np.hypot(*(quad[3] - quad[0])))
        up = (quad[0] - quad[1]) / crop
        middle = quad.mean(0) + LIFT * crop * up
        size = round(self.model.crop * REACH / 8) * 8
        scale = crop / self.model.crop  # photo px a region px
        corner = middle - scale * (size - 1) / 2
        matrix = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
        reach = scale * size
        if not (-reach < corner[0] < rgb.shape[1] and -reach < corner[1] < rgb.shape[0]):
            raise InputError("a face lies outside the picture")
        return Alignment(image=_cut(rgb, matrix, size), matrix=matrix, face=face)

    def _face(self, region: Alignment) -> RGB:
        return align(region.image, region.face_in_crop, FACE).image

    def _latents(self, faces: Sequence[RGB]) -> Tensor:
        return self.model.encode(faces)

    def _render(
        self, images: Sequence[RGB], w_plus: Tensor, character: str
    ) -> Callable[[], list[RGB]]:
        return self.model.start(
            images, w_plus, character, level=self.level, trgb=self.trgb, color=self.color
        )

    def matte(self, region: Alignment, toon: RGB) -> Points:
        """Where the drawing differs from the frame, the face's own part of it without holes."""
        size = region.image.shape[0]
        small = cv2.resize(toon, (size, size), interpolation=cv2.INTER_AREA)
        sigma = size / 192
        soft, seen = (cv2.GaussianBlur(f32(x), (0, 0), sigma) for x in (small, region.image))
        low, high = SEEN
        change = np.clip((np.abs(soft - seen).max(2) - low) / (high - low), 0, 1)
        matte, side = _one_piece(f32(change), region), toon.shape[0]
        if side == size:
            return matte
        return f32(cv2.resize(matte, (side, side), interpolation=cv2.INTER_LINEAR))

    def occlusion(self, region: Alignment) -> None:
        """None: the network draws whole regions, with what stands before the face as it is."""

    def mask(self, matte: Points) -> Points:
        """The matte, faded towards the region's edges."""
        at = (np.arange(matte.shape[0]) + 0.5) / matte.shape[0]
        ramp = smoothstep(np.minimum(at, 1 - at) / EDGE)
        return f32(matte * np.outer(ramp, ramp))


def _cut(rgb: RGB, matrix: np.ndarray, size: int) -> RGB:
    """The region, averaged where the frame is larger; beyond the frame it is mirrored."""
    zoom = float(matrix[0, 0])
    times = max(int(np.ceil(zoom - 0.2)), 1)
    fine = matrix.copy()
    fine[:, :2] /= times
    fine[:, 2] -= (times - 1) / (2 * times) * zoom
    image = cv2.warpAffine(
        rgb,
        fine,
        (size * times, size * times),
        flags=(cv2.INTER_CUBIC if zoom < 1 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    if times > 1:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(image, np.uint8)


def _one_piece(change: Points, region: Alignment) -> Points:
    """The part of a change (S, S) that the face lies in, gaps closed and holes filled."""
    size = change.shape[0]
    gap = max(3, round(CLOSE * size) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap, gap))
    certain = cv2.morphologyEx((change > 0.5).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    count, labels = cv2.connectedComponents(certain)
    if count < 2:
        return f32(np.zeros_like(change))
    x, y = region.to_crop(f32(region.face.points5.mean(0)[None]))[0]
    near = int(size * 0.12)
    rows = slice(max(int(y) - near, 0), max(int(y) + near, 1))
    columns = slice(max(int(x) - near, 0), max(int(x) + near, 1))
    here = labels[rows, columns]
    tally = np.bincount(here[here > 0], minlength=count) if here.size else np.zeros(count)
    own = int(tally.argmax()) if tally.any() else 0
    if not own:
        return f32(np.zeros_like(change))
    outlines, _ = cv2.findContours(
        (labels == own).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    whole = cv2.drawContours(np.zeros((size, size), np.uint8), outlines, -1, 1, cv2.FILLED)
    whole = cv2.dilate(whole, np.ones((3, 3), np.uint8), iterations=max(1, size // 128))
    return f32(cv2.GaussianBlur(f32(whole), (0, 0), size / 160))
