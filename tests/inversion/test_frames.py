"""Frames as StyleGANEX wants them: the face at its size, no frame too small or too large."""

import numpy as np
import pytest
import torch

from toonify.errors import InputError
from toonify.faces.alignment import Alignment, align
from toonify.faces.subject import LargestFace, Square
from toonify.faces.types import Face
from toonify.inversion.frames import frame_crop, lowered, pad_to_stride, prepare_input
from toonify.utils.tensors import to_rgb, to_tensor


def crop(x: float, y: float, eyes: float) -> Alignment:
    return align(PHOTO, face(x, y, eyes), 256)


def face(x: float, y: float, eyes: float) -> Face:
    """An upright one whose eyes are `eyes` px apart around (x, y)."""
    e = eyes
    points = [(x - e / 2, y), (x + e / 2, y), (x, y + 0.6 * e), (x - 0.4 * e, y + e), (x + 0.4 * e, y + e)]  # fmt: skip  # noqa: E501
    box = np.array([x - e, y - e, x + e, y + 1.5 * e], np.float32)
    return Face(box=box, score=1.0, points5=np.array(points, np.float32))


PHOTO = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)


def test_the_whole_frame_is_scaled_to_the_faces_size():
    aligned = frame_crop(PHOTO, crop(200, 150, 32), "whole")
    assert aligned.frame.shape == (600, 800, 3) and aligned.face.shape == (256, 256, 3)


def test_a_frame_around_the_face_reaches_256_pixels_each_way_within_the_photo():
    aligned = frame_crop(PHOTO, crop(200, 150, 32), "face")
    assert aligned.frame.shape == (512, 512, 3)
    aligned = frame_crop(PHOTO, crop(50, 150, 32), "face")
    assert aligned.frame.shape == (512, 100 + 256, 3)


def test_a_frame_tells_where_its_face_lies():
    aligned = frame_crop(PHOTO, crop(50, 150, 32), "face")
    eyes = aligned.crop.to_photo(crop(50, 150, 32).to_crop(face(50, 150, 32).points5[:2]))
    assert np.allclose(eyes, [[100 - 32 + 0.5, 256.5], [100 + 32 + 0.5, 256.5]], atol=0.1)


def test_an_aligned_face_has_no_frame():
    aligned = prepare_input(PHOTO, "aligned")
    assert aligned.frame is None and aligned.face.shape == (256, 256, 3)


class Detector:
    name = "none"

    def __init__(self, faces):
        self.faces = faces

    def detect(self, rgb):
        return self.faces


@pytest.mark.parametrize(
    ("faces", "words"),
    [
        ([], "no face found"),
        ([face(200, 150, 8)], "3200x2400 px"),
        ([face(200, 150, 900)], "28x21 px"),
    ],
)
def test_what_makes_no_frame_is_said_with_its_hint(faces, words):
    with pytest.raises(InputError) as caught:
        prepare_input(PHOTO, "whole", LargestFace(Detector(faces)))
    assert words in str(caught.value) and "Use" in str(caught.value)


def test_a_square_is_256_pixels_in_its_frame():
    aligned = prepare_input(PHOTO, "whole", Square((100, 50, 128, 128)))
    assert aligned.frame.shape == (600, 800, 3)
    at = aligned.frame[100:356, 200:456].astype(int)
    assert np.abs(at - aligned.face).mean() < 12, "the same pixels, at the same size"
    alone = prepare_input(PHOTO, "aligned", Square((100, 50, 128, 128)))
    assert alone.frame is None and np.array_equal(alone.face, aligned.face)


def test_a_frame_around_a_small_box_is_too_large():
    with pytest.raises(InputError) as caught:
        prepare_input(PHOTO, "whole", Square((0, 0, 16, 16)))
    assert "the square at its size" in str(caught.value) and "`frame` aligned" in str(caught.value)


def test_lowered_pictures_have_their_size_and_less_detail():
    aligned = prepare_input(PHOTO, "whole", LargestFace(Detector([face(200, 150, 64)])), lower=32)
    assert aligned.frame.shape == PHOTO.shape
    assert aligned.frame.std() < 0.5 * PHOTO.std()
    assert np.array_equal(lowered(PHOTO, 4), PHOTO)


def test_padding_reflects_to_the_stride():
    frame = torch.randn(1, 3, 33, 47)
    padded = pad_to_stride(frame)
    assert padded.shape == (1, 3, 40, 48)
    assert torch.equal(padded[..., :33, :47], frame)
    assert torch.equal(padded[..., 33, :47], frame[..., 31, :])
    assert pad_to_stride(padded) is padded
    with pytest.raises(InputError, match="20x64"):
        pad_to_stride(torch.randn(1, 3, 64, 20))


def test_pixels_survive_the_way_to_tensors_and_back():
    assert np.array_equal(to_rgb(to_tensor(PHOTO)), PHOTO)
