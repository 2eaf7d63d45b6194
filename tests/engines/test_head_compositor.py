"""Clips of characters: heads in frames that a style draws."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from toonify.bundle import bundle_folder
from toonify.engines.base import Placed
from toonify.engines.head_compositor import HeadCompositor
from toonify.engines.head_paste import HeadPaster
from toonify.faces import Alignment, align, get_detector
from toonify.lut import CharacterTable

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.png"
BLUE = (40, 60, 160)


class BlueStyle:
    """Draws every frame blue, and counts them."""

    scenes = True

    def __init__(self):
        self.frames = 0

    def compose(self, rgb, items):
        self.frames += 1
        return np.full_like(rgb, BLUE)

    def forget(self, keep):
        pass

    def state(self):
        return {"frames": np.array([self.frames])}

    def restore(self, arrays):
        self.frames = int(arrays["frames"][0])


@pytest.fixture(scope="module")
def paster():
    return HeadPaster.from_bundle("default")


@pytest.fixture(scope="module")
def frame():
    return cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB)[:320, 60:400].copy()


@pytest.fixture(scope="module")
def placed(frame):
    table = CharacterTable.load(bundle_folder("default") / "characters.safetensors")
    region = align(frame, get_detector("mtcnn").detect(frame)[0], 128)
    return lambda opacity=1.0: Placed(1, table["bram"].preview, region, opacity)


def test_heads_are_set_into_drawn_frames(frame, paster, placed):
    compositor = HeadCompositor(BlueStyle(), paster, 0.5, tinted=False)
    assert compositor.scenes
    assert (compositor.compose(frame, []) == BLUE).all()
    whole = compositor.compose(frame, [placed()]).astype(int)
    away = np.abs(whole - BLUE).sum(2)
    assert away[120:180, 140:180].mean() > 150 and away[250:].max() == 0  # no clothes of bram's
    half = HeadCompositor(BlueStyle(), paster, 0, tinted=False).compose(frame, [placed(0.5)])
    assert 0.3 < np.abs(half.astype(int) - BLUE).sum() / away.sum() < 0.7


def test_a_clip_goes_on_from_its_state(frame, paster, placed):
    first = HeadCompositor(BlueStyle(), paster, 0.5, tinted=False)
    darker = np.asarray(frame * 0.9, np.uint8)
    first.compose(frame, [placed()])
    second = HeadCompositor(BlueStyle(), paster, 0.5, tinted=False)
    second.restore(first.state())
    assert second.state()["style.frames"][0] == 1
    out = [compositor.compose(darker, [placed()]) for compositor in (first, second)]
    assert np.array_equal(*out)


class CountingPaster(HeadPaster):
    """Counts how often it looks at whom."""

    looks: ClassVar[list[list[int]]] = []

    def measure(self, photo, faces, *, people=None, memory=None):
        self.looks.append(list(people))
        return super().measure(photo, faces, people=people, memory=memory)


def test_heads_are_measured_in_every_other_frame(frame, placed):
    paster = CountingPaster.from_bundle("default")
    compositor = HeadCompositor(BlueStyle(), paster, 0.5, tinted=False)
    first, second = (replace(placed(), person=person) for person in (1, 2))
    steady = compositor.compose(frame, [first])
    away = np.abs(compositor.compose(frame, [first]).astype(int) - steady)
    assert away.mean() < 1
    compositor.compose(frame, [first])
    compositor.compose(frame, [first, second])  # somebody appears
    compositor.compose(frame, [first, second])
    compositor.compose(frame, [second])
    assert paster.looks == [[1], [1], [1, 2], [2]]
    shifted = np.roll(frame, 6, axis=1)
    matrix = first.region.matrix + np.array([[0, 0, 6], [0, 0, 0]])
    face = first.region.face
    face = replace(face, points5=face.points5 + np.float32([6, 0]), box=face.box + 6)
    moved = replace(second, region=Alignment(first.region.image, matrix, face))
    out = compositor.compose(shifted, [moved])
    assert len(paster.looks) == 4
    seen = np.abs(np.roll(out, -6, axis=1)[:, :-8].astype(int) - steady[:, :-8])
    assert seen.mean() < 2, "the head moves with its face"


def test_a_clip_goes_on_between_two_looks(frame, paster, placed):
    first = HeadCompositor(BlueStyle(), paster, 0.5, tinted=False)
    first.compose(frame, [placed()])
    first.compose(frame, [placed()])
    first.compose(frame, [placed()])
    second = HeadCompositor(BlueStyle(), paster, 0.5, tinted=False)
    second.restore(first.state())
    out = [compositor.compose(frame, [placed()]) for compositor in (first, second)]
    assert np.array_equal(*out)
