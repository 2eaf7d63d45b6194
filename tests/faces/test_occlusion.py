import cv2
import numpy as np
import pytest

from toonify.faces.occlusion import HAND, THING, OcclusionMask
from toonify.faces.parsing import LABELS

SKIN = LABELS.index("skin")


class Labeled:
    """A parser that has seen a rectangle (x0, y0, x1, y1) of one label, and skin around it."""

    def __init__(self, label, box):
        self.label, self.box = label, box

    def __call__(self, crop):
        labels = np.zeros((128, 128, len(LABELS)), np.float32)
        labels[..., SKIN] = 1
        x0, y0, x1, y1 = (round(128 * v) for v in self.box)
        labels[y0:y1, x0:x1] = 0
        labels[y0:y1, x0:x1, self.label] = 1
        return labels


CROP = np.zeros((256, 256, 3), np.uint8)


@pytest.mark.parametrize(
    ("label", "box", "stays"),
    [
        (THING, (0.4, 0.7, 0.6, 1.0), True),  # a microphone before the mouth
        (HAND, (0.1, 0.7, 0.55, 1.0), True),  # a hand at the chin
        (THING, (0.45, 0.65, 0.6, 0.8), True),  # a cup, all before the face
        (HAND, (0.45, 0.65, 0.6, 0.8), False),  # light on a cheek
        (HAND, (0.0, 0.8, 0.15, 1.0), False),  # a hand that waves
        (THING, (0.5, 0.7, 0.54, 0.74), False),  # nothing but noise
        (SKIN, (0.4, 0.7, 0.6, 1.0), False),
    ],
)
def test_what_stands_before_a_face(label, box, stays):
    mask = OcclusionMask(Labeled(label, box))(CROP)
    assert mask.shape == (256, 256) and mask.dtype == np.float32
    middle = mask[round(256 * (box[1] + box[3]) / 2), round(256 * (box[0] + box[2]) / 2)]
    assert middle > 0.95 if stays else mask.max() < 0.01
    assert mask[10, 10] < 0.01


def test_the_network_that_ships_sees_a_hand_or_nothing():
    crop = cv2.GaussianBlur(np.full((256, 256, 3), 120, np.uint8), (0, 0), 3)
    mask = OcclusionMask()(crop)
    assert mask.shape == (256, 256) and mask.min() >= 0 and mask.max() <= 1
