"""How steady a clip is: each frame against the one before it, moved along by the optical flow."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from toonify.faces.types import RGB, Points, f32
from toonify.utils.optical_flow import moved

LONGEST = 320  # px, at which it is measured


@dataclass
class TemporalConsistency:
    """Mean difference in levels (0..255) where faces are drawn, of the clip and of the result; all
    over frames that are drawn without a look for faces.

    The flow is that of the original clip (DIS, Kroeger et al., ECCV 2016), as in work on video
    style transfer (Lai et al., arXiv 1808.00449). A drawing's lines differ more when they are a
    fraction of a pixel off: the edges (mean gradient) say how much more of them there are.
    """

    before: float = 0.0
    after: float = 0.0
    edges_before: float = 0.0
    edges_after: float = 0.0
    pairs: int = 0
    _last: tuple[Points, Points, Points] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def add(self, rgb: RGB, drawn: RGB, boxes: list[Points], *, flow: Points | None = None) -> None:
        """The next frame, the result of it, and the boxes (x0, y0, x1, y1) of drawn faces.

        Args:
            flow: of the frame, as of `Steadied`, where it is known already.
        """
        k = min(LONGEST / max(rgb.shape[:2]), 1)
        size = (max(round(rgb.shape[1] * k), 16), max(round(rgb.shape[0] * k), 16))
        if not boxes:
            self._last = None
            return
        gray, toon = (_gray(picture, size) for picture in (rgb, drawn))
        where = np.zeros(size[::-1], np.float32)
        for box in boxes:
            x0, y0, x1, y1 = (max(round(float(v) * k), 0) for v in box)
            where[y0:y1, x0:x1] = 1
        last, self._last = self._last, (gray, toon, where)
        if last is None:
            return
        if flow is None:
            still = np.zeros((*where.shape, 2), np.float32)
            flow = f32(self._flow.calc(_u8(gray), _u8(last[0]), still))
        else:
            ratio = f32([size[0] / flow.shape[1], size[1] / flow.shape[0]])
            flow = f32(cv2.resize(flow, size, interpolation=cv2.INTER_AREA) * ratio)
        both = where * f32(moved(last[2], flow, cv2.INTER_NEAREST, border=cv2.BORDER_CONSTANT))
        if both.sum() < 16:
            return
        for name, now, then in (("before", gray, last[0]), ("after", toon, last[1])):
            value = float((np.abs(now - moved(then, flow)) * both).sum() / both.sum())
            setattr(self, name, getattr(self, name) + value)
            edges = float((_gradient(now) * both).sum() / both.sum())
            setattr(self, f"edges_{name}", getattr(self, f"edges_{name}") + edges)
        self.pairs += 1

    def pause(self) -> None:
        """The next frame is not compared: a cut, or another segment."""
        self._last = None

    def record(self) -> dict[str, float] | None:
        """The means; None when nothing could be compared."""
        if not self.pairs:
            return None
        before, after = self.before / self.pairs, self.after / self.pairs
        return {
            "before": round(before, 3),
            "after": round(after, 3),
            "ratio": round(after / max(before, 1e-6), 3),
            "contrast": round(self.edges_after / max(self.edges_before, 1e-6), 3),
        }

    def state(self) -> list[float]:
        """JSON-able."""
        return [self.before, self.after, self.edges_before, self.edges_after, self.pairs]

    def restore(self, state: list[float]) -> None:
        """Go on from `state()`."""
        self.before, self.after, self.edges_before, self.edges_after = state[:4]
        self.pairs = int(state[4])


def _gradient(gray: Points) -> Points:
    across, down = (cv2.Sobel(gray, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return f32(np.hypot(across, down))


def _gray(rgb: RGB, size: tuple[int, int]) -> Points:
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return f32(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))


def _u8(gray: Points) -> np.ndarray:
    return np.clip(np.rint(gray), 0, 255).astype(np.uint8)
