"""Drawings in a person's colors."""

import cv2
import numpy as np
import pytest

from toonify.engines.own_colors import in_own_colors
from toonify.faces.parsing import GLASSES, LABELS, Parsing

SIDE = 128
DARK = (30.0, 12.0, 16.0)


def seen():
    labels = np.zeros((SIDE, SIDE, len(LABELS)), np.float32)
    labels[:40, :, LABELS.index("hair")] = 1
    labels[40:100, :, LABELS.index("skin")] = 1
    labels[100:, :, LABELS.index("clothes")] = 1
    return Parsing(labels, {kind: float(kind == "none") for kind in GLASSES}, 0.0, 0.0, 0.0)


def drawing():
    toon = np.empty((SIDE, SIDE, 3), np.uint8)
    toon[:40], toon[40:100], toon[100:] = (90, 60, 30), (230, 190, 170), (40, 120, 60)
    toon[70:72] = (60, 40, 30)  # a line
    return toon


def lab(rgb):
    return cv2.cvtColor(np.float32([[rgb]]) / 255, cv2.COLOR_RGB2LAB)[0, 0]


def test_skin_takes_the_color_and_lines_stay_darker():
    out = in_own_colors(drawing(), seen(), skin=DARK, hair=None)
    assert lab(out[55, 60]) == pytest.approx(DARK, abs=4)
    assert lab(out[70, 60])[0] < 0.6 * DARK[0]
    assert np.array_equal(out[110:], drawing()[110:])
    assert np.abs(out[:30].astype(int) - drawing()[:30]).max() <= 1


def test_half_a_share_moves_half_the_way_and_hair_for_itself():
    half = in_own_colors(drawing(), seen(), skin=DARK, hair=None, share=0.5)
    was, now = drawing()[55, 60].astype(float), half[55, 60].astype(float)
    whole = in_own_colors(drawing(), seen(), skin=DARK, hair=None)[55, 60].astype(float)
    assert now == pytest.approx((was + whole) / 2, abs=1.5)
    gray = in_own_colors(drawing(), seen(), skin=None, hair=(40.0, 0.0, 0.0))
    assert lab(gray[15, 60]) == pytest.approx((40, 0, 0), abs=4)
    assert np.array_equal(gray[60:68], drawing()[60:68])
