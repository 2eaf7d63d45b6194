"""Strands of hair as strokes, on combed pictures."""

import numpy as np

from toonify.portrait.fields import Streamlines, blur, f32, signed_distance
from toonify.portrait.shapes import raster_mask
from toonify.portrait.strands import SHORTEST, strand_lines, strand_strokes

SIZE = 160


def combed(angle):
    """(SIZE, SIZE): dark lines 16 px apart at an angle to the horizontal."""
    yy, xx = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    across = -xx * np.sin(angle) + yy * np.cos(angle)
    return f32(np.cos(across * 2 * np.pi / 16))


def lines_of(strength, *, most=40):
    inside = np.zeros((SIZE, SIZE), np.float32)
    inside[20:140, 20:140] = 1
    flow = Streamlines(50 - 20 * strength, sigma=1.2, spread=5.0, reach=24)
    room = signed_distance(blur(inside, 1.3))
    return room, strand_lines(strength, room, flow, 1.0, most=most)


def test_lines_are_traced_along_the_flow():
    flow = Streamlines(combed(0.5), sigma=1.2, spread=5.0, reach=24)

    (line,) = flow.trace(f32([[80, 80]]), step=3.0, count=10, spread=5.0)

    along = line[-1] - line[0]
    assert line.shape == (21, 2)
    assert np.allclose(line[10], [80, 80])
    angle = np.arctan2(along[1], along[0]) % np.pi
    assert abs(angle - 0.5) < 0.05


def test_strands_follow_hair_and_keep_apart():
    room, strands = lines_of(combed(0.5))

    assert 4 <= len(strands) <= 20
    drawn = np.zeros((SIZE, SIZE), int)
    for points, strength in strands:
        assert len(points) >= SHORTEST and strength > 0
        steps = np.diff(points, axis=0)
        angles = np.arctan2(steps[:, 1], steps[:, 0]) % np.pi
        assert np.abs(angles - 0.5).max() < 0.2
        at = np.rint(points).astype(int)
        assert (room[at[:, 1], at[:, 0]] > -1).all()
        drawn += raster_mask(strand_strokes([(points, strength)], 3.0), (SIZE, SIZE)) > 128
    assert (drawn > 1).sum() < 0.05 * (drawn > 0).sum()


def test_no_more_strands_than_asked_for_and_none_on_smooth_hair():
    assert len(lines_of(combed(0.5), most=3)[1]) == 3
    assert lines_of(f32(np.full((SIZE, SIZE), -0.2)))[1] == []
