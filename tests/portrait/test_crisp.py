"""Drawings of networks made crisp: edges, flat areas, eyes, halftone and paper."""

import cv2
import numpy as np

from toonify.portrait.crisp import (
    ENLARGED,
    box_around,
    crisp,
    crisp_eyes,
    lay_eyes_in,
    lay_in,
    scaled_box,
    tone_teeth,
)
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


def test_faint_shades_are_leveled():
    rng = np.random.default_rng(0)
    drawn = np.uint8(np.clip(140 + rng.normal(0, 4, (60, 80, 3)), 0, 255))
    plain = crisp(drawn)
    assert plain.shape == (round(60 * ENLARGED), round(80 * ENLARGED), 3)
    assert plain.std() < 0.6 * drawn.std() < crisp_eyes(drawn).std()


def test_parts_are_laid_in_softly_and_eyes_alone():
    picture, white = np.zeros((100, 120, 3), np.uint8), np.full((10, 10, 3), 255, np.uint8)
    lay_in(picture, white, (20, 30, 80, 90))
    assert picture[60, 50, 0] == 255 and not picture[:30].any() and not picture[:, 80:].any()
    assert 0 < picture[34, 50, 0] < 255
    picture[:] = 0
    lay_eyes_in(picture, white, (0, 0, 120, 100), np.float32([[40, 50], [80, 50]]))
    assert picture[50, 40].all() and picture[50, 80].all() and not picture[50, 60].any()
    assert box_around(np.float32([5, 50]), 20, (120, 100)) == (0, 30, 25, 70)
    assert box_around(np.float32([-40, 50]), 20, (120, 100)) is None
    eyes = np.float32([[40, 50], [80, 60]])
    assert box_around(eyes, 15, (120, 100)) == (25, 35, 95, 75)
    assert scaled_box((0, 30, 25, 70), 2.0) == (0, 60, 50, 140)


def test_teeth_are_as_light_as_they_were():
    drawn = np.full((100, 120, 3), (200, 120, 110), np.uint8)
    drawn[45:55, 40:80] = 255
    photo = np.full((100, 120, 3), (150, 100, 90), np.uint8)
    photo[45:55, 40:80] = (180, 170, 150)
    before = drawn.copy()
    tone_teeth(drawn, photo, (0, 0, 120, 100), np.float32([[35, 50], [85, 50]]))
    teeth = drawn[49:51, 50:70].mean((0, 1))
    assert teeth.max() < 215 and teeth.min() > 150
    assert np.array_equal(drawn[:30], before[:30])
    assert np.abs(np.int32(drawn[70:]) - before[70:]).max() <= 1


def test_shade_becomes_dots_and_black_clothes_black():
    people = np.full((120, 160, 3), (210, 160, 130), np.uint8)
    people[40:, :50] = (120, 80, 60)  # skin in shade
    people[80:, 80:] = (22, 24, 30)  # a dark coat
    drawn = print_people(people, STYLES["comic"], 60.0)
    assert drawn[60:100, 10:40, 0].std() > 8
    assert drawn[90:, 90:].max() < 15
    assert np.abs(np.int32(drawn[:20, 100:]) - people[:20, 100:]).max() <= 2
    assert print_people(people, STYLES["ink"], 60.0) is people


def test_washes_are_paler_but_for_skin():
    people = np.full((20, 40, 3), (60, 70, 120), np.uint8)
    people[:, 20:] = (150, 95, 80)
    drawn = print_people(people, STYLES["wash"], 60.0)
    assert (drawn[:, :20].mean((0, 1)) > people[0, 0] + 8).all()
    assert np.abs(drawn[:, 20:].mean((0, 1)) - people[0, 20]).max() < 3
