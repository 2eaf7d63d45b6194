"""Styles that keep the person: pictures are drawn as a whole by the portrait program."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from toonify.engines.base import Drawing, Engine, Placed
from toonify.faces import Alignment, Face, FaceDetector, get_detector
from toonify.faces.alignment import aligned_face
from toonify.faces.types import RGB, Points, f32
from toonify.portrait.analysis import Analysis
from toonify.portrait.backgrounds import Background, fitted, parse_background, resized
from toonify.portrait.catalog import style_networks
from toonify.portrait.engine import PortraitEngine, compose, layers_of
from toonify.portrait.layers import Layers
from toonify.portrait.memory import Memory
from toonify.portrait.pdf import to_pdf
from toonify.portrait.shapes import render
from toonify.portrait.svg import to_svg

Document = Literal["svg", "pdf"]
CROP_INPUT = 640  # px, side of the crop that a portrait is drawn from
CROP_SIDE = 512  # px, side of the portrait by default


class StyleEngine(Engine):
    """Draws in the bundle's styles.

    Args:
        portraits: the program.
        style: the one that `characters` names first; the bundle's default when None.
        background: see `PortraitEngine.stylize`.
        max_size: longer side of drawings, px at most; of a portrait, its side.
        document: photographs become this format instead of pixels.
        networks: what the styles depend on beside the program, JSON-able.
        min_face: that the detector was made with.
    """

    name = "portrait"
    kind = "style"
    whole_image = True
    keeps_latents = True

    def __init__(
        self,
        portraits: PortraitEngine,
        style: str | None = None,
        *,
        background: Background = "draw",
        max_size: int | None = None,
        document: Document | None = None,
        networks: Any = None,
        min_face: float | None = None,
    ) -> None:
        self.portraits, self.background = portraits, parse_background(background)
        self.max_size, self.document, self._networks = max_size, document, networks
        self._min_face = min_face
        self.style = portraits.style(style).name

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        style: str | None = None,
        *,
        detector: FaceDetector | None = None,
        landmarks: str = "auto",
        offline: bool = True,
        min_face: float | None = None,
        **options: Any,
    ) -> StyleEngine:
        """On a bundle's small networks; `options` as of the class.

        Raises:
            ModelError: the bundle offers no styles, or its files are missing or damaged.
            UsageError: an unknown style.
        """
        if detector is None:
            detector = get_detector(landmarks, offline=offline, min_face=min_face)
        portraits = PortraitEngine.from_bundle(bundle, detector=detector)
        networks = {**style_networks(bundle), "landmarks": landmarks}
        return cls(portraits, style, networks=networks, min_face=min_face, **options)

    @property
    def characters(self) -> tuple[str, ...]:
        """Names of the styles, the chosen one first."""
        others = tuple(name for name in self.portraits.styles if name != self.style)
        return (self.style, *others)

    @property
    def detector(self) -> FaceDetector:
        """The portrait program's."""
        return self.portraits.detector

    def identity(self, character: str) -> dict[str, Any]:
        """The style and what it is drawn with."""
        return {
            "style": asdict(self.portraits.style(character)),
            "networks": self._networks,
            "background": self.background,
            "max_size": self.max_size,
            "document": self.document,
            "beside_characters": False,
        }

    def settings(self) -> dict[str, Any]:
        """The style of clips, and what faces are found by."""
        return {
            "style": self.style,
            "landmarks": self.detector.name,
            "min_face": self._min_face,
        }

    def region(self, rgb: RGB, face: Face) -> Alignment:
        """The upright portrait of a face, looser than FFHQ's crop."""
        matrix = self.portraits.crop_matrix(rgb, face, size=CROP_INPUT)
        return Alignment(self.portraits.crop(rgb, face, size=CROP_INPUT), matrix, face)

    def encode(self, regions: Sequence[Alignment]) -> Points:
        """(N, 1) of nothing: styles need no code."""
        return f32(np.zeros((len(regions), 1)))

    def render(
        self, regions: Sequence[Alignment], latents: Points, characters: Sequence[str]
    ) -> list[RGB]:
        """The portraits, each drawn in its style."""
        drawn = []
        for region, name in zip(regions, characters, strict=True):
            height, width = region.image.shape[:2]
            drawn.append(self.pixels(self._measured(region), name, region.image, (width, height)))
        return drawn

    def draw_regions(
        self, regions: Sequence[Alignment], characters: Sequence[str]
    ) -> list[list[Drawing]]:
        """Portraits: each region is measured once and drawn in every style."""
        side = self.max_size or CROP_SIDE
        return [
            [self._draw(measured, name, region.image, (side, side)) for name in characters]
            for region in regions
            for measured in [self._measured(region)]
        ]

    def draw_image(
        self, rgb: RGB, characters: Sequence[str], *, faces: Sequence[Face]
    ) -> list[Drawing]:
        """The whole picture, measured once and drawn in every style."""
        measured = self.measure(rgb, faces)
        size = fitted((rgb.shape[1], rgb.shape[0]), self.max_size)
        return [self._draw(measured, name, rgb, size) for name in characters]

    def steps(
        self, rgb: RGB, name: str, *, faces: Sequence[Face]
    ) -> Iterator[tuple[str, Callable[[], object]]]:
        """Measuring, and the drawing as shapes."""
        yield "analyze", lambda: self.measure(rgb, faces)
        measured = self.measure(rgb, faces)
        yield "portrait", lambda: self.portraits.draw(measured, name)

    def draw_aligned(self, images: Sequence[RGB], characters: Sequence[str]) -> list[list[Drawing]]:
        """FFHQ crops as pictures of one person each, at their own size."""
        faces = [aligned_face(image.shape[0]) for image in images]
        return [
            self.draw_image(image, characters, faces=[face])
            for image, face in zip(images, faces, strict=True)
        ]

    def compositor(self, smooth: float) -> StyleCompositor:
        """Draws whole frames."""
        return StyleCompositor(self, smooth)

    def _measured(self, region: Alignment) -> Analysis:
        """A portrait's crop, with everybody in it, at least the one it is of."""
        own = region.face_in_crop
        found = self.detector.detect(region.image)
        middle, reach = own.points5.mean(0), own.box[2] - own.box[0]
        known = any(np.hypot(*(f.points5.mean(0) - middle)) < reach / 2 for f in found)
        return self.measure(region.image, found if known else [own, *found])

    def measure(
        self,
        photo: RGB,
        faces: Sequence[Face],
        *,
        people: Sequence[int] | None = None,
        memory: Memory | None = None,
    ) -> Analysis:
        """What drawing a photograph (H, W, 3) takes; see `PortraitEngine.analyze`."""
        return self.portraits.analyze(photo, faces=faces, people=people, memory=memory)

    def pixels(self, measured: Analysis, style: str, photo: RGB, size: tuple[int, int]) -> RGB:
        """A drawing of what was measured in a photograph, `size` (width, height), over the
        background that was requested: (H, W, 3) uint8, or (H, W, 4) with opacity."""
        drawing = self.portraits.draw(measured, style)
        return compose(drawing, photo, background=self.background, size=size)

    def layers(self, photo: RGB, faces: Sequence[Face], style: str) -> Layers:
        """A photograph (H, W, 3) with its faces, drawn: people apart from what is behind them."""
        drawing = self.portraits.draw(self.measure(photo, faces), style)
        people = render(drawing, size=(photo.shape[1], photo.shape[0]), layers=("person",))
        return layers_of(people, drawing, photo, background=self.background)

    def _draw(self, measured: Analysis, style: str, photo: RGB, size: tuple[int, int]) -> Drawing:
        if self.document is None:
            return self.pixels(measured, style, photo, size)
        drawing = self.portraits.draw(measured, style)
        behind = resized(photo, size)
        if self.document == "svg":
            text = to_svg(drawing, background=self.background, photo=behind, size=size)
            return text.encode("utf-8")

        return to_pdf(drawing, background=self.background, photo=behind, size=size)


class StyleCompositor:
    """Draws the frames of a clip, in order.

    Args:
        engine: knows the style.
        smooth: 0 takes each frame for itself.
    """

    scenes = True  # frames without people are drawn too

    def __init__(self, engine: StyleEngine, smooth: float) -> None:
        self._engine = engine
        self._memory = Memory() if smooth else None

    def compose(self, rgb: RGB, items: list[Placed]) -> RGB:
        """A frame (H, W, 3) uint8 as a drawing of the same size."""
        engine = self._engine
        measured = engine.measure(
            rgb,
            [item.region.face for item in items],
            people=[item.person for item in items],
            memory=self._memory,
        )
        return engine.pixels(measured, engine.style, rgb, (rgb.shape[1], rgb.shape[0]))

    def forget(self, keep: set[int]) -> None:
        """Nothing to do: what isn't seen any more is forgotten frame by frame."""

    def state(self) -> dict[str, np.ndarray]:
        """Arrays, to go on from."""
        return {} if self._memory is None else dict(self._memory.state())

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `state()`."""
        if self._memory is not None:
            self._memory = Memory.restored(arrays)
