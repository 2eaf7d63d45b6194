"""From a source through a renderer to a sink, measured as it runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from toonify.faces.types import RGB
from toonify.live.sinks import Sink
from toonify.live.source import LiveSource

_WINDOW = 60  # frames that figures of the moment are of


class Renderer(Protocol):
    """Draws frames, see `LiveRenderer`."""

    def draw(self, rgb: RGB) -> tuple[RGB, int]: ...


@dataclass(frozen=True)
class Statistics:
    """How a session goes.

    Attributes:
        frames: drawn and shown.
        skipped: that came while another was drawn.
        fps: frames shown a second.
        latency: median seconds from a frame's coming to its being shown.
        people: in the last frame.
    """

    frames: int
    skipped: int
    fps: float
    latency: float
    people: int


class Session:
    """One run.

    Args:
        source: gives frames.
        renderer: draws them.
        sink: shows them.
    """

    def __init__(self, source: LiveSource, renderer: Renderer, sink: Sink) -> None:
        self.source, self.renderer, self.sink = source, renderer, sink

    def run(
        self,
        *,
        seconds: float | None = None,
        progress: Callable[[Statistics], None] = lambda statistics: None,
    ) -> Statistics:
        """Draw until the source or the viewer ends, or for some seconds.

        Returns:
            figures of the whole session.

        Raises:
            InputError: the source or the sink fails.
        """
        begun = time.perf_counter()
        last, frames, skipped, people = -1, 0, 0, 0
        delays: list[float] = []
        times: deque[float] = deque(maxlen=_WINDOW)
        while seconds is None or time.perf_counter() - begun < seconds:
            captured = self.source.newest(after=last)
            if captured is None:
                break
            skipped += captured.number - last - 1
            last = captured.number
            drawn, people = self.renderer.draw(captured.rgb)
            go_on = self.sink.show(drawn)
            now = time.perf_counter()
            frames += 1
            delays.append(now - captured.at)
            times.append(now)
            span = times[-1] - times[0]
            pace = (len(times) - 1) / span if span > 0 else 0.0
            recent = float(np.median(delays[-_WINDOW:]))
            progress(Statistics(frames, skipped, pace, recent, people))
            if not go_on:
                break
        passed = max(time.perf_counter() - begun, 1e-6)
        median = float(np.median(delays)) if delays else 0.0
        return Statistics(frames, skipped, frames / passed, median, people)
