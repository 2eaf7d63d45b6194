"""Photos in, cartoons out: the one object most people need."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import torch
from PIL.Image import Image as PILImage

from toonify.bundle import Defaults, bundle_defaults
from toonify.cdsm import DEFAULT_LEVEL
from toonify.engines.base import Engine
from toonify.engines.cdsm import CdsmEngine, CdsmModel
from toonify.engines.registry import load_style_engine
from toonify.errors import InputError, ModelError, UsageError
from toonify.faces import Alignment, Face, FaceDetector
from toonify.lut import CharacterTable
from toonify.media.images import read_image
from toonify.models.base import Encoder, Generator
from toonify.portrait import bundle_styles
from toonify.portrait.backgrounds import Background
from toonify.portrait.catalog import is_style_file
from toonify.utils.arguments import check_range

Photo = np.ndarray | PILImage | str | os.PathLike[str]


class Toonifier:
    """Turns photographs into drawings: styles that keep the person, and characters.

    Most callers want `from_bundle`, which loads what ships; the constructor takes networks of
    your own.

    Examples:
        >>> toon = Toonifier.from_bundle("default")
        >>> drawn = toon.stylize("me.jpg", style="ink")  # (H, W, 3) uint8 RGB
        >>> mina = toon.stylize("me.jpg", character="mina")

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

    Raises:
        UsageError: the encoder or a character is of another generator's shape; no such device or
            dtype.
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
        model = CdsmModel(
            generator=generator, encoder=encoder, table=table, device=device, dtype=dtype
        )
        self._of_model(
            model, detector=detector, landmarks=landmarks, offline=offline, min_face=min_face
        )

    def _of_model(
        self, model: CdsmModel, bundle: str | os.PathLike[str] | None = None, **options: Any
    ) -> None:
        self.model, self._bundle = model, bundle
        self._defaults = Defaults() if bundle is None else bundle_defaults(bundle)
        self._style_engines: dict[tuple[str | None, Background], Engine] = {}
        self._engine = CdsmEngine(model, bundle=bundle, **options)

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
        """What draws with a bundle's networks, characters and styles.

        Args:
            bundle: a shipped bundle's name, or a bundle's folder.
            device: where networks compute: "auto", "cpu", "cuda", "cuda:1", "mps".
            dtype: what they compute in: "auto", "float32", "bfloat16" or "float16".
            landmarks: what finds faces: "mtcnn", "face-alignment", or "auto" for the latter where
                its weights are cached.
            offline: never fetch a detector's weights.
            min_face: height in px of the smallest faces that are looked for; None takes a 120th of
                a photograph's longest side, at least 24.

        Examples:
            >>> toon = Toonifier.from_bundle("default", device="cpu")
            >>> toon.styles[0], "mina" in toon.characters
            ('ink', True)

        Raises:
            ModelError: the bundle can't be loaded.
            UsageError: no such device or dtype.
        """
        toonifier = cls.__new__(cls)
        toonifier._of_model(
            CdsmModel.from_bundle(bundle, device=device, dtype=dtype),
            bundle,
            landmarks=landmarks,
            offline=offline,
            min_face=min_face,
        )
        return toonifier

    @property
    def characters(self) -> tuple[str, ...]:
        """Names in the look-up table."""
        return self.table.names

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the bundle's styles, its default first; empty where it has none."""
        return () if self._bundle is None else bundle_styles(self._bundle)

    @property
    def generator(self) -> Generator:
        """The layer-swapped generator."""
        return self.model.generator

    @property
    def encoder(self) -> Encoder:
        """Photo → w+."""
        return self.model.encoder

    @property
    def table(self) -> CharacterTable:
        """The characters' latents."""
        return self.model.table

    @property
    def device(self) -> torch.device:
        """Where networks compute."""
        return self.model.device

    @property
    def detector(self) -> FaceDetector:
        """The face detector, made on first use."""
        return self._engine.detector

    def engine(
        self, *, level: int = DEFAULT_LEVEL, trgb: bool = True, color: float = 1.0
    ) -> CdsmEngine:
        """What draws characters in batches and clips; options as of `stylize`."""
        return self._engine.mixing(level=level, trgb=trgb, color=color)

    def identity(self, character: str) -> dict[str, Any]:
        """What tells drawings of a character from another's, JSON-able."""
        return self._engine.identity(character)

    def detect(self, image: np.ndarray, *, largest: bool = False) -> list[Face]:
        """Faces of an (H, W, 3) uint8 RGB picture, largest first.

        Args:
            largest: only the first one is wanted, so that small ones need not be looked for.
        """
        return self._engine.detect(image, largest=largest)

    def smallest_face(self, image: np.ndarray) -> float:
        """Height in px of the smallest faces that are looked for; 0 where that is not known."""
        return self._engine.smallest_face(image)

    def align(self, image: np.ndarray, face: Face) -> Alignment:
        """FFHQ crop of one face, and where it lies.

        Args:
            image: (H, W, 3) uint8 RGB.
            face: of `detect`.

        Raises:
            InputError: the face lies outside the picture.

        Examples:
            >>> crop = toon.align(rgb, toon.detect(rgb)[0])
            >>> ((mina,),) = toon.stylize_crops([crop.image], ["mina"])
            >>> back = toon.paste(rgb, mina, crop)
        """
        return self._engine.region(image, face)

    def paste(self, image: np.ndarray, toon: np.ndarray, alignment: Alignment) -> np.ndarray:
        """A picture with a drawing in place of the head that its crop was taken of; the rest is
        drawn in the bundle's first style, where it has one.

        Args:
            image: (H, W, 3) uint8 RGB.
            toon: (R, R, 3) uint8 RGB, of `stylize_crops`.
            alignment: of `align`.
        """
        return self._engine.paste(image, toon, alignment)

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
        """Draw aligned crops of faces as characters, each crop as each of them.

        Args:
            crops: (S, S, 3) uint8 RGB, FFHQ-aligned, any S.
            characters: names of `characters`.
            level: m of cross-domain style mixing, 0 (all character) to num_ws (all photo).
            trgb: replace the tRGB styles by the character's.
            color: how far they are replaced, 0 to 1.
            batch_size: crops that go through the networks together.

        Returns:
            For each crop a drawing a character, (R, R, 3) uint8 RGB at the generator's resolution.

        Raises:
            UsageError: unknown character, or options out of range.
        """
        check_range("batch_size", batch_size, 1, whole=True)
        for name in characters:
            _ = self.table[name]
        engine = self._engine.mixing(level=level, trgb=trgb, color=color)
        engine.check_mixing()
        engine.batch_size = batch_size
        return engine.draw_aligned(crops, characters)  # type: ignore[return-value]

    @overload
    def stylize(
        self,
        image: Photo,
        *,
        character: str | None = ...,
        style: str | None = ...,
        level: int | None = ...,
        trgb: bool | None = ...,
        color: float | None = ...,
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
        level: int | None = ...,
        trgb: bool | None = ...,
        color: float | None = ...,
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
        level: int | None = None,
        trgb: bool | None = None,
        color: float | None = None,
        aligned: bool = False,
        paste: bool = False,
        background: Background = "draw",
        batch_size: int = 8,
    ) -> np.ndarray | list[np.ndarray]:
        """Toonify whole photographs: in a style that keeps the person, or as a character.

        Args:
            image: (H, W, 3) uint8 RGB, a PIL image or a file's path, or a list of them.
            character: a name of `characters`.
            style: a name of `styles`, or a network's file (`toonify finetune --objective
                pix2pix`); the first one where no character is named.
            level: of a character: m of cross-domain style mixing, 0 (all character) to num_ws (all
                photo).
            trgb: of a character: replace the tRGB styles by its own.
            color: of a character: how far they are replaced, 0 to 1. All three: None for the
                bundle's own.
            aligned: the pictures are FFHQ-aligned crops already.
            paste: draw the whole photo, with everybody as the character; otherwise a character's
                result is the largest face's portrait, (R, R, 3). Styles always draw the whole
                photo.
            background: behind the people of a whole picture: "draw", "keep", "transparent" or a
                color, RGB or as CSS has it.
            batch_size: of a character: crops that go through the networks together.

        Returns:
            uint8 RGB (with opacity where the background is transparent), a list for a list.

        Raises:
            InputError: no face found for a character, or an unreadable file.
            UsageError: not such a picture, unknown name, options out of range, or of a style where
                a character is drawn and the other way round.

        Examples:
            >>> toon = Toonifier.from_bundle("default")
            >>> drawn = toon.stylize("me.jpg")  # you, in ink
            >>> mina = toon.stylize("me.jpg", character="mina")
        """
        if character is not None and style is not None:
            raise UsageError("a drawing has a character or a style", hint="Name one of them.")
        if character is None and (level, trgb, color) != (None, None, None):
            raise UsageError(
                "`level`, `trgb` and `color` are of characters, and a style is drawn",
                hint="Leave them out, or name a `character`.",
            )
        if character is not None and background != "draw" and not paste:
            raise UsageError(
                "`background` is of whole pictures, and a portrait of a character is drawn",
                hint="Leave it out, set `paste`, or name a `style`.",
            )
        photos = [as_photo(photo) for photo in (image if isinstance(image, list) else [image])]
        if character is None:
            drawings = self._in_style(photos, style, background)
            return drawings if isinstance(image, list) else drawings[0]
        own = self._defaults
        options: dict[str, Any] = {
            "level": own.level_of(pasted=paste) if level is None else level,
            "trgb": own.trgb if trgb is None else trgb,
            "color": own.color if color is None else color,
            "batch_size": batch_size,
        }
        if aligned:
            drawn = self.stylize_crops(photos, [character], **options)
            results = [row[0] for row in drawn]
        else:
            _ = self.table[character]
            found = [self.faces_of(photo, largest=not paste) for photo in photos]
            crops = [alignment.image for row in found for alignment in row]
            toons = iter(self.stylize_crops(crops, [character], **options))
            engine = self.engine(
                level=options["level"], trgb=options["trgb"], color=options["color"]
            ).before(background)
            results = []
            for photo, row in zip(photos, found, strict=True):
                crops_drawn = [next(toons)[0] for _ in row]
                whole = engine.paste_all(photo, row, crops_drawn) if paste else crops_drawn[0]
                results.append(np.asarray(whole))
        return results if isinstance(image, list) else results[0]

    def style_engine(self, style: str | None = None, *, background: Background = "draw") -> Engine:
        """What draws photographs in a style; made on first use.

        Args:
            style: a name of `styles`, or a network's file; the first when None.
            background: as of `stylize`.

        Raises:
            UsageError: an unknown style.
            ModelError: the bundle offers none.
        """
        if self._bundle is None and (style is None or not is_style_file(style)):
            raise ModelError(
                "this engine was made without a bundle, and has no styles",
                hint="Name a character, or make it by from_bundle.",
            )
        made = (style, background)
        if made not in self._style_engines:
            self._style_engines[made] = load_style_engine(
                style,
                "default" if self._bundle is None else self._bundle,
                background=background,
                detector=self.detector,
                device=str(self.device),
            )
        return self._style_engines[made]

    def _in_style(
        self, photos: Sequence[np.ndarray], style: str | None, background: Background
    ) -> list[np.ndarray]:
        engine = self.style_engine(style, background=background)
        name = engine.characters[0]
        drawn = [engine.draw_image(p, [name], faces=engine.detect(p))[0] for p in photos]
        return [np.asarray(picture) for picture in drawn]

    def faces_of(self, photo: np.ndarray, *, largest: bool = False) -> list[Alignment]:
        """FFHQ crops of all faces of a photograph (H, W, 3) uint8 RGB, or of the largest one.

        Raises:
            InputError: no face found.
        """
        faces = self.detect(photo, largest=largest)
        if not faces:
            raise InputError("no face found", hint="Use a picture with a visible face.")
        return [self.align(photo, face) for face in (faces[:1] if largest else faces)]


def as_photo(photo: Photo) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an array, a PIL image or a file's path.

    Raises:
        InputError: the file can't be read.
        UsageError: an array of another shape or type.
    """
    if isinstance(photo, (str, os.PathLike)):
        return read_image(photo).rgb
    if not isinstance(photo, np.ndarray) and hasattr(photo, "convert"):
        photo = np.asarray(photo.convert("RGB"), np.uint8)
    _check_photo(photo)
    return np.asarray(photo)


def _check_photo(photo: object) -> None:
    hint = "Give (H, W, 3) uint8 RGB, a PIL image or a path."
    if not isinstance(photo, np.ndarray):
        raise UsageError(f"a picture is a {type(photo).__name__}, not an array", hint=hint)
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
        raise UsageError(f"a picture is {photo.dtype} of shape {photo.shape}", hint=hint)
