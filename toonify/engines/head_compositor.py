"""Characters in clips: frames are drawn in a style, heads are set onto its people."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np

from toonify.engines.base import FrameCompositor, Placed
from toonify.engines.head_paste import HeadPaster
from toonify.faces.types import RGB
from toonify.portrait.layers import Layers
from toonify.portrait.memory import Memory


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

    def compose(self, rgb: RGB, items: list[Placed]) -> RGB:
        """A frame (H, W, 3) uint8 as a drawing of the same size; smaller heads behind larger."""
        items = sorted(items, key=lambda item: item.region.face.size)
        with ThreadPoolExecutor(1) as beside:
            drawn = beside.submit(self._style.compose, rgb, items)
            subjects = self._paster.measure(
                rgb,
                [item.region.face for item in items],
                people=[item.person for item in items],
                memory=self._memory,
            )
        picture = replace(Layers.of_photo(drawn.result()), grain=False)
        for item, subject in zip(items, subjects, strict=True):
            toon, region = item.toon, item.region
            placed = self._paster(picture, toon, region, subject, tinted=self._tinted)
            if item.opacity < 1:
                placed = Layers.of_photo(_between(picture.flat(), placed.flat(), item.opacity))
            picture = replace(placed, grain=False)
        return picture.flat()

    def forget(self, keep: set[int]) -> None:
        """As the style does; heads that aren't seen any more are forgotten frame by frame."""
        self._style.forget(keep)

    def state(self) -> dict[str, np.ndarray]:
        """Arrays by name, for `restore`."""
        own = {} if self._memory is None else self._memory.state()
        arrays = {f"heads.{name}": value for name, value in own.items()}
        return arrays | {f"style.{name}": value for name, value in self._style.state().items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `state()`."""

        def of(prefix: str) -> dict[str, np.ndarray]:
            return {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}

        self._style.restore(of("style."))
        if self._memory is not None:
            self._memory = Memory.restored(of("heads."))


def _between(before: RGB, after: RGB, share: float) -> RGB:
    return np.asarray(cv2.addWeighted(after, share, before, 1 - share, 0), np.uint8)
