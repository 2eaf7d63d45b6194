"""How long a training still takes, by how long its steps and snapshots took on this machine."""

from __future__ import annotations

import math
import time
from collections import deque

_STEPS = 64  # whole rounds of what comes every 4 or 16 steps
_SECONDS = 60.0


class Pace:
    """The time of a training's steps and of its snapshots, each for itself.

    Steps count by the mean of the last minute, or of the last 64 where that is longer, so that what
    comes every sixteen steps weighs what it costs; the first step, which loads and compiles, does
    only until there is another. Snapshots count by the mean of this run's, and by nothing before
    the first.

    Examples:
        >>> pace = Pace()
        >>> for step in range(steps):
        ...     learn()
        ...     pace.stepped()
        ...     seconds = pace.left(steps - step - 1)
    """

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._steps: deque[float] = deque()
        self._total = 0.0
        self._warm_up: float | None = None
        self._snapshots: list[float] = []

    def _lap(self) -> float:
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        return seconds

    def stepped(self) -> None:
        """A step has been done."""
        seconds = self._lap()
        if self._warm_up is None:
            self._warm_up = seconds
            return
        self._steps.append(seconds)
        self._total += seconds
        while len(self._steps) > _STEPS and self._total - self._steps[0] > _SECONDS:
            self._total -= self._steps.popleft()

    def saved(self) -> None:
        """A snapshot has been kept since the last step."""
        self._snapshots.append(self._lap())

    @property
    def seconds(self) -> float:
        """Of a step; nan before the first."""
        if self._steps:
            return self._total / len(self._steps)
        return math.nan if self._warm_up is None else self._warm_up

    def left(self, steps: float, snapshots: int = 0) -> float:
        """Seconds until so many steps and snapshots are done; nan before the first step."""
        if not steps and not snapshots:
            return 0.0
        each = sum(self._snapshots) / len(self._snapshots) if self._snapshots else 0.0
        return steps * self.seconds + snapshots * each


def snapshots_left(done: int, steps: int, every: int) -> int:
    """How many snapshots follow when `done` steps are: one after every `every`, and at the end.

    Examples:
        >>> [snapshots_left(done, 10, 4) for done in (0, 3, 4, 8, 10)]
        [3, 3, 2, 1, 0]
    """
    return -(-steps // every) - done // every if done < steps else 0
