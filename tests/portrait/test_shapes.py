"""Shapes: cutting them from fields, strokes, and rendering at any size without seams."""

import numpy as np

from toonify.portrait.shapes import (
    Drawing,
    cut,
    ellipse,
    raster_mask,
    render,
    render_alpha,
    ring_area,
    spline,
    stroke,
)


def disc(radius, size=64, center=(32, 30)):
    y, x = np.mgrid[:size, :size].astype(np.float32)
    return np.float32(radius - np.hypot(x - center[0], y - center[1]))


def test_a_disc_is_cut_where_it_is():
    (ring,) = cut(disc(20))
    assert abs(abs(ring_area(ring)) - np.pi * 400) < 12
    assert np.allclose(ring.mean(0), [32, 30], atol=0.5)
    assert np.abs(np.hypot(*(ring - [32, 30]).T) - 20).max() < 0.3


def test_small_islands_go_and_holes_stay():
    field = np.maximum(disc(20), disc(2, center=(5, 58)))
    field = np.minimum(field, -disc(8))
    assert len(cut(field)) == 3
    rings = cut(field, area=60)
    assert len(rings) == 2  # the outline and its hole
    mask = raster_mask(rings, (64, 64))
    assert mask[30, 32] == 0 and mask[30, 32 + 14] == 255 and mask[58, 5] == 0


def test_nothing_positive_gives_no_rings():
    assert cut(np.full((8, 8), -1, np.float32)) == []


def test_cut_reaches_the_border():
    rings = cut(np.ones((16, 24), np.float32))
    assert abs(ring_area(rings[0])) >= 16 * 24
    assert (raster_mask(rings, (24, 16)) == 255).all()
    drawing = Drawing(24, 16, np.float32([1, 0, 0]))
    drawing.add(rings, (0, 0, 0))
    assert not render(drawing, size=(240, 160)).any()  # no rim of the ground


def test_a_stroke_has_its_widths():
    ring = stroke(np.float32([[10, 20], [50, 20]]), [2, 8, 2], count=40)
    mask = raster_mask([ring], (64, 40)) / 255
    across = mask.sum(0)
    assert abs(across[30] - 8) < 2.2 and abs(across[14] - 3.2) < 2.2


def test_a_closed_spline_passes_through_its_points():
    points = np.float32([[10, 10], [30, 8], [34, 28], [12, 30]])
    curve = spline(points, 400, closed=True)
    nearest = np.linalg.norm(curve[:, None] - points[None], axis=2).min(0)
    assert nearest.max() < 0.3


def drawing():
    made = Drawing(96, 64, np.float32([1, 1, 1]))
    made.add([ellipse([30, 32], 20)], [1, 0, 0], layer="background")
    made.add([ellipse([60, 32], 20, 12, 0.4)], [0, 0, 1])
    made.add([ellipse([48, 32], 9)], [0, 1, 0], opacity=0.5, blur=2.0)
    made.add([ellipse([70, 32], 12)], [0, 0, 0], clip=[ellipse([60, 32], 20, 12, 0.4)])
    made.silhouette.append(ellipse([60, 32], 20, 12, 0.4))
    return made


def test_tiles_leave_no_seam():
    whole = render(drawing(), size=(384, 256), tile=4096)
    tiled = render(drawing(), size=(384, 256), tile=100)
    difference = np.abs(whole.astype(int) - tiled.astype(int))
    assert difference.max() <= 8 and difference.mean() < 0.05


def test_a_larger_rendering_is_the_same_drawing():
    small = render(drawing()).astype(float)
    large = render(drawing(), size=(384, 256))
    averaged = large.reshape(64, 4, 96, 4, 3).mean((1, 3))
    assert np.abs(small - averaged).mean() < 2.5


def test_layers_and_opacity_of_people():
    only = render(drawing(), layers=("person",))
    assert tuple(only[32, 14]) == (255, 255, 255)
    alpha = render_alpha(drawing())
    assert alpha[32, 60] == 255 and alpha[32, 14] == 0 and 0 < (alpha > 0).mean() < 0.3


def test_clipped_shapes_stay_within():
    picture = render(drawing())
    assert picture[32, 75].sum() < 60  # black within the blue ellipse
    assert picture[20, 76].sum() > 700  # beyond its edge nothing is painted
