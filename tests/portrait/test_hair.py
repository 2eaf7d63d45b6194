"""Beards and hair, on pictures made for the purpose."""

import dataclasses

import numpy as np

from toonify.portrait.fields import Streamlines, f32, signed_distance
from toonify.portrait.hair import paint_beard, paint_hair
from toonify.portrait.memory import Memory, Steady
from toonify.portrait.scene import Head
from toonify.portrait.shapes import Drawing
from toonify.portrait.skin import paint_lenses
from toonify.portrait.styles import get_style
from toonify.portrait.subject import Eye, FaceGeometry, Parts

SIZE = 160
SKIN = (65, 14, 18)


def head_of(lab, style="ink", memory=None, **maps):
    zeros = np.zeros((SIZE, SIZE), np.float32)
    parts = Parts(**(dict.fromkeys(Parts.__dataclass_fields__, zeros) | maps))
    eye = Eye(f32(np.zeros((9, 2))), f32(np.zeros((9, 2))), f32([0, 0]), 1.0)
    face = FaceGeometry(f32(np.zeros((468, 2))), f32(np.zeros((468, 3))), (eye, eye), 0.0, 0.0, 1.0)
    flow = Streamlines(lab[..., 0], sigma=1.2, spread=5.0, reach=24)
    drawing = Drawing(SIZE, SIZE, f32([1, 1, 1]))
    steady = Steady() if memory is None else Steady(memory)
    return Head(lab, flow, face, parts, get_style(style), drawing, (0, 0), memory=steady)


def square(value, low=40, high=140):
    field = np.zeros((SIZE, SIZE), np.float32)
    field[low:high, 20:140] = value
    return field


def striped(light, dark, low=40, high=140):
    """Skin, with hair from row `low` to row `high`."""
    lab = np.zeros((SIZE, SIZE, 3), np.float32)
    lab[:] = SKIN
    x = np.arange(SIZE, dtype=np.float32)
    lab[low:high, 20:140] = f32([0, 2, 2])
    wave = (light + dark) / 2 + (light - dark) / 2 * np.cos(x * 2 * np.pi / 16)
    lab[low:high, 20:140, 0] = wave[20:140]
    return lab


def test_stubble_is_one_shade_and_a_gray_beard_is_hair():
    lab = striped(66, 56)

    stubble = head_of(lab, beard=square(0.7))
    paint_beard(stubble)
    beard = head_of(lab, beard=square(0.95))
    paint_beard(beard)

    assert len(stubble.drawing.shapes) == 1
    assert stubble.drawing.shapes[0].opacity < 1
    assert len(beard.drawing.shapes) > 3


def test_hair_has_strands_and_in_clips_none_that_are_traced():
    lab = striped(45, 25)
    hair = square(1.0)
    shapes = {}
    for memory in (None, Memory()):
        head = head_of(lab, hair=hair, memory=memory)
        paint_hair(head, signed_distance(hair))
        shapes[memory is None] = len(head.drawing.shapes)

    assert shapes[True] >= 6
    assert shapes[False] <= 5  # three tones and what is cut


def test_black_hair_in_a_comic_gets_light_strands_alone():
    lab = striped(22, 4)
    hair = square(1.0)
    head = head_of(lab, "comic", hair=hair)

    paint_hair(head, signed_distance(hair))

    tones = [shape.color for shape in head.drawing.shapes]
    assert len(tones) > 4
    assert all(color.max() > tones[0].max() for color in tones[3:])


def test_sunglasses_have_rims_without_gaps():
    lab = np.zeros((SIZE, SIZE, 3), np.float32)
    lab[:] = SKIN
    lenses, frames = np.zeros((2, SIZE, SIZE), np.float32)
    frames[60:100, 20:140] = 1
    frames[66:94, 26:134] = 0  # between frame and lens the parser sees nothing
    lenses[70:90, 30:130] = 1
    lab[frames > 0] = [15, 0, 0]
    lab[lenses > 0] = [10, 0, 0]
    head = head_of(lab, glasses=frames, lenses=lenses)

    paint_lenses(head)

    rim = head.drawing.shapes[0]
    assert len(rim.rings) == 1
    x0, y0 = rim.rings[0].min(0)
    assert x0 < 25 and y0 < 65
    assert rim.color.max() < 0.3

    few = dataclasses.replace(head.parts, lenses=lenses * 0.2)
    ordinary = head_of(lab, **{n: getattr(few, n) for n in Parts.__dataclass_fields__})
    paint_lenses(ordinary)
    assert ordinary.drawing.shapes == []
