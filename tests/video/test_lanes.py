"""Faces are drawn while the frames before are composed."""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
import pytest

from tests.video.people import Detector, SquaresEngine, frame
from toonify.errors import ModelError
from toonify.faces.tracking import Tracker
from toonify.media.video import VideoFrame
from toonify.video import CharacterAssignment
from toonify.video.pipeline import Pipeline

WAIT = 20  # seconds, at most


class Meeting(SquaresEngine):
    """Its third block is drawn only while the first one is composed, which waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.drawing, self.composing = threading.Event(), threading.Event()
        self.blocks = 0

    def render(self, regions, latents, characters):
        self.blocks += 1
        if self.blocks == 2:
            self.drawing.set()
            assert self.composing.wait(WAIT)
        return super().render(regions, latents, characters)

    def matte(self, region, toon):
        self.composing.set()
        assert self.drawing.wait(WAIT)
        return super().matte(region, toon)


def run(engine, count: int):
    pictures = [frame({0: (10 + n, 20)}) for n in range(count)]
    pipeline = Pipeline(
        engine,
        Tracker(Detector()),
        CharacterAssignment([], engine.characters),
        smooth=0.5,
        time_base=Fraction(1, 25),
    )
    return pipeline.run(VideoFrame(n, n, picture) for n, picture in enumerate(pictures))


def test_a_block_is_drawn_while_another_is_composed():
    at_once = [d for block in run(Meeting(), 32) for d in block]
    alone = [d for block in run(SquaresEngine(), 32) for d in block]
    for a, b in zip(at_once, alone, strict=True):
        assert a.frame.index == b.frame.index and np.array_equal(a.pixels, b.pixels)


@pytest.mark.parametrize("method", ["render", "matte"])
def test_what_goes_wrong_beside_comes_out(monkeypatch, method):
    def broken(*_):
        raise ModelError("it is broken")

    engine = SquaresEngine()
    monkeypatch.setattr(engine, method, broken)
    with pytest.raises(ModelError, match="it is broken"):
        list(run(engine, 40))
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPool")]
