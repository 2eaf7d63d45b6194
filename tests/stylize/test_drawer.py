"""What draws a batch: whole pictures in turn, or side by side."""

import threading

import cv2
import numpy as np
import pytest

from tests.fake_engine import FakeEngine
from toonify.stylize.drawer import LARGE, Drawer
from toonify.stylize.photo import Whole


class Together(FakeEngine):
    """Draws a picture once as many others are being drawn as it waits for."""

    def __init__(self, gate=None):
        super().__init__()
        self.gate, self.drawn, self.threads = gate, 0, []

    def draw_image(self, rgb, characters, *, faces):
        if rgb[0, 0, 0] == 13:
            raise ValueError("an unlucky picture")
        if self.gate is not None:
            self.gate.wait(20)
        self.drawn += 1
        self.threads.append(cv2.getNumThreads())
        return [rgb + 1 for _ in characters]


def pictures(*levels, side=4):
    return [Whole(np.full((side, side, 3), level, np.uint8), []) for level in levels]


@pytest.fixture
def threads():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield
    cv2.setNumThreads(before)


def test_pictures_are_drawn_side_by_side_in_their_order(threads):
    gate = threading.Barrier(2)
    first, second = Together(gate), Together(gate)
    drawer = Drawer(first, together=4, more=lambda: second, at_once=2)
    rows = drawer.draw(pictures(1, 2, 3, 4), [("mina", "otto")] * 4)
    assert [row[1][0, 0, 0] for row in rows] == [2, 3, 4, 5]
    assert first.drawn == second.drawn == 2  # the barrier lets them pass two by two
    assert first.threads == second.threads == [1, 1] and cv2.getNumThreads() == 3


def test_a_failure_is_its_own_pictures(threads):
    drawer = Drawer(Together(), together=4, more=Together, at_once=2)
    rows = drawer.draw(pictures(1, 13, 3), [("mina",)] * 3)
    assert isinstance(rows[1], ValueError)
    assert [rows[at][0][0, 0, 0] for at in (0, 2)] == [2, 4]
    assert cv2.getNumThreads() == 3


def test_large_pictures_and_single_ones_are_drawn_in_turn(threads):
    def more():
        raise AssertionError("nobody else is needed")

    drawer = Drawer(engine := Together(), together=4, more=more, at_once=2)
    side = int(LARGE**0.5) + 1
    drawer.draw(pictures(1, 2, side=side), [("mina",)] * 2)
    drawer.draw(pictures(1), [("mina",)])
    assert engine.threads == [3, 3, 3]
