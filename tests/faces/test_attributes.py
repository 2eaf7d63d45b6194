"""What is seen of a person."""

import cv2
import numpy as np
import pytest

from toonify.faces.attributes import measure_attributes
from toonify.faces.parsing import GLASSES, LABELS, Parsing
from toonify.models.attribute_vector import HAIR, LENGTH, SHAPE, SKIN, WORN

SIDE = 128


class FakeParser:
    """Sees a face in the middle and hair where it is told."""

    def __init__(self, hair, *, glasses="none", beard=0.0, headwear=0.0):
        self.labels = np.zeros((SIDE, SIDE, len(LABELS)), np.float32)
        self.labels[..., 0] = 0.1
        self.labels[50:100, 40:88, LABELS.index("skin")] = 1
        for top, bottom, left, right in hair:
            self.labels[top:bottom, left:right, LABELS.index("hair")] = 1
        self.glasses, self.beard, self.headwear = glasses, beard, headwear

    def parse(self, rgb, *, mirrored=None):
        return Parsing(
            labels=self.labels,
            glasses={kind: float(kind == self.glasses) for kind in GLASSES},
            beard=self.beard,
            moustache=0.0,
            headwear=self.headwear,
        )


def crop():
    rgb = np.full((256, 256, 3), (30, 60, 200), np.uint8)
    rgb[100:200, 80:176] = (120, 80, 60)
    rgb[:80] = (20, 15, 10)
    return rgb


TOP, SIDES = (0, 40, 20, 108), [(40, 90, 0, 22), (40, 90, 106, 128)]


@pytest.mark.parametrize(
    ("hair", "hairdo"),
    [
        ([TOP], "short"),
        ([(0, 10, 40, 80)], "receding"),
        ([TOP, *SIDES], "cloud"),
        ([TOP, *SIDES, (90, 106, 0, 22)], "cloud"),
        ([TOP, *SIDES, (88, 128, 0, 30), (88, 128, 98, 128)], "long"),
        ([TOP, (40, 128, 0, 22)], "long"),
        ([TOP, (100, 128, 90, 128)], "short"),  # somebody else's, apart
    ],
)
def test_hairdos_are_told_by_where_hair_is(hair, hairdo):
    assert measure_attributes(crop(), FakeParser(hair)).hairdo == hairdo
    assert measure_attributes(crop(), FakeParser(hair, headwear=0.9)).hairdo is None


def test_colors_and_what_is_worn_stand_in_the_vector():
    seen = measure_attributes(crop(), FakeParser([TOP], glasses="sun", beard=0.8))
    skin = cv2.cvtColor(np.float32([[[120, 80, 60]]]) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    vector = seen.vector()
    assert vector.shape == (LENGTH,) and vector.dtype == np.float32
    assert vector[SKIN] == pytest.approx([*skin, 1], abs=0.2)
    assert vector[HAIR][0] < 10 and vector[HAIR][3] == 1
    assert vector[WORN].tolist() == pytest.approx([1, 1, 0.8, 0])
    assert vector[SHAPE].tolist() == [0, 1, 0, 0, 0]


def test_what_is_not_seen_is_zero():
    seen = measure_attributes(crop(), FakeParser([], headwear=1))
    assert seen.hair is None and seen.hairdo is None
    assert not seen.vector()[HAIR].any() and not seen.vector()[SHAPE].any()


def test_a_beard_tells_the_color_of_hair_under_a_hat():
    parser = FakeParser([], headwear=0.9)
    parser.labels[80:100, 40:88] = 0
    parser.labels[80:100, 40:88, LABELS.index("beard")] = 1
    rgb = crop()
    rgb[160:200, 80:176] = (90, 40, 20)
    seen = measure_attributes(rgb, parser)
    assert seen.hair is not None and abs(seen.hair[0] - 22) < 4 and seen.hair[1] > 10
    assert seen.vector()[HAIR][3] == 1
    parser.labels[80:100, 40:88] = 0
    assert measure_attributes(rgb, parser).hair is None


def test_sheen_is_not_the_color_of_dark_skin():
    rgb = crop()
    rgb[100:200, 80:176] = (70, 45, 35)
    rgb[110:135, 80:176] = (190, 180, 175)
    seen = measure_attributes(rgb, FakeParser([TOP]))
    skin = cv2.cvtColor(np.float32([[[70, 45, 35]]]) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    assert seen.skin == pytest.approx(tuple(skin), abs=1)


def test_leaves_beside_a_shorn_head_are_no_hair():
    rgb = crop()
    rgb[:40] = (120, 140, 40)
    parser = FakeParser([(0, 20, 54, 74)])
    parser.labels[52:56, 46:60, LABELS.index("brow")] = 1
    rgb[104:112, 92:120] = (30, 20, 15)
    parser.labels[52:56, 46:60, LABELS.index("skin")] = 0
    seen = measure_attributes(rgb, parser)
    assert seen.hair is not None and seen.hair[0] < 20 and seen.hair[1] > 0  # the brows'
    much = measure_attributes(rgb, FakeParser([(0, 20, 0, 128)]))
    assert much.hair is not None and much.hair[1] < -5  # dyed
