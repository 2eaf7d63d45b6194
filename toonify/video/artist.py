"""What draws the faces of a clip. An engine is anything that offers this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch

from toonify.engine import DEFAULT_LEVEL, Toonifier
from toonify.faces import Alignment, Face, FaceDetector
from toonify.faces.alignment import silhouette_mask
from toonify.faces.matte import drawing_matte
from toonify.faces.occlusion import OcclusionMask
from toonify.faces.types import RGB, Points, f32

T = TypeVar("T")


class Artist(Protocol):
    """Draws one face at a time in three steps; between the last two, codes are smoothed in time.

    Attributes:
        keeps_code: a person's first code serves until the next cut, instead of each frame's.
        clears_hair: what sticks out behind a silhouette is to be painted over.
    """

    keeps_code: bool
    clears_hair: bool

    @property
    def characters(self) -> tuple[str, ...]: ...

    @property
    def detector(self) -> FaceDetector: ...

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """The part of a frame that is drawn anew, and where it lies."""
        ...

    def encode(self, regions: Sequence[Alignment]) -> Points:
        """A code for each region, (N, …) float32; mixtures of codes must be codes."""
        ...

    def render(
        self, regions: Sequence[Alignment], codes: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """A drawing (S, S, 3) uint8 for each region."""
        ...

    def matte(self, region: Alignment, toon: RGB) -> Points | None:
        """A drawing's silhouette (S, S) in 0..1; None where it can't be told."""
        ...

    def occlusion(self, region: Alignment) -> Points | None:
        """Opacity (R, R) in 0..1 of what stands before the face in a region of side R, which
        stays; None where nothing is known of it."""
        ...

    def mask(self, matte: Points) -> Points:
        """A silhouette, smoothed in time, as the opacity that the drawing is laid in with."""
        ...


class CdsmArtist:
    """Cross-domain style mixing on FFHQ crops.

    Args:
        toonifier: the engine of photographs.
        level, trgb, color: as in `Toonifier.stylize`.
        batch_size: faces drawn together.
    """

    keeps_code = False
    clears_hair = True

    def __init__(
        self,
        toonifier: Toonifier,
        *,
        level: int = DEFAULT_LEVEL,
        trgb: bool = True,
        color: float = 1.0,
        batch_size: int = 8,
    ) -> None:
        self.toonifier, self.batch_size = toonifier, batch_size
        self._occlusion = OcclusionMask()
        self.level, self.trgb, self.color = level, trgb, color

    @property
    def characters(self) -> tuple[str, ...]:
        return self.toonifier.characters

    @property
    def detector(self) -> FaceDetector:
        return self.toonifier.detector

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """The FFHQ crop."""
        return self.toonifier.align(rgb, face)

    def encode(self, regions: Sequence[Alignment]) -> Points:
        """w+ (N, num_ws, w_dim)."""
        parts = [
            self.toonifier.encode([region.image for region in part]).cpu().numpy()
            for part in chunks(regions, self.batch_size)
        ]
        return f32(np.concatenate(parts))

    def render(
        self, regions: Sequence[Alignment], codes: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """Cartoons at the generator's resolution."""
        drawn: dict[int, RGB] = {}
        for name in sorted(set(characters)):
            rows = [row for row, wanted in enumerate(characters) if wanted == name]
            for part in chunks(rows, self.batch_size):
                w_plus = torch.from_numpy(codes[part]).to(self.toonifier.device)
                toons = self.toonifier.render(
                    w_plus, name, level=self.level, trgb=self.trgb, color=self.color
                )
                drawn.update(zip(part, toons, strict=True))
        return [drawn[row] for row in range(len(characters))]

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
