"""Drawings of networks made crisp: edges, flat areas, eyes, halftone and paper."""

import cv2
import numpy as np

from toonify.portrait.crisp import ENLARGED, crisp
from toonify.portrait.printing import print_people
from toonify.portrait.shock_filter import shock_filter
from toonify.portrait.styles import STYLES


def ramp(width):
    """A soft edge from dark to light, 64 px wide."""
    x = np.arange(96, dtype=np.float32) - 48
    level = 60 + 120 / (1 + np.exp(-x / width))
    return np.repeat(np.uint8(np.rint(level))[None, :, None], 64, 0).repeat(3, 2)


def steepest(rgb):
    return np.abs(np.diff(np.float32(rgb[32, :, 0]))).max()


def test_soft_edges_become_steps_and_stay_where_they_are():
    soft = ramp(3.0)
    sharp = shock_filter(soft)
    assert steepest(sharp) > 2 * steepest(soft)
    assert abs(int((sharp[32, :, 0] > 120).argmax()) - int((soft[32, :, 0] > 120).argmax())) <= 1
    assert sharp.min() >= soft.min() and sharp.max() <= soft.max()  # no ringing
    flat = np.full((40, 50, 3), (90, 120, 200), np.uint8)
    assert np.array_equal(shock_filter(flat), flat)


def test_lines_stay_whole():
    page = np.full((80, 80, 3), 200, np.uint8)
    cv2.line(page, (8, 20), (72, 60), (30, 30, 30), 3, cv2.LINE_AA)
    soft = cv2.GaussianBlur(page, (0, 0), 1.5)
    sharp = shock_filter(soft)
    along = [sharp[round(20 + (x - 8) * 40 / 64), x, 0] for x in range(14, 67)]
    assert max(along) <= 130 and np.mean(along) < np.mean(
        [soft[round(20 + (x - 8) * 40 / 64), x, 0] for x in range(14, 67)]
    )


def test_faint_shades_are_leveled_but_for_eyes():
    rng = np.random.default_rng(0)
    drawn = np.uint8(np.clip(140 + rng.normal(0, 4, (60, 80, 3)), 0, 255))
    eyes = np.float32([[25, 30], [55, 30]])
    plain, kept = crisp(drawn), crisp(drawn, [eyes])
    assert plain.shape == (round(60 * ENLARGED), round(80 * ENLARGED), 3)
    at = (np.rint(eyes[0] * ENLARGED)).astype(int)
    near = np.s_[at[1] - 6 : at[1] + 7, at[0] - 6 : at[0] + 7]
    assert plain.std() < 0.6 * drawn.std() and kept[near].std() > 1.5 * plain[near].std()
    assert np.array_equal(plain[:10], kept[:10])


def test_shade_becomes_dots_and_black_clothes_black():
    people = np.full((120, 160, 3), (210, 160, 130), np.uint8)
    people[40:, :50] = (120, 80, 60)  # skin in shade
    people[80:, 80:] = (22, 24, 30)  # a dark coat
    drawn = print_people(people, STYLES["comic"], 60.0)
    assert drawn[60:100, 10:40, 0].std() > 8
    assert drawn[90:, 90:].max() < 15
    assert np.abs(np.int32(drawn[:20, 100:]) - people[:20, 100:]).max() <= 2
    assert print_people(people, STYLES["ink"], 60.0) is people


def test_washes_are_paler():
    people = np.full((20, 20, 3), (120, 70, 60), np.uint8)
    drawn = print_people(people, STYLES["wash"], 60.0)
    assert (drawn.mean((0, 1)) > people.mean((0, 1)) + 10).all()
