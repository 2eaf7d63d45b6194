"""Features of a face, on pictures made for the purpose."""

import cv2
import numpy as np

from toonify.portrait.features import brow_shape
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
