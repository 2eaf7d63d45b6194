"""What one frame of a clip leaves for the next, so that drawings stand still where people do."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from toonify.portrait.fields import Field, blur, f32
from toonify.utils.channels import largest

FIXED = frozenset({"cut", "frame", "count"})  # remembered whatever is seen
CUT = 24.0  # mean difference of lightness, 0..255, between two scenes


class Steady:
    """A view of a `Memory` under one prefix; without one, every value is new."""

    def __init__(self, memory: Memory | None = None, prefix: str = "") -> None:
        self._memory, self._prefix = memory, prefix

    @property
    def remembers(self) -> bool:
        """Whether this is of a clip."""
        return self._memory is not None

    def sub(self, name: str) -> Steady:
        """The view under a longer prefix."""
        return Steady(self._memory, f"{self._prefix}{name}/")

    @property
    def frame(self) -> int:
        """The frame's number in its scene; 0 in a photograph."""
        return 0 if self._memory is None else self._memory.frame

    def get(self, key: str) -> NDArray[np.float32] | None:
        """See `Memory.get`."""
        return None if self._memory is None else self._memory.get(self._prefix + key)

    def average(self, key: str, value: ArrayLike, *, share: float = 0.4) -> Field:
        """See `Memory.average`."""
        if self._memory is None:
            return f32(value)
        return self._memory.average(self._prefix + key, value, share=share)

    def follow(self, key: str, points: Field, slack: float) -> Field:
        """See `Memory.follow`."""
        if self._memory is None:
            return points
        return self._memory.follow(self._prefix + key, points, slack)


class Memory:
    """Running averages by name; empty for photographs, which changes nothing.

    Examples:
        >>> memory = Memory()
        >>> for frame in clip:
        ...     drawing = engine.draw(frame, "ink", memory=memory)
    """

    def __init__(self) -> None:
        self._values: dict[str, NDArray[np.float32]] = {}
        self._seen: set[str] = set()

    @property
    def frame(self) -> int:
        """The frame's number in its scene."""
        count = self._values.get("count")
        return 0 if count is None else int(count[0])

    def begin(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Start a frame (H, W, 3): forget what was not seen in the last one, everything at a cut.

        Returns:
            the frame with the noise of what stands still averaged away.
        """
        small = f32(cv2.resize(rgb, (32, 32), interpolation=cv2.INTER_AREA)).mean(2)
        before = self._values.get("cut")
        if before is not None and float(np.abs(small - before).mean()) > CUT:
            self._values.clear()
        else:
            kept = self._seen | FIXED
            self._values = {k: v for k, v in self._values.items() if k in kept}
        self._seen = set(FIXED)
        self._values["count"] = f32([self.frame + 1 if "count" in self._values else 0])
        self._values["cut"] = small
        last = self._values.get("frame")
        now = f32(rgb)
        if last is not None and last.shape == now.shape:
            moved = blur(largest(np.abs(now - last)), 1.5)
            share = np.clip((moved - 3) / 9, 0.3, 1)[..., None]
            now = f32(last + (now - last) * share)
        self._values["frame"] = now
        return np.rint(now).astype(np.uint8)

    def get(self, key: str) -> NDArray[np.float32] | None:
        """The running average of that name, if there is one."""
        return self._values.get(key)

    def average(self, key: str, value: ArrayLike, *, share: float = 0.4) -> Field:
        """Blend `value` into the running average and return it; new shapes begin anew.

        Args:
            share: of the new value, 0..1.
        """
        new = f32(value)
        old = self._values.get(key)
        if old is not None and old.shape == new.shape:
            new = f32(old + (new - old) * np.float32(share))
        self._values[key] = new
        self._seen.add(key)
        return new

    def follow(self, key: str, points: Field, slack: float) -> Field:
        """Points (N, 2) that may move: shifts well below `slack` px are averaged, larger ones
        followed at once."""
        old = self._values.get(key)
        new = points
        if old is not None and old.shape == points.shape:
            far = np.linalg.norm(points - old, axis=1)
            share = float(np.clip(np.median(far) / slack, 0.3, 1))
            new = f32(old + (points - old) * np.float32(share))
        self._values[key] = new
        self._seen.add(key)
        return new

    def state(self) -> dict[str, NDArray[np.float32]]:
        """Everything remembered, to go on from later; see `restored`."""
        return {k: v for k, v in self._values.items() if k in self._seen}

    @classmethod
    def restored(cls, state: Mapping[str, NDArray[np.float32]]) -> Memory:
        """A memory that goes on from a `state`."""
        memory = cls()
        memory._values = {k: f32(v) for k, v in state.items()}
        memory._seen = set(memory._values)
        return memory


NO_MEMORY = Steady()
