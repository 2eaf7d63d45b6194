"""Clips in a style: whole frames are drawn by the portrait program, people where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from toonify.engines.base import Placed
from toonify.faces import Alignment, Face, FaceDetector
from toonify.faces.types import RGB, Points, f32
from toonify.portrait.backgrounds import Background
from toonify.portrait.engine import PortraitEngine, compose
from toonify.portrait.memory import Memory
from toonify.video.artist import Artist
from toonify.video.compositor import Compositor


class StyleArtist:
    """The portrait engine as an `Artist`: its `StyleCompositor` draws whole frames at once, so
    there is nothing to encode and to render a face.

    Args:
        portraits: the engine of photographs.
        style: one of its styles.
        background: as in `PortraitEngine.stylize`, but not transparent.
    """

    keeps_code = True
    clears_hair = False

    def __init__(
        self, portraits: PortraitEngine, style: str, *, background: Background = "draw"
    ) -> None:
        self.portraits, self.background = portraits, background
        self.style = portraits.style(style).name

    @property
    def characters(self) -> tuple[str, ...]:
        """The style, which everybody is drawn in."""
        return (self.style,)

    @property
    def detector(self) -> FaceDetector:
        return self.portraits.detector

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """Where the face is; nothing is cut out."""
        return Alignment(np.zeros((1, 1, 3), np.uint8), np.eye(2, 3), face)

    def encode(self, regions: Sequence[Alignment]) -> Points:
        """(N, 1) of nothing."""
        return f32(np.zeros((len(regions), 1)))

    def render(
        self, regions: Sequence[Alignment], codes: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """Placeholders."""
        return [region.image for region in regions]

    def matte(self, region: Alignment, toon: RGB) -> Points | None:
        """None: nothing is laid over the frame."""
        return None

    def occlusion(self, region: Alignment) -> None:
        """None: nothing is laid over the frame."""

    def mask(self, matte: Points) -> Points:
        """As it is."""
        return matte


class StyleCompositor:
    """Draws the frames of a clip, in order.

    Args:
        artist: knows the style.
        smooth: 0 takes each frame for itself.
    """

    scenes = True  # frames without people are drawn too

    def __init__(self, artist: StyleArtist, smooth: float) -> None:
        self._artist = artist
        self._memory = Memory() if smooth else None

    def compose(self, rgb: RGB, items: Sequence[Placed]) -> RGB:
        """A frame (H, W, 3) uint8 as a drawing of the same size."""
        artist = self._artist
        drawing = artist.portraits.draw(
            rgb,
            artist.style,
            faces=[item.region.face for item in items],
            people=[item.person for item in items],
            memory=self._memory,
        )
        return compose(drawing, rgb, background=artist.background)

    def forget(self, people: set[int]) -> None:
        """Nothing to do: what isn't seen any more is forgotten frame by frame."""

    def state(self) -> dict[str, np.ndarray]:
        """Arrays, to go on from."""
        return {} if self._memory is None else dict(self._memory.state())

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `state()`."""
        if self._memory is not None:
            self._memory = Memory.restored(arrays)


def compositor_of(artist: Artist, smooth: float) -> Compositor | StyleCompositor:
    """What puts an artist's drawings into frames."""
    if isinstance(artist, StyleArtist):
        return StyleCompositor(artist, smooth)
    return Compositor(artist, smooth)
