"""Characters in clips: frames are drawn in a style, heads are set onto its people."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np

from toonify.engines.base import FrameCompositor, Placed
from toonify.engines.head_paste import HeadPaster
from toonify.engines.measured_head import MeasuredHead
from toonify.faces.types import RGB
from toonify.portrait.layers import Layers
from toonify.portrait.memory import Memory

EVERY = 2  # frames between looks at where heads are


class HeadCompositor:
    """Draws the frames of a clip, in order.

    Args:
        style: draws whole frames.
        paster: sets heads into them.
        smooth: 0 takes each frame for itself.
        tinted: necks take the color of the drawings' skin.
    """

    scenes = True  # frames without people are drawn too

    def __init__(
        self, style: FrameCompositor, paster: HeadPaster, smooth: float, *, tinted: bool
    ) -> None:
        self._style, self._paster, self._tinted = style, paster, tinted
        self._memory = Memory() if smooth else None
        self._heads: dict[int, MeasuredHead | None] = {}
        self._turn = 0  # frames since heads were measured

    def compose(self, rgb: RGB, items: list[Placed]) -> RGB:
        """A frame (H, W, 3) uint8 as a drawing of the same size; smaller heads behind larger."""
        items = sorted(items, key=lambda item: item.region.face.size)
        with ThreadPoolExecutor(1) as beside:
            drawn = beside.submit(self._style.compose, rgb, items)
            self._measure(rgb, items)
        picture = replace(Layers.of_photo(drawn.result()), grain=False)
        for item in items:
            toon, region, head = item.toon, item.region, self._heads[item.person]
            placed = self._paster(picture, toon, region, head, tinted=self._tinted)
            if item.opacity < 1:
                placed = Layers.of_photo(_between(picture.flat(), placed.flat(), item.opacity))
            picture = replace(placed, grain=False)
        return picture.flat()

    def _measure(self, rgb: RGB, items: list[Placed]) -> None:
        """Find where heads are: by the networks in every other frame of a clip and where somebody
        appears, by how faces moved between."""
        self._turn = (self._turn + 1) % EVERY
        faces = {item.person: item.region.face for item in items}
        if self._memory is None or self._turn == 0 or not faces.keys() <= self._heads.keys():
            found = self._paster.measure(
                rgb, list(faces.values()), people=list(faces), memory=self._memory
            )
            self._heads, self._turn = dict(zip(faces, found, strict=True)), 0
            return
        heads = {person: self._heads[person] for person in faces}
        self._heads = {
            person: None if head is None else head.moved(faces[person])
            for person, head in heads.items()
        }

    def forget(self, keep: set[int]) -> None:
        """As the style does; heads that aren't seen any more are forgotten frame by frame."""
        self._style.forget(keep)

    def state(self) -> dict[str, np.ndarray]:
        """Arrays by name, for `restore`."""
        own = {} if self._memory is None else self._memory.state()
        arrays = {f"heads.{name}": value for name, value in own.items()}
        arrays["turn"] = np.array([self._turn])
        for person, head in self._heads.items():
            found = {} if head is None else head.state()
            arrays[f"head.{person}.found"] = np.array([head is not None])
            arrays |= {f"head.{person}.{name}": value for name, value in found.items()}
        return arrays | {f"style.{name}": value for name, value in self._style.state().items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `state()`."""

        def of(prefix: str) -> dict[str, np.ndarray]:
            return {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}

        self._style.restore(of("style."))
        if self._memory is not None:
            self._memory = Memory.restored(of("heads."))
        self._turn = int(arrays["turn"][0]) if "turn" in arrays else 0
        self._heads = {}
        for key, found in of("head.").items():
            person, _, name = key.partition(".")
            if name == "found":
                own = of(f"head.{person}.")
                self._heads[int(person)] = MeasuredHead.restored(own) if found[0] else None


def _between(before: RGB, after: RGB, share: float) -> RGB:
    return np.asarray(cv2.addWeighted(after, share, before, 1 - share, 0), np.uint8)
