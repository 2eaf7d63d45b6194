"""Regions of a picture, on pictures made for the purpose."""

import numpy as np

from toonify.portrait.fields import f32
from toonify.portrait.regions import components, even_out


def wall(width=80, height=60, *, left=70.0, right=50.0):
    """A gray wall, lit from the left."""
    lab = np.zeros((height, width, 3), np.float32)
    lab[..., 0] = np.linspace(left, right, width)
    return lab


def test_components_tell_apart_what_does_not_hang_together():
    labels = np.zeros((6, 9), np.int32)
    labels[:, 4] = 1

    found = components(labels)

    assert found.max() == 2
    assert found[0, 0] != found[0, 8] != found[0, 4]


def test_a_wall_in_passing_light_is_one_color():
    lab = wall()
    bands = np.digitize(lab[..., 0], [55, 60, 65]).astype(np.int32)

    even = even_out(lab, bands, area=20)

    assert np.ptp(even[..., 0]) < 1e-3
    assert abs(even[0, 0, 0] - 60) < 1


def test_what_an_edge_divides_keeps_its_color():
    lab = wall()
    lab[20:40, 30:50] = f32([30, 50, 30])
    labels = np.digitize(lab[..., 0], [45, 60]).astype(np.int32)

    even = even_out(lab, labels, area=20)

    assert np.allclose(even[30, 40], [30, 50, 30], atol=1)
    assert np.ptp(even[:15, :, 0]) < 1e-3


def test_specks_take_the_color_around_them():
    lab = wall()
    lab[30:32, 30:32] = f32([20, 40, 0])
    labels = (lab[..., 0] < 45).astype(np.int32)

    assert np.ptp(even_out(lab, labels, area=20)[..., 0]) < 1e-3
