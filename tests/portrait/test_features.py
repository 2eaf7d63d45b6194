"""Features of a face, on pictures made for the purpose."""

import cv2
import numpy as np

from toonify.portrait.features import DEPTH, brow_shape, depth_color, tooth_rows
from toonify.portrait.fields import Streamlines, f32
from toonify.portrait.scene import Head
from toonify.portrait.shapes import Drawing, raster_mask
from toonify.portrait.styles import get_style
from toonify.portrait.subject import Eye, FaceGeometry, Parts

SIZE = (120, 80)  # width, height


def head_of(lab):
    zeros = np.zeros(lab.shape[:2], np.float32)
    parts = Parts(**(dict.fromkeys(Parts.__dataclass_fields__, zeros) | {"skin": zeros + 1}))
    eye = Eye(f32(np.zeros((9, 2))), f32(np.zeros((9, 2))), f32([0, 0]), 1.0)
    face = FaceGeometry(f32(np.zeros((468, 2))), f32(np.zeros((468, 3))), (eye, eye), 0.0, 0.0, 1.0)
    flow = Streamlines(lab[..., 0], sigma=1.2, spread=5.0, reach=24)
    return Head(lab, flow, face, parts, get_style("ink"), Drawing(*SIZE, f32([1, 1, 1])), (0, 0))


def test_a_brow_has_the_silhouette_of_the_photograph():
    # Thick and straight at one end, thin and bent down at the other, above the mesh's axis.
    outline = np.array([[15, 30], [70, 30], [105, 42], [104, 45], [70, 38], [15, 42]])
    seen = np.zeros(SIZE[::-1], np.uint8)
    cv2.fillPoly(seen, [outline], 1)
    lab = np.where(seen[..., None] > 0, f32([25, 8, 10]), f32([70, 14, 18]))
    axis = f32(
        np.stack([np.linspace(15, 105, 24), np.interp(range(24), [0, 14, 23], [38, 38, 44])], 1)
    )
    normal = f32(np.tile([0, 1], (24, 1)))

    rings = brow_shape(head_of(f32(lab)), axis, normal, f32([25, 8, 10]))

    drawn = raster_mask(rings, SIZE) > 128
    assert (drawn & (seen > 0)).sum() / (drawn | (seen > 0)).sum() > 0.8


def test_teeth_are_one_row_from_the_upper_lip_with_a_calm_edge():
    bright = np.zeros((16, 40), bool)
    bright[2:10, 4:36] = True
    bright[2:6, 12] = False  # a gap between two teeth
    bright[10, 20:24] = True

    ((first, top, bottom),) = tooth_rows(bright)

    assert first <= 4 and first + len(top) >= 36
    assert top.max() < 0.1
    middle = bottom[len(bottom) // 3 : -len(bottom) // 3]
    assert middle.min() > 0.5 and np.abs(np.diff(middle)).max() < 0.05
    assert bottom[0] < 0.1 and bottom[-1] < 0.1  # rounded off at the corners


def test_a_laughing_mouth_has_two_rows_and_a_dark_one_none():
    bright = np.zeros((16, 40), bool)
    bright[:5, 3:37] = True
    bright[13:, 6:34] = True

    upper, lower = tooth_rows(bright)

    assert upper[2].max() < 0.45
    assert lower[1].min() > 0.7 and np.all(lower[2] > 0.95)
    assert tooth_rows(np.zeros((16, 40), bool)) == []


def test_a_mouth_is_as_dark_as_it_is_seen():
    lips = f32([62, 34, 6])
    inner = f32(np.zeros((30, 40)))
    inner[5:25, 5:35] = 1
    lit = f32(np.full((30, 40, 3), lips))
    lit[5:12] = [88, 2, 6]  # upper teeth
    lit[12:25] = [46, 30, 2]  # a tongue in the light
    dark = lit.copy()
    dark[12:25] = [9, 12, 6]

    tongue, hole = depth_color(lit, inner, lips), depth_color(dark, inner, lips)

    assert np.allclose(tongue, [46, 30, 2], atol=1)
    assert np.allclose(hole, DEPTH)
    shut = depth_color(lit, inner * 0, lips)
    assert np.allclose(shut, DEPTH)
