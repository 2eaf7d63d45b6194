"""Drawings that follow the clip's own motion from frame to frame."""

from itertools import pairwise

import numpy as np
import pytest

from toonify.engines.base import FrameCompositor
from toonify.video.compositor import Compositor, compositor_of
from toonify.video.steadied import Steadied

SIZE = 96


class Boiling:
    """Draws a frame with strokes that are others each time; within `box` alone, if given."""

    def __init__(self, box=None, amount: int = 40) -> None:
        self.scenes, self.box, self.amount = box is None, box, amount
        self.random = np.random.default_rng(1)

    def compose(self, rgb, items):
        noise = self.random.integers(-self.amount, self.amount + 1, rgb.shape)
        drawn = np.clip(rgb.astype(int) + noise, 0, 255).astype(np.uint8)
        if self.box is None:
            return drawn
        out = rgb.copy()
        out[self.box] = drawn[self.box]
        return out

    def forget(self, keep):
        self.kept = keep

    def state(self):
        return {"own": np.arange(3)}

    def restore(self, arrays):
        self.restored = dict(arrays)


def clip(count: int, *, step: int = 2, seed: int = 0) -> list[np.ndarray]:
    """A textured picture that moves to the left."""
    random = np.random.default_rng(seed)
    coarse = random.integers(40, 216, (16, 16 + count, 3), dtype=np.uint8)
    wide = np.kron(coarse, np.ones((6, 6, 1), np.uint8))
    return [wide[:, i * step : i * step + SIZE] for i in range(count)]


def flicker(drawn, step: int = 2) -> float:
    """Mean difference to the drawing before, moved by what is known of the clip."""
    differences = [
        np.abs(a[:, step:].astype(int) - b[:, :-step]).mean() for a, b in pairwise(drawn[2:])
    ]
    return float(np.mean(differences))


def test_strokes_stay_with_what_moves() -> None:
    frames = clip(10)
    engine = Boiling()
    plain = [engine.compose(frame, []) for frame in frames]
    steadied = Steadied(Boiling(), 0.5)
    drawn = [steadied.compose(frame, []) for frame in frames]
    assert drawn[0].shape == frames[0].shape and drawn[0].dtype == np.uint8
    assert flicker(drawn) < 0.6 * flicker(plain)
    # what is there is what the frame shows, not what the one before did
    assert np.abs(drawn[-1].astype(int) - frames[-1]).mean() < 25


def test_nothing_of_another_shot_is_left() -> None:
    steadied, other = Steadied(Boiling(amount=0), 1.0), clip(1, seed=5)[0]
    for frame in clip(4):
        steadied.compose(frame, [])
    assert np.abs(steadied.compose(255 - other, []).astype(int) - (255 - other)).mean() < 1
    larger = np.zeros((SIZE * 2, SIZE, 3), np.uint8)
    assert steadied.compose(larger, []).shape == larger.shape


def test_what_is_not_drawn_stays_the_clips_own() -> None:
    box = np.s_[30:60, 30:60]
    steadied = Steadied(Boiling(box), 1.0)
    for frame in clip(5):
        drawn = steadied.compose(frame, [])
        outside = np.ones((SIZE, SIZE), bool)
        outside[box] = False
        assert np.array_equal(drawn[outside], frame[outside])


def test_a_clip_goes_on_as_if_it_had_never_stopped() -> None:
    frames = clip(6)
    whole, first = Steadied(Boiling(), 0.5), Steadied(Boiling(), 0.5)
    expected = [whole.compose(frame, []) for frame in frames]
    for frame in frames[:3]:
        first.compose(frame, [])
    inner = Boiling()
    inner.random = np.random.default_rng(1)
    for frame in frames[:3]:
        inner.compose(frame, [])
    second = Steadied(inner, 0.5)
    second.restore(first.state())
    assert np.array_equal(inner.restored["own"], np.arange(3))
    for frame, wanted in zip(frames[3:], expected[3:], strict=True):
        assert np.array_equal(second.compose(frame, []), wanted)
    fresh = Steadied(Boiling(), 0.5)
    assert set(fresh.state()) == {"inner.own"}


@pytest.mark.parametrize("own", [True, False])
def test_without_smoothing_every_frame_is_for_itself(own: bool) -> None:
    class Engine:
        def compositor(self, smooth: float) -> FrameCompositor | None:
            return Boiling() if own else None

    engine = Engine()
    assert isinstance(compositor_of(engine, 0), Boiling if own else Compositor)
    assert isinstance(compositor_of(engine, 0.5), Steadied)
