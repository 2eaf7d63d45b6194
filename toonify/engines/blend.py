"""People by a network before backgrounds by the portrait program.

The network, which learnt from the program's drawings, keeps closer to people: to their faces, their
strands of hair, their clothes and earrings. The program makes flat, quiet backgrounds that people
stand out from. Both lie exactly over the photograph.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from toonify.engines.portrait import StyleEngine
from toonify.engines.unet import Runtime, UNetEngine, apart, points_of, work_side
from toonify.errors import UsageError
from toonify.faces import Face, FaceDetector, get_detector
from toonify.faces.types import RGB, Points, f32
from toonify.names import unknown_name
from toonify.portrait.analysis import Analysis, guessed_interocular
from toonify.portrait.backgrounds import resized
from toonify.portrait.crisp import box_around, lay_in, scaled_box
from toonify.portrait.engine import PortraitEngine, layers_of
from toonify.portrait.layers import Layers
from toonify.portrait.memory import Memory
from toonify.portrait.printing import print_people

SMALL = 45.0  # px between the eyes, as the network sees them: smaller faces are drawn again
HEAD = 3.0  # distances between the eyes that are drawn again, each way
NOBODY = 0.02  # of a picture, below which nobody is seen in it


class BlendEngine(StyleEngine):
    """Draws in styles that both the program and a network of the bundle know.

    Args:
        portraits: the program.
        style: the one that `characters` names first.
        network: draws the faces.
        options: as of `StyleEngine`.

    Examples:
        >>> engine = BlendEngine.from_bundle("default", "ink")
        >>> (drawn,) = engine.draw_image(rgb, ["ink"], faces=engine.detector.detect(rgb))
    """

    name = "blend"

    def __init__(
        self,
        portraits: PortraitEngine,
        style: str | None = None,
        *,
        network: UNetEngine,
        **options: Any,
    ) -> None:
        super().__init__(portraits, style, **options)
        self.network = network
        if self.style not in network.characters:
            raise unknown_name("style of a network", self.style, list(network.characters))

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
        device: str = "auto",
        dtype: str = "auto",
        runtime: Runtime = "auto",
        document: str | None = None,
        **options: Any,
    ) -> BlendEngine:
        """On a bundle's networks; `options` as of the class.

        Args:
            device, dtype, runtime: of the network, see `UNetEngine`.

        Raises:
            ModelError: the bundle offers no styles or no network, or its files are missing or
                damaged.
            UsageError: a style that the two don't both know, or shapes are wanted.
        """
        if document is not None:
            raise UsageError(
                f"a network draws pixels, no shapes for {document}",
                hint="Take one of the styles that the program draws.",
            )
        if detector is None:
            detector = get_detector(landmarks, offline=offline, min_face=min_face)
        network = UNetEngine.from_bundle(
            bundle, detector=detector, device=device, dtype=dtype, runtime=runtime
        )
        return super().from_bundle(  # type: ignore[return-value]
            bundle,
            style,
            detector=detector,
            landmarks=landmarks,
            offline=offline,
            min_face=min_face,
            network=network,
            **options,
        )

    @property
    def characters(self) -> tuple[str, ...]:
        """Names of the styles that both know, the chosen one first."""
        return tuple(name for name in super().characters if name in self.network.characters)

    @property
    def side_by_side(self) -> bool:
        """Small networks without torch gain little from more cores."""
        return self.network.runtime != "torch"

    def identity(self, character: str) -> dict[str, Any]:
        """The program's, and the network's."""
        return {**super().identity(character), "faces": self.network.identity(character)}

    def describe(self) -> dict[str, Any]:
        """All that a clip's frames depend on beside the picture."""
        return {**super().describe(), "faces": self.network.describe()}

    def steps(
        self, rgb: RGB, name: str, *, faces: Sequence[Face]
    ) -> Iterator[tuple[str, Callable[[], object]]]:
        """Where people are, the network's parts, and what is behind people."""
        yield "mattes", lambda: self.measure(rgb, faces)
        yield from self.network.steps(rgb, self._drawn_as(name), faces=faces)
        measured = self.measure(rgb, faces)
        yield "surroundings", lambda: self.portraits.draw_surroundings(measured, name)

    def measure(
        self,
        photo: RGB,
        faces: Sequence[Face],
        *,
        people: Sequence[int] | None = None,
        memory: Memory | None = None,
    ) -> Analysis:
        """Where people are."""
        return self.portraits.find_people(photo, faces=faces, memory=memory)

    def pixels(self, measured: Analysis, style: str, photo: RGB, size: tuple[int, int]) -> RGB:
        """As the program's, the people by the network."""
        if float(measured.person.mean()) < NOBODY:
            return super().pixels(measured, style, photo, size)
        return self._layers(measured, style, photo, size).flat()

    def layers(self, photo: RGB, faces: Sequence[Face], style: str) -> Layers:
        """As the program's, the people by the network."""
        size = (photo.shape[1], photo.shape[0])
        return self._layers(self.measure(photo, faces), style, photo, size)

    def _layers(self, measured: Analysis, style: str, photo: RGB, size: tuple[int, int]) -> Layers:
        look = self.portraits.style(style)
        faces = points_of(measured.faces)
        with ThreadPoolExecutor(1) as beside:
            surroundings = beside.submit(self.portraits.draw_surroundings, measured, style)
            people = self._people(photo, faces, self._drawn_as(style), max(size))
        # px between the eyes, as a share of the picture's width
        share = apart(faces) / photo.shape[1]
        share = share or guessed_interocular(measured.person) / measured.rgb.shape[1]
        people = resized(print_people(people, look, share * people.shape[1]), size)
        return layers_of(people, surroundings.result(), photo, background=self.background)

    def _drawn_as(self, style: str) -> str:
        """The network's style for people: where backgrounds are bare paper, it lets go of wide
        clothes too, so that another style's people are put on that paper."""
        if not self.portraits.style(style).paper:
            return style
        return next((n for n in self.characters if not self.portraits.style(n).paper), style)

    def _people(self, photo: RGB, faces: Sequence[Points], style: str, side: int) -> RGB:
        """The whole picture by the network, and smaller faces than it knows each for itself.

        Args:
            side: px, the longest that it is needed at.
        """
        size = (photo.shape[1], photo.shape[0])
        shown = work_side(photo, faces) / max(size)  # px that the network sees of a px
        small = [points for points in faces if apart([points]) * shown < SMALL]
        large = [points for points in faces if apart([points]) * shown >= SMALL]
        drawn = self.network.crisp(photo, style, large, side=side)
        scale = drawn.shape[1] / photo.shape[1]
        for points in small:
            box = box_around(points[:2].mean(0), HEAD * apart([points]), size)
            if box is not None:
                part = photo[box[1] : box[3], box[0] : box[2]]
                place = scaled_box(box, scale)
                seen = max(place[2] - place[0], place[3] - place[1]) // 2
                head = self.network.crisp(part, style, [points - f32(box[:2])], side=seen)
                lay_in(drawn, head, place)
        return drawn
