"""Frames on drawings: the crop that a face, a pair of eyes or an outline asks for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from toonify.errors import InputError
from toonify.faces.alignment import ffhq_quad
from toonify.faces.templates import (
    CHIN,
    HEAD_TOP,
    CropBox,
    crop_of_center,
    crop_of_face,
    crop_of_head,
    crop_of_points,
    cut,
    head_box,
    median_crop,
)

SKIN = (240, 200, 170)


def figure(*, body: bool = True, height: int = 400, width: int = 300) -> np.ndarray:
    """Silhouette of a head at (150, 130), 100 wide and 140 high, with neck and shoulders."""
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (150, 130), (50, 70), 0, 0, 360, 255, -1)
    if body:
        cv2.rectangle(mask, (132, 190), (168, 240), 255, -1)
        cv2.ellipse(mask, (150, 400), (120, 165), 0, 0, 360, 255, -1)
    return mask


@pytest.mark.parametrize("crop", [CropBox(100, 120, 80), CropBox(50.5, 60, 33.0, 25.0)])
def test_a_frames_face_has_that_frame(crop: CropBox) -> None:
    back = crop_of_face(crop.face())
    assert (back.x, back.y) == pytest.approx((crop.x, crop.y), abs=0.02)
    assert (back.side, back.angle) == pytest.approx((crop.side, crop.angle), abs=0.02)


def test_points_in_either_order_give_the_frame() -> None:
    eyes = [[90, 100], [130, 100]]
    crop = crop_of_points(eyes, [110, 140])
    assert (crop.x, crop.y, crop.side) == pytest.approx((110, 104, 160), abs=0.1)
    assert crop_of_points(eyes[::-1], [110, 140]) == crop


@pytest.mark.parametrize("eyes", [[[90, 100], [90, 100]], [[90, 139], [130, 141]]])
def test_points_of_no_face_are_refused(eyes: list[list[float]]) -> None:
    with pytest.raises(InputError, match="eyes and mouth"):
        crop_of_points(eyes, [110, 140])


def test_head_ends_at_the_neck() -> None:
    left, top, right, bottom = head_box(figure() > 0)
    assert (left, right) == pytest.approx((100, 200), abs=4)
    assert top == pytest.approx(60, abs=2)
    assert bottom == pytest.approx(200, abs=15)


def test_head_alone_is_all_of_it() -> None:
    assert head_box(figure(body=False) > 0) == pytest.approx((100, 60, 200, 201), abs=3)


def test_head_without_a_neck_ends_where_its_width_says() -> None:
    mask = np.zeros((300, 200), bool)
    mask[40:, 60:140] = True  # hair down to the picture's lower edge
    assert head_box(mask) == pytest.approx((60, 40, 140, 144), abs=2)


@pytest.mark.parametrize("transparent", [True, False])
def test_outline_puts_top_and_chin_in_place(transparent: bool) -> None:
    alpha = figure()
    rgb = np.where(alpha[..., None] > 0, SKIN, (90, 140, 220)).astype(np.uint8)
    crop = crop_of_head(rgb, alpha if transparent else None)
    assert crop is not None and crop.x == pytest.approx(150, abs=4)
    top = crop.y - crop.side / 2 + HEAD_TOP * crop.side
    chin = crop.y - crop.side / 2 + CHIN * crop.side
    assert (top, chin) == pytest.approx((60, 200), abs=14)


def test_no_outline_in_texture_or_on_an_empty_page() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 100, 3), dtype=np.uint8)
    assert crop_of_head(noise, None) is None
    page = np.full((120, 100, 3), 255, np.uint8)
    assert crop_of_head(page, None) is None
    assert crop_of_head(page, np.zeros((120, 100), np.uint8)) is None


def test_middle_is_the_whole_of_a_square() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_allclose(cut(rgb, crop_of_center(64, 64), 64).astype(int), rgb, atol=1)


def test_beyond_the_border_comes_the_backdrop() -> None:
    rgb = np.full((100, 100, 3), 255, np.uint8)
    cv2.circle(rgb, (50, 50), 49, SKIN, -1)  # touches all four sides
    crop = cut(rgb, CropBox(49.5, 49.5, 200), 100, backdrop=np.array([255, 255, 255], np.uint8))
    outside = np.ones((100, 100), bool)
    outside[24:76, 24:76] = False
    assert (crop[outside] == 255).all()
    assert np.abs(crop[50, 50].astype(int) - SKIN).max() <= 1


def test_a_body_that_the_bottom_cuts_off_goes_on() -> None:
    rgb = np.full((100, 100, 3), 255, np.uint8)
    rgb[60:, 20:80] = (0, 0, 200)
    crop = cut(rgb, CropBox(49.5, 80, 100), 100, backdrop=np.array([255, 255, 255], np.uint8))
    assert crop[95, 50].tolist() == [0, 0, 200] and crop[95, 5].tolist() == [255, 255, 255]


def test_a_plain_border_is_drawn_out_without_a_seam() -> None:
    shade = np.linspace(100, 200, 120).astype(np.uint8)
    rgb = np.repeat(np.repeat(shade[:, None, None], 120, 1), 3, 2)
    crop = cut(rgb, CropBox(60, 60, 180), 90).astype(int)
    assert np.abs(np.diff(crop, axis=0)).max() <= 3 and np.abs(np.diff(crop, axis=1)).max() <= 1


def test_a_frame_off_the_picture_is_refused() -> None:
    with pytest.raises(InputError, match="outside"):
        cut(np.zeros((50, 50, 3), np.uint8), CropBox(500, 20, 60), 32)


def test_median_frame_and_its_deviations() -> None:
    crops = [CropBox(10 + d, 20, 40, d) for d in (-2, 0, 2)] + [CropBox(500, 20, 40)]
    middle, deviations = median_crop(crops)
    assert (middle.x, middle.y, middle.side) == (11, 20, 40)
    assert deviations[0] < 0.06 and deviations[1] == 0
    quad = ffhq_quad(middle.face())
    assert quad.mean(0) == pytest.approx([11, 20], abs=0.1)
