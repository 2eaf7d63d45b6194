"""Photos in, cartoons out: the one object most people need."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import cast, overload

import numpy as np
import torch
from PIL.Image import Image as PILImage
from torch import Tensor

from toonify.bundle import PORTRAIT, Bundle, has_parts
from toonify.cdsm import cross_domain_styles
from toonify.checkpoints import generator_hash
from toonify.device import pick_device
from toonify.engines.head_paste import HeadPaster
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces import Alignment, Face, FaceDetector, align, get_detector, paste_back
from toonify.inversion.frames import check_finite
from toonify.lut import CharacterTable
from toonify.models.encoders import Encoder
from toonify.models.protocol import Generator
from toonify.portrait import PortraitEngine, bundle_styles
from toonify.portrait.backgrounds import Background
from toonify.tuning import choose_dtype, kept_dtype

DEFAULT_LEVEL = 6
Photo = np.ndarray | PILImage | str | os.PathLike[str]


class Toonifier:
    """Turns photographs into drawings: styles that keep the person, and characters.

    Args:
        generator: layer-swapped generator, already on `device`.
        encoder: photo → w+ of that generator.
        table: its characters.
        detector: finds faces; None takes the default one on first use.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        dtype: "auto", "float32", "bfloat16" or "float16", of the generator's arithmetic.
        landmarks: name of the detector to take when `detector` is None.
        offline: never fetch a detector's weights.
        min_face: height in px of the smallest faces that are looked for; None takes a 120th of a
            photograph's longest side, at least 24.
    """

    def __init__(
        self,
        *,
        generator: Generator,
        encoder: Encoder,
        table: CharacterTable,
        detector: FaceDetector | None = None,
        device: str = "auto",
        dtype: str = "auto",
        landmarks: str = "auto",
        offline: bool = True,
        min_face: float | None = None,
    ) -> None:
        self.device = pick_device(device)
        self.dtype = choose_dtype(dtype, self.device, generator, encoder)
        self.generator, self.encoder, self.table = generator, encoder, table
        self._detector = detector
        self._landmarks, self._offline, self._min_face = landmarks, offline, min_face
        self._hashes: dict[str, str] = {}
        self._bundle: str | os.PathLike[str] | None = None
        self._paster: HeadPaster | None = None
        self._portraits: PortraitEngine | None = None
        for network in (generator, encoder):
            if isinstance(network, torch.nn.Module):
                network.eval().requires_grad_(False)
                network.to(self.device).to(memory_format=torch.channels_last)

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        *,
        device: str = "auto",
        dtype: str = "auto",
        landmarks: str = "auto",
        offline: bool = True,
        min_face: float | None = None,
    ) -> Toonifier:
        """Load a shipped bundle by name, or one from a folder.

        Raises:
            ModelError: the bundle can't be loaded. UsageError: no such device or dtype.
        """
        chosen = pick_device(device)
        loaded = Bundle.load(bundle, device=chosen)
        engine = cls(
            generator=loaded.generator,
            encoder=loaded.encoder,
            table=loaded.table,
            device=device,
            dtype=kept_dtype(chosen, bundle) if dtype == "auto" else dtype,
            landmarks=landmarks,
            offline=offline,
            min_face=min_face,
        )
        engine._bundle = bundle
        return engine

    @property
    def characters(self) -> tuple[str, ...]:
        """Names in the look-up table."""
        return self.table.names

    @property
    def portraits(self) -> PortraitEngine:
        """What draws in styles, made on first use.

        Raises:
            ModelError: the bundle offers none.
        """
        if self._portraits is None:
            if self._bundle is None:
                raise ModelError(
                    "this engine was made without a bundle, and has no styles",
                    hint="Name a character, or make it by from_bundle.",
                )
            self._portraits = PortraitEngine.from_bundle(
                self._bundle, landmarks=self._landmarks, offline=self._offline
            )
        return self._portraits

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the bundle's styles, its default first; empty where it has none."""
        return () if self._bundle is None else bundle_styles(self._bundle)

    def identity(self, character: str) -> dict[str, str]:
        """What tells this engine's drawings of a character from another's, JSON-able."""
        if not self._hashes:
            self._hashes = {
                "generator": self.table.generator_hash,
                "encoder": generator_hash(cast(torch.nn.Module, self.encoder)),
            }
        code = self.table[character].w_plus.float().cpu().numpy().tobytes()
        return self._hashes | {
            "code": hashlib.sha256(code).hexdigest(),
            "landmarks": self._landmarks,
        }

    @property
    def detector(self) -> FaceDetector:
        """The face detector, made on first use."""
        if self._detector is None:
            self._detector = get_detector(
                self._landmarks,
                device=str(self.device),
                offline=self._offline,
                min_face=self._min_face,
            )
        return self._detector

    def mixes_colors(self, level: int) -> bool:
        """Whether `trgb` and `color` change anything: with color layers below the level, from
        which on all is the character's. A compact generator has one, its last."""
        layers = self.generator.layers
        return any(layer.kind == "rgb" and layer.latent_index < level for layer in layers)

    def detect(self, image: np.ndarray, *, largest: bool = False) -> list[Face]:
        """Faces of an (H, W, 3) uint8 RGB picture, largest first.

        Args:
            largest: only the first one is wanted, so that small ones need not be looked for.
        """
        return self.detector.detect_largest(image) if largest else self.detector.detect(image)

    def smallest_face(self, image: np.ndarray) -> float:
        """Height in px of the smallest faces that are looked for; 0 where that is not known."""
        return self.detector.smallest(max(image.shape[:2]))

    def align(self, image: np.ndarray, face: Face) -> Alignment:
        """FFHQ crop of one face at the generator's resolution."""
        return align(image, face, self.generator.resolution)

    def paste(self, image: np.ndarray, toon: np.ndarray, alignment: Alignment) -> np.ndarray:
        """Put a cartoon back where its crop came from: its whole head on the person's neck, where
        the bundle holds the networks that tell hair and hats, else by its silhouette."""
        known = self._paster is not None or self._bundle is None
        if not known and has_parts(self._bundle or "default", PORTRAIT):
            self._paster = HeadPaster.from_bundle(self._bundle or "default")
        if self._paster is None:
            return paste_back(image, toon, alignment)
        return self._paster(image, toon, alignment)

    @torch.inference_mode()
    def encode(self, crops: Sequence[np.ndarray]) -> Tensor:
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
    ) -> list[np.ndarray]:
        """Codes (B, num_ws, w_dim) → B cartoons, (R, R, 3) uint8."""
        w_character = self.table[character].w_plus[None].to(self.device)
        styles = cross_domain_styles(
            self.generator, w_photo, w_character, level=level, trgb=trgb, color=color
        )
        with self._autocast():
            images = self.generator.synthesize(styles)
        return _to_arrays(images)

    def stylize_crops(
        self,
        crops: Sequence[np.ndarray],
        characters: Sequence[str],
        *,
        level: int = DEFAULT_LEVEL,
        trgb: bool = True,
        color: float = 1.0,
        batch_size: int = 8,
    ) -> list[list[np.ndarray]]:
        """Aligned crops → for each crop, one cartoon a character.

        Args:
            crops: (S, S, 3) uint8 RGB, FFHQ-aligned, any S.
            batch_size: crops that go through the networks together.

        Raises:
            UsageError: unknown character, or options out of range.
        """
        for name in characters:
            _ = self.table[name]
        results: list[list[np.ndarray]] = []
        for start in range(0, len(crops), max(1, batch_size)):
            w_photo = self.encode(crops[start : start + max(1, batch_size)])
            drawn = [
                self.render(w_photo, name, level=level, trgb=trgb, color=color)
                for name in characters
            ]
            results += [list(row) for row in zip(*drawn, strict=True)]
        return results

    @overload
    def stylize(
        self,
        image: Photo,
        *,
        character: str | None = ...,
        style: str | None = ...,
        level: int = ...,
        trgb: bool = ...,
        color: float = ...,
        aligned: bool = ...,
        paste: bool = ...,
        background: Background = ...,
        batch_size: int = ...,
    ) -> np.ndarray: ...
    @overload
    def stylize(
        self,
        image: list[Photo],
        *,
        character: str | None = ...,
        style: str | None = ...,
        level: int = ...,
        trgb: bool = ...,
        color: float = ...,
        aligned: bool = ...,
        paste: bool = ...,
        background: Background = ...,
        batch_size: int = ...,
    ) -> list[np.ndarray]: ...
    def stylize(
        self,
        image: Photo | list[Photo],
        *,
        character: str | None = None,
        style: str | None = None,
        level: int = DEFAULT_LEVEL,
        trgb: bool = True,
        color: float = 1.0,
        aligned: bool = False,
        paste: bool = False,
        background: Background = "draw",
        batch_size: int = 8,
    ) -> np.ndarray | list[np.ndarray]:
        """Toonify whole photographs: in a style that keeps the person, or as a character.

        Args:
            image: (H, W, 3) uint8 RGB, a PIL image or a file's path, or a list of them.
            character: a name of `characters`.
            style: a name of `styles`; the first one where no character is named.
            level: m of cross-domain style mixing, 0 (all character) to num_ws (all photo).
            trgb: replace the tRGB styles by the character's.
            color: how far they are replaced, 0 to 1.
            aligned: the pictures are FFHQ-aligned crops already.
            paste: draw every face within the photo; otherwise a character's result is the largest
                face's portrait, (R, R, 3). Styles always draw the whole photo.
            background: of a style: "draw", "keep", "transparent" or an RGB color.

        Returns:
            uint8 RGB (with opacity where the background is transparent), a list for a list.

        Raises:
            InputError: no face found for a character, or an unreadable file. UsageError: not such
                a picture, unknown name, or options out of range.

        Example:
            >>> toon = Toonifier.from_bundle("default")
            >>> drawn = toon.stylize("me.jpg")  # you, in ink
            >>> mina = toon.stylize("me.jpg", character="mina")
        """
        if character is not None and style is not None:
            raise UsageError("a drawing has a character or a style", hint="Name one of them.")
        photos = [as_photo(photo) for photo in (image if isinstance(image, list) else [image])]
        if character is None:
            engine = self.portraits
            drawings = [engine.stylize(photo, style, background=background) for photo in photos]
            return drawings if isinstance(image, list) else drawings[0]
        options = {"level": level, "trgb": trgb, "color": color, "batch_size": batch_size}
        if aligned:
            drawn = self.stylize_crops(photos, [character], **options)  # type: ignore[arg-type]
            results = [row[0] for row in drawn]
        else:
            _ = self.table[character]
            found = [self.faces_of(photo, largest=not paste) for photo in photos]
            crops = [alignment.image for row in found for alignment in row]
            toons = iter(self.stylize_crops(crops, [character], **options))  # type: ignore[arg-type]
            results = []
            for photo, row in zip(photos, found, strict=True):
                result = photo
                # smallest first, so that nearer people stay in front
                for alignment, toon in reversed([(a, next(toons)[0]) for a in row]):
                    result = self.paste(result, toon, alignment) if paste else toon
                results.append(result)
        return results if isinstance(image, list) else results[0]

    def faces_of(self, photo: np.ndarray, *, largest: bool = False) -> list[Alignment]:
        """FFHQ crops of all faces of a photograph, or of the largest one.

        Raises:
            InputError: no face found.
        """
        faces = self.detect(photo, largest=largest)
        if not faces:
            raise InputError("no face found", hint="Use a picture with a visible face.")
        return [self.align(photo, face) for face in (faces[:1] if largest else faces)]

    def _autocast(self) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


def as_photo(photo: Photo) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an array, a PIL image or a file's path.

    Raises:
        InputError: the file can't be read. UsageError: an array of another shape or type.
    """
    if isinstance(photo, (str, os.PathLike)):
        from toonify.media.images import read_image

        return read_image(photo).rgb
    if not isinstance(photo, np.ndarray) and hasattr(photo, "convert"):
        photo = np.asarray(photo.convert("RGB"), np.uint8)
    _check_photo(photo)
    return np.asarray(photo)


def _check_photo(photo: object) -> None:
    hint = "Give (H, W, 3) uint8 RGB."
    if not isinstance(photo, np.ndarray):
        raise UsageError(f"a picture is a {type(photo).__name__}, not an array", hint=hint)
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
        raise UsageError(f"a picture is {photo.dtype} of shape {photo.shape}", hint=hint)


def _to_tensor(crop: np.ndarray, size: int) -> Tensor:
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


def _to_arrays(images: Tensor) -> list[np.ndarray]:
    """(B, 3, H, W) in [-1, 1] → B arrays (H, W, 3) uint8."""
    check_finite(images)
    x = (images.float().clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return list(x.permute(0, 2, 3, 1).cpu().numpy())
