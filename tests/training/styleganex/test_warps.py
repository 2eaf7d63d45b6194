"""Affine warps: there and back, and what they do to labels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from toonify.training.styleganex.warps import random_warp, unwarped, warped

SAME = torch.eye(3)[None, :2]


def theta(angle: float = 0.0, zoom: float = 1.0, shift: tuple[float, float] = (0, 0)) -> Tensor:
    turn = torch.deg2rad(torch.tensor(angle))
    cos, sin = zoom * torch.cos(turn), zoom * torch.sin(turn)
    return torch.tensor([[[cos, -sin, shift[0]], [sin, cos, shift[1]]]])


def blob(x: float, y: float, size: int = 64) -> Tensor:
    """A picture with a soft spot at (x, y), -1..1 across and down."""
    at = (torch.arange(size) + 0.5) / size * 2 - 1
    return torch.exp(-((at[None] - x) ** 2 + (at[:, None] - y) ** 2) / 0.02)[None, None]


def middle(picture: Tensor) -> tuple[float, float]:
    at = (torch.arange(picture.shape[-1]) + 0.5) / picture.shape[-1] * 2 - 1
    weight = picture[0, 0] / picture.sum()
    return float((weight.sum(0) * at).sum()), float((weight.sum(1) * at).sum())


def test_the_identity_changes_nothing() -> None:
    images = torch.randn(2, 3, 20, 28)
    torch.testing.assert_close(warped(images, SAME.expand(2, -1, -1)), images)
    torch.testing.assert_close(unwarped(images[..., :20], SAME.expand(2, -1, -1), 20),
                               images[..., :20])  # fmt: skip
    none = random_warp(3, torch.Generator().manual_seed(0), tilt=0.0, zoom=0.0, shift=0.0)
    assert torch.equal(none, SAME.expand(3, -1, -1))


@pytest.mark.parametrize(
    ("how", "to"),
    [
        (theta(shift=(0.25, -0.5)), (0.55, -0.4)),
        (theta(zoom=0.5), (0.15, 0.05)),
        (theta(angle=90.0), (-0.1, 0.3)),  # y is down: to the right becomes down
    ],
)
def test_a_spot_goes_where_theta_says(how: Tensor, to: tuple[float, float]) -> None:
    moved = warped(blob(0.3, 0.1), how, padding="zeros")
    assert middle(moved) == pytest.approx(to, abs=0.01)


def test_a_face_comes_back_out_of_its_frame() -> None:
    random = torch.Generator().manual_seed(1)
    faces = torch.nn.functional.interpolate(
        torch.rand(6, 3, 8, 8, generator=random), size=64, mode="bicubic"
    )
    how = random_warp(6, random, tilt=25.0, zoom=0.2, shift=0.1)
    inside = warped(torch.ones(6, 1, 64, 64), how, padding="zeros")
    whole = unwarped(inside, how, 64)[:, :, 12:52, 12:52]
    assert (whole > 0.99).all(), "the middle of the faces stays within the frames"
    again = unwarped(warped(faces, how), how, 64)
    missed = (again - faces)[:, :, 12:52, 12:52].abs()
    assert missed.mean() < 0.01 and missed.max() < 0.15
    assert (warped(faces, how) - faces)[:, :, 12:52, 12:52].abs().mean() > 0.1
    large = unwarped(warped(faces, how), how, 128)
    assert large.shape == (6, 3, 128, 128)


def test_labels_do_not_mix() -> None:
    random = torch.Generator().manual_seed(2)
    layers = torch.nn.functional.one_hot(
        torch.randint(0, 5, (4, 32, 32), generator=random), 5
    ).permute(0, 3, 1, 2)
    how = random_warp(4, random, tilt=25.0, zoom=0.35, shift=0.35)
    moved = warped(layers.float(), how, nearest=True)
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    assert (moved.sum(1) == 1).all()
    soft = warped(layers.float(), how)
    assert len(soft.unique()) > 100


def test_what_is_beyond_the_edge() -> None:
    white = torch.ones(1, 1, 16, 16)
    away = theta(shift=(1.0, 0.0))
    assert warped(white, away, padding="zeros")[..., :7].abs().max() == 0
    assert torch.equal(warped(white, away), white), "reflected"
    ramp = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    kept = warped(ramp, away, padding="border")
    torch.testing.assert_close(kept[..., :8], torch.zeros(1, 1, 16, 8))


def test_random_warps_keep_their_limits_and_their_seed() -> None:
    found = random_warp(400, torch.Generator().manual_seed(5), tilt=10.0, zoom=0.3, shift=0.4)
    again = random_warp(400, torch.Generator().manual_seed(5), tilt=10.0, zoom=0.3, shift=0.4)
    assert torch.equal(found, again) and found.shape == (400, 2, 3)
    scale = found[:, :, 0].norm(dim=1)
    angle = torch.rad2deg(torch.atan2(found[:, 1, 0], found[:, 0, 0]))
    for values, limit in ((scale.log(), 0.3), (angle, 10.0), (found[:, :, 2], 0.4)):
        assert 0.9 * limit < values.abs().max() <= limit * 1.0001
        assert values.mean().abs() < 0.15 * limit
    torch.testing.assert_close(found[:, 0, 0], found[:, 1, 1])
    torch.testing.assert_close(found[:, 0, 1], -found[:, 1, 0])


def test_half_precision_pictures_keep_their_type() -> None:
    images = torch.rand(1, 3, 16, 16).bfloat16()
    assert warped(images, theta(angle=5.0)).dtype == torch.bfloat16
    assert unwarped(images, theta(angle=5.0), 8).dtype == torch.bfloat16
