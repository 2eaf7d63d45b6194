"""Faces of few pixels get details from a rendering, and stay who they are."""

import cv2
import numpy as np
import pytest
import torch

from tests.drawn_face import drawn_face
from tests.models.test_restoration import tiny_restoration
from tests.tiny_hfgi import tiny_encoder, tiny_hybrid
from toonify.errors import InputError
from toonify.faces import Face
from toonify.faces.types import FaceDetector
from toonify.inversion.fitting import FitSettings, fit_face
from toonify.inversion.model import FaceModel
from toonify.inversion.super_resolution import (
    SIZE,
    SmallPhoto,
    agreement,
    around_head,
    crop_side,
    enlarge,
    redraw,
    scaled,
    small_photo,
    with_detail,
)
from toonify.utils.tensors import lowered, to_tensor

SIDE = 48


class Found(FaceDetector):
    """Finds one upright face whose crop is `share` of the picture's height, in its middle."""

    name = "found"

    def __init__(self, share=0.5, count=1):
        self.share, self.count = share, count

    def detect(self, rgb, *, quick=False):
        height, width = rgb.shape[:2]
        return [self._face(width, height, self.share / (1 + i)) for i in range(self.count)]

    def _face(self, width, height, share):
        side, x, y = share * height, (width - 1) / 2, (height - 1) / 2
        offsets = np.float32([(-0.125, 0), (0.125, 0), (0, 0.13), (-0.1, 0.25), (0.1, 0.25)])
        box = np.float32([x - side / 4, y - side / 4, x + side / 4, y + side / 4])
        return Face(box=box, score=1.0, points5=np.float32([x, y]) + offsets * side)


def texture(seed=0, size=SIZE):
    noise = np.random.default_rng(seed).normal(0, 60, (size, size, 3))
    fine = cv2.GaussianBlur(noise, (0, 0), 1.5) + 3 * cv2.GaussianBlur(noise, (0, 0), 6)
    return to_tensor(np.clip(128 + 2 * fine, 0, 255).astype(np.uint8))


def test_what_the_photograph_shows_is_kept_and_what_is_finer_is_the_renderings():
    sharp = texture()
    photo = lowered(sharp, SIDE)
    better = with_detail(photo, sharp, SIDE)
    assert (better - sharp).abs().mean() < 0.4 * (photo - sharp).abs().mean()
    assert (lowered(better, SIDE) - photo).abs().mean() < 0.1 * (photo - sharp).abs().mean()


def test_another_ones_details_are_left_out():
    photo = lowered(texture(), SIDE)
    own, foreign = (with_detail(photo, texture(seed), SIDE) for seed in (0, 1))
    assert (foreign - photo).abs().mean() < 0.5 * (own - photo).abs().mean()
    plain = torch.zeros_like(photo)
    assert torch.allclose(with_detail(photo, plain, SIDE), photo, atol=1e-4)
    share = agreement(photo, photo, SIDE)
    assert share.shape == (1, 1, SIZE, SIZE) and 0.9 < float(share.mean()) <= 1.0001


def test_a_rendering_is_moved_to_where_the_photograph_has_it():
    sharp = to_tensor(drawn_face().rgb)
    photo = lowered(sharp, SIDE)
    beside = torch.roll(sharp, (3, -4), (2, 3))
    assert (with_detail(photo, beside, SIDE) - sharp).abs().mean() < (photo - sharp).abs().mean()


def test_a_latent_is_fitted_at_as_few_pixels():
    generator = tiny_hybrid().requires_grad_(False)
    torch.manual_seed(1)
    wanted = torch.randn(1, generator.num_ws, generator.w_dim)
    photo = lowered(generator(wanted).detach().clamp(-1, 1), SIDE)
    start = torch.zeros_like(wanted)
    fitted = fit_face(generator, None, photo, start, FitSettings(steps=10), side=SIDE)
    before, after = ((lowered(generator(w), SIDE) - photo).abs().mean() for w in (start, fitted))
    assert after < before


@pytest.fixture
def model():
    return FaceModel(tiny_hybrid(), tiny_encoder())


