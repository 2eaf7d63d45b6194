"""Drawn frames made steady: what moves with the clip keeps its strokes.

As in work on video style transfer (Ruder et al., arXiv 1604.08610; Lai et al., arXiv 1808.00449)
the drawing before is moved along by the clip's own optical flow and mixed into the new one, as far
as the clip itself is found where the flow says.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from toonify.engines.base import FrameCompositor, Placed
from toonify.faces.types import RGB, Points, f32
from toonify.utils.optical_flow import moved

LONGEST = 400  # px, at which flow is measured
MOST_KEPT = 0.85  # of the drawing before, where it fits and `smooth` is 1
STILL = 0.15  # px of flow that count as none: moved again and again, pictures blur
FITS = 9.0  # levels of 255 that a frame may differ from the one before, moved
CHANGED = 0.35  # share that fits, below which the shot is another


class Steadied:
    """Another compositor's frames, what is drawn mixed with the drawing before it, moved along.

    Args:
        inner: draws whole frames.
        smooth: above 0 to 1.

    Attributes:
        flow: (h, w, 2), of the last frame, reduced: px of it that lead from each of its pixels to
            the same place in the frame before; None where there is none.
    """

    def __init__(self, inner: FrameCompositor, smooth: float) -> None:
        self.scenes = inner.scenes
        self._inner, self._kept = inner, MOST_KEPT * min(1.0, 0.55 + 0.45 * smooth)
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._last: tuple[np.ndarray, RGB] | None = None  # the frame, small and gray; its drawing
        self.flow: Points | None = None

    def compose(self, rgb: RGB, items: list[Placed]) -> RGB:
        """A frame (H, W, 3) uint8 drawn, of the same size."""
        drawn = self._inner.compose(rgb, items)
        k = min(LONGEST / max(rgb.shape[:2]), 1)
        size = (max(round(rgb.shape[1] * k), 16), max(round(rgb.shape[0] * k), 16))
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        self.flow = None
        if self._last is not None and self._last[1].shape == drawn.shape:
            before = self._last[0]
            self.flow = f32(self._flow.calc(gray, before, np.zeros((*gray.shape, 2), np.float32)))
            changed = None if self.scenes else (drawn != rgb).any(2)
            drawn = self._mixed(drawn, changed, gray, *self._last, self.flow.copy())
        self._last = gray, drawn
        return drawn

    def _mixed(
        self,
        drawn: RGB,
        changed: np.ndarray | None,
        gray: np.ndarray,
        before: np.ndarray,
        earlier: RGB,
        flow: Points,
    ) -> RGB:
        flow[np.hypot(flow[..., 0], flow[..., 1]) < STILL] = 0
        there = f32(moved(before, flow))
        error = cv2.GaussianBlur(f32(np.abs(f32(gray) - there)), (0, 0), 1.5)
        fits = np.exp(-np.square(error / FITS))
        if float(fits.mean()) < CHANGED:
            return drawn
        height, width = drawn.shape[:2]
        flow *= np.array([width / gray.shape[1], height / gray.shape[0]], np.float32)
        large = f32(cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR))
        share = self._kept * f32(cv2.resize(fits, (width, height), interpolation=cv2.INTER_LINEAR))
        if changed is not None:  # what isn't drawn stays the clip's own
            share = share * cv2.erode(changed.astype(np.float32), np.ones((3, 3), np.uint8))
        along = np.asarray(moved(earlier, large, cv2.INTER_CUBIC), np.uint8)
        return np.asarray(cv2.blendLinear(along, drawn, f32(share), f32(1 - share)), np.uint8)

    def forget(self, keep: set[int]) -> None:
        """Drop what is remembered of everybody but `keep`."""
        self._inner.forget(keep)

    def state(self) -> dict[str, np.ndarray]:
        """Arrays by name, for `restore`."""
        arrays = {f"inner.{name}": value for name, value in self._inner.state().items()}
        if self._last is not None:
            arrays["gray"], arrays["drawn"] = self._last
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `state()`."""
        inner = {
            name.removeprefix("inner."): value
            for name, value in arrays.items()
            if name.startswith("inner.")
        }
        self._inner.restore(inner)
        self._last = (arrays["gray"], arrays["drawn"]) if "gray" in arrays else None
