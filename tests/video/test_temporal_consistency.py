"""TemporalConsistency: what is as steady as the clip, what flickers, what has more edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from toonify.video.steadied import Steadied
from toonify.video.temporal_consistency import TemporalConsistency

BOX = [np.array([16, 16, 80, 80], np.float32)]


class Drawing:
    """Draws frames darker."""

    scenes = True

    def compose(self, rgb, items):
        return rgb // 2


def pictures(count: int = 4) -> list[np.ndarray]:
    """A soft texture that moves a pixel to the right each frame."""
    noise = np.random.default_rng(0).uniform(60, 180, (96, 128, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 3) * 2 - 120
    return [np.clip(np.roll(soft, n, axis=1), 0, 255).astype(np.uint8) for n in range(count)]


def measured(drawn: list[np.ndarray]) -> dict[str, float]:
    consistency = TemporalConsistency()
    for rgb, toon in zip(pictures(), drawn, strict=True):
        consistency.add(rgb, toon, BOX)
    record = consistency.record()
    assert record is not None
    return record


def test_the_clip_itself_is_as_steady_as_the_clip() -> None:
    record = measured(pictures())
    assert record["ratio"] == record["contrast"] == 1


def test_flicker_counts_and_contrast_is_told_apart() -> None:
    flickering = [np.clip(p.astype(int) + 20 * (n % 2), 0, 255) for n, p in enumerate(pictures())]
    record = measured([p.astype(np.uint8) for p in flickering])
    assert record["after"] > record["before"] + 10
    assert record["contrast"] == pytest.approx(1, abs=0.05)
    bold = [np.clip((p.astype(int) - 120) * 2 + 120, 0, 255).astype(np.uint8) for p in pictures()]
    record = measured(bold)
    assert record["contrast"] == pytest.approx(2, abs=0.25)
    assert record["ratio"] < 2.5


def test_it_goes_on_from_a_state() -> None:
    consistency, frames = TemporalConsistency(), pictures()
    for rgb in frames[:2]:
        consistency.add(rgb, rgb, BOX)
    again = TemporalConsistency()
    again.restore(consistency.state())
    assert again.record() == consistency.record()


def test_nothing_to_compare() -> None:
    consistency, frames = TemporalConsistency(), pictures()
    consistency.add(frames[0], frames[0], BOX)
    consistency.pause()
    consistency.add(frames[1], frames[1], BOX)
    assert consistency.record() is None


def test_a_flow_that_is_known_is_not_computed_again() -> None:
    steadied = Steadied(Drawing(), 0.5)
    own, shared = TemporalConsistency(), TemporalConsistency()
    shared._flow = None  # type: ignore[assignment]
    for rgb in pictures():
        toon = steadied.compose(rgb, [])
        own.add(rgb, toon, BOX)
        shared.add(rgb, toon, BOX, flow=steadied.flow)
    assert own.record() == pytest.approx(shared.record(), abs=0.05)