def test_the_rest_of_the_photograph_is_enlarged_as_it_is(model):
    rgb = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    photo = small_photo(rgb, "whole", Found())
    assert photo.times == pytest.approx(SIZE / 60, rel=0.05)
    seen = []
    large = enlarge(
        model, photo, fit=FitSettings(steps=1), progress=lambda *done: seen.append(done)
    )
    plain = cv2.resize(rgb, large.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    changed = np.abs(large.astype(int) - plain).max(axis=(1, 2)) > 0
    rows = np.flatnonzero(changed)
    assert seen == [(1, 1)] and large.shape[1] == round(160 * photo.times)
    assert len(rows) and rows[0] > 50 and rows[-1] < large.shape[0] - 50
    assert not np.array_equal(large, plain)


def test_every_face_is_redrawn_and_an_aligned_one_without_a_detector(model):
    rgb = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)
    seen = []
    enlarge(
        model,
        small_photo(rgb, "whole", Found(count=2)),
        fit=FitSettings(steps=0),
        progress=lambda *done: seen.append(done),
    )
    assert seen == [(1, 2), (2, 2)]
    aligned = small_photo(rgb, "aligned", None)
    assert enlarge(model, aligned, fit=FitSettings(steps=0)).shape == (SIZE, SIZE, 3)
    image = redraw(model, to_tensor(cv2.resize(rgb, (SIZE, SIZE))), 100, fit=FitSettings(steps=0))
    assert image.shape == (1, 3, SIZE, SIZE) and float(image.abs().max()) <= 1


def test_a_factor_lowers_the_photograph_first():
    rgb = np.zeros((800, 900, 3), np.uint8)
    photo = small_photo(rgb, "whole", Found(), factor=8)
    assert crop_side(photo.faces[0]) == pytest.approx(32, abs=1) and photo.times > 7.5
    assert photo.rgb.shape[0] == pytest.approx(64, abs=1)
    near = small_photo(rgb, "face", Found(share=0.25), factor=8)
    assert near.rgb.shape[0] == pytest.approx(64, abs=3)
    assert small_photo(rgb, "aligned", None, factor=4).rgb.shape == (64, 64, 3)
    few = small_photo(rgb[:90], "whole", Found(), factor=4)  # has fewer than that already
    assert few.rgb.shape[0] == 90
    face = Found().detect(rgb)[0]
    assert crop_side(scaled(face, 0.5, 0.5)) == pytest.approx(crop_side(face) / 2)


@pytest.mark.parametrize(
    ("shape", "framing", "share", "options", "words"),
    [
        ((600, 600), "whole", 0.5, {}, "the face is 300 px across already"),
        ((300, 300), "aligned", 0.5, {}, "300 px across already"),
        ((20, 20), "whole", 0.5, {}, "too few to tell whose it is"),
        ((600, 600), "whole", 0.5, {"factor": 64}, "the face is 4 px across"),
        ((2000, 2000), "whole", 0.01, {}, "it would be 25"),
    ],
)
def test_photographs_that_it_can_do_nothing_for(shape, framing, share, options, words):
    with pytest.raises(InputError, match=words):
        small_photo(np.zeros((*shape, 3), np.uint8), framing, Found(share), **options)


def test_no_face_and_no_detector():
    with pytest.raises(InputError, match="no face found"):
        small_photo(np.zeros((64, 64, 3), np.uint8), "whole", Found(count=0))
    with pytest.raises(ValueError, match="detector"):
        small_photo(np.zeros((64, 64, 3), np.uint8), "whole", None)
    assert SmallPhoto(np.zeros((8, 8, 3), np.uint8), (), 32.0).faces == ()


def test_a_network_draws_what_its_pixels_show():
    model = FaceModel(tiny_hybrid(), tiny_encoder())
    small = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8
    photo = torch.nn.functional.interpolate(small, (256, 256), mode="bicubic").clamp(-1, 1)
    drawn = redraw(model, photo, 32, network=tiny_restoration(model.generator))
    back = torch.nn.functional.interpolate(drawn, (32, 32), mode="area")
    assert drawn.shape == photo.shape and (back - small).abs().mean() < 0.05


def test_around_heads_edges_are_crisp_and_nothing_is_drawn():
    ramp = np.clip((np.arange(SIZE) - 124) / 8, 0, 1) * 160 + 40
    photo = to_tensor(np.tile(ramp[None, :, None], (SIZE, 1, 3)).astype(np.uint8))
    drawn = photo + 0.2 * torch.rand_like(photo)
    nowhere, everywhere = torch.zeros(1, 1, SIZE, SIZE), torch.ones(1, 1, SIZE, SIZE)
    assert torch.equal(around_head(drawn, photo, everywhere, 32), drawn)
    assert torch.equal(around_head(drawn, photo, nowhere, 64), drawn), "4 times need none"
    crisp = around_head(drawn, photo, nowhere, 32)
    slope = [float(x[0, 0, 128].diff().abs().max()) for x in (photo, crisp)]
    assert slope[1] > 1.5 * slope[0]
    assert float((crisp - photo)[..., :100].abs().max()) < 0.02
