"""What every engine offers: one interface for photographs, batches of them, and clips.

Engines differ in how they draw (style mixing on crops, whole frames, a program, style transfer);
whoever drives them differs in what is drawn (a photo, many, a clip's frames). In between stands
`Engine`. The steps are apart so that a driver may put its own between them: a batch gathers the
regions of several photographs, a clip smooths latents and outlines in time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from toonify.faces import Alignment, Face, FaceDetector
from toonify.faces.alignment import aligned_face, overlay, square_mask
from toonify.faces.types import RGB, Points, f32

Drawing = RGB | bytes  # (H, W, 3 or 4) uint8, or a document (SVG, PDF)


@dataclass(frozen=True, eq=False)
class Placed:
    """A drawing (S, S, 3) and where it goes in a frame.

    Attributes:
        person: who is drawn, the same number throughout a clip.
        opacity: 0..1, fades people in and out.
    """

    person: int
    toon: RGB
    region: Alignment
    opacity: float = 1.0


class FrameCompositor(Protocol):
    """Makes a clip's drawn frames, in order.

    Attributes:
        scenes: frames without people are drawn too.
    """

    scenes: bool

    def compose(self, rgb: RGB, items: list[Placed]) -> RGB:
        """A frame (H, W, 3) uint8 drawn, of the same size."""
        ...

    def forget(self, keep: set[int]) -> None:
        """Drop what is remembered of everybody but `keep`."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Arrays by name, for `restore`."""
        ...

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `state()`."""
        ...


class Engine(ABC):
    """Draws the people of pictures, or whole pictures.

    Options of the drawing (level, background, …) are the engine's own, given when it is made.

    Attributes:
        name: in `toonify.engines.registry`, and after `--engine`.
        kind: what `characters` are names of: "character" or "style".
        whole_image: pictures are drawn as they are, faces or none, by `draw_image` and
            `compositor`; otherwise faces are, one region at a time.
        keeps_latents: of clips: a person's first latent serves until the next cut.
        clears_hair: what sticks out behind a silhouette is to be painted over.
        side_by_side: several such engines draw pictures in threads faster than one does in turn.
        batch_size: regions that go through the networks together; lower it when memory is short.

    Examples:
        >>> engine = load_engine("cdsm")
        >>> rgb = read_image("me.jpg").rgb
        >>> (drawn,) = engine.draw_image(rgb, ["mina"], faces=engine.detect(rgb))
    """

    name: ClassVar[str]
    kind: ClassVar[Literal["character", "style"]] = "character"
    whole_image: ClassVar[bool] = False
    keeps_latents: ClassVar[bool] = False
    clears_hair: ClassVar[bool] = False
    batch_size: int = 8

    @property
    def side_by_side(self) -> bool:
        """See the class."""
        return False

    @property
    @abstractmethod
    def characters(self) -> tuple[str, ...]:
        """Names that this engine draws under: characters or styles, the default first."""

    @property
    @abstractmethod
    def detector(self) -> FaceDetector:
        """What finds faces, made on first use."""

    @abstractmethod
    def identity(self, character: str) -> dict[str, Any]:
        """What tells drawings under a name from others: networks, latents, styles; JSON-able."""

    def settings(self) -> dict[str, Any]:
        """Options that drawings under every name depend on, JSON-able."""
        return {}

    def describe(self) -> dict[str, Any]:
        """All that drawings depend on beside the picture, JSON-able."""
        drawn = {name: self.identity(name) for name in self.characters}
        return {"engine": self.name, **self.settings(), "drawing": drawn}

    def detect(self, rgb: RGB, *, largest: bool = False) -> list[Face]:
        """Faces of a picture (H, W, 3) uint8 RGB, largest first.

        Args:
            largest: only the first one is wanted, so that small ones need not be looked for.
        """
        return self.detector.detect_largest(rgb) if largest else self.detector.detect(rgb)

    def smallest_face(self, rgb: RGB) -> float:
        """Height in px of the smallest faces that are looked for; 0 where that is not known."""
        return self.detector.smallest(max(rgb.shape[:2]))

    @abstractmethod
    def region(self, rgb: RGB, face: Face) -> Alignment:
        """The part of a picture that is drawn anew for a face, and where it lies.

        Raises:
            InputError: the face lies outside the picture.
        """

    @abstractmethod
    def encode(self, regions: Sequence[Alignment]) -> Points:
        """A latent for each region, (N, …) float32; mixtures of latents must be latents."""

    def encode_clip(self, regions: Sequence[Alignment], people: Sequence[int]) -> Points:
        """As `encode`, of some frames of a clip in order; `people`: whose each region is."""
        return self.encode(regions)

    @abstractmethod
    def render(
        self, regions: Sequence[Alignment], latents: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """A drawing (S, S, 3) uint8 for each region, each under its own name.

        Raises:
            UsageError: an unknown name.
        """

    def draw_regions(
        self, regions: Sequence[Alignment], characters: Sequence[str]
    ) -> list[list[Drawing]]:
        """For each region, one drawing a name; latents are computed once.

        Raises:
            UsageError: an unknown name.
        """
        if not regions:
            return []
        latents = self.encode(regions)
        columns = [self.render(regions, latents, [name] * len(regions)) for name in characters]
        return [list(row) for row in zip(*columns, strict=True)]

    def draw_aligned(self, images: Sequence[RGB], characters: Sequence[str]) -> list[list[Drawing]]:
        """As `draw_regions`, of FFHQ crops (S, S, 3): the face is where it is there."""
        return self.draw_regions([aligned_region(image) for image in images], characters)

    def draw_image(
        self, rgb: RGB, characters: Sequence[str], *, faces: Sequence[Face]
    ) -> list[Drawing]:
        """A whole picture, one drawing a name: everybody is drawn where they stand.

        Args:
            faces: those in it that are drawn, largest first.
        """
        regions = [self.region(rgb, face) for face in faces]
        rows = self.draw_regions(regions, characters)
        return [
            self.paste_all(rgb, regions, [row[column] for row in rows])
            for column in range(len(characters))
        ]

    def steps(
        self, rgb: RGB, name: str, *, faces: Sequence[Face]
    ) -> Iterator[tuple[str, Callable[[], object]]]:
        """The longest parts of `draw_image`, by name, to be timed each for itself: of engines of
        styles, none of others."""
        yield from ()

    def paste_all(self, rgb: RGB, regions: Sequence[Alignment], drawings: Sequence[Drawing]) -> RGB:
        """A copy of the picture with a drawing laid in at each region, given largest first."""
        result = rgb.copy()
        # smallest first, so that nearer people stay in front
        for region, toon in reversed(list(zip(regions, drawings, strict=True))):
            assert not isinstance(toon, bytes)
            result = self.paste(result, toon, region)
        return result

    def paste(self, rgb: RGB, toon: RGB, region: Alignment) -> RGB:
        """A copy of the picture with one drawing laid in where its region was cut out."""
        matte = self.matte(region, toon)
        mask = square_mask(toon.shape[0]) if matte is None else self.mask(matte)
        out = rgb.copy()
        overlay(out, toon, f32(mask), region)
        return out

    def matte(self, region: Alignment, toon: RGB) -> Points | None:
        """A drawing's silhouette (S, S) in 0..1; None where it is not known."""
        return None

    def occlusion(self, region: Alignment) -> Points | None:
        """Opacity (R, R) in 0..1 of what stands before the face in a region of side R and stays;
        None where nothing is known of it."""
        return None

    def mask(self, matte: Points) -> Points:
        """A silhouette, smoothed in time, as the opacity that the drawing is laid in with."""
        return matte

    def locate(self, rgb: RGB, face: Face) -> Alignment:
        """`region` of a clip's frame; where whole images are drawn, nothing is cut out."""
        if self.whole_image:
            return Alignment(np.zeros((1, 1, 3), np.uint8), np.eye(2, 3), face)
        return self.region(rgb, face)

    def draw_located(
        self, regions: Sequence[Alignment], latents: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """`render` of what `locate` gave; placeholders where whole images are drawn."""
        if self.whole_image:
            return [region.image for region in regions]
        return self.render(regions, latents, characters)

    def compositor(self, smooth: float) -> FrameCompositor | None:
        """What draws a clip's frames where `whole_image` is set; None: drawings are laid in."""
        return None


def aligned_region(image: RGB) -> Alignment:
    """An FFHQ crop (S, S, 3) as the region of itself."""
    return Alignment(image, np.eye(2, 3), aligned_face(image.shape[0]))
