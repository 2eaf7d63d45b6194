"""Adversarial losses against closed forms."""

import math

import pytest
import torch

from toonify.training.core.losses import (
    PathLength,
    discriminator_logistic,
    generator_logistic,
    r1_gamma,
    r1_penalty,
)


def test_logistic_at_zero_and_far_away() -> None:
    zero = torch.zeros(4, 1)
    assert float(generator_logistic(zero)) == pytest.approx(math.log(2))
    assert float(discriminator_logistic(zero, zero)) == pytest.approx(2 * math.log(2))
    sure = torch.full((4, 1), 30.0)
    assert float(discriminator_logistic(sure, -sure)) == pytest.approx(0, abs=1e-6)
    assert float(generator_logistic(-sure)) == pytest.approx(30, abs=1e-4)


def test_r1_of_a_linear_discriminator_is_its_squared_weight() -> None:
    weight = torch.randn(3 * 8 * 8)
    images = torch.randn(5, 3, 8, 8, requires_grad=True)
    logits = images.flatten(1) @ weight[:, None]
    penalty = r1_penalty(logits, images)
    assert float(penalty) == pytest.approx(float(weight.square().sum()), rel=1e-5)


def test_r1_reaches_the_discriminator() -> None:
    weight = torch.randn(3 * 8 * 8, requires_grad=True)
    images = torch.randn(2, 3, 8, 8, requires_grad=True)
    r1_penalty(images.flatten(1) @ weight[:, None], images).backward()
    assert torch.allclose(weight.grad, 2 * weight.detach(), rtol=1e-4)


def test_r1_gamma_is_the_published_rule() -> None:
    assert r1_gamma(256, 8) == pytest.approx(1.6384)


def test_path_length_of_a_linear_generator() -> None:
    # Every pixel is the sum of one w row times a, so |J^T y| = a * |sum(y)| * sqrt(w_dim) / side.
    side, a = 4, 0.5
    w_plus = torch.randn(3, 1, 2, requires_grad=True)
    images = (a * w_plus.sum(dim=(1, 2)))[:, None, None, None].expand(3, 3, side, side)
    noise = torch.ones(3, 3, side, side)
    path = PathLength(decay=1.0)
    assert float(path.penalty(images, w_plus, noise)) == pytest.approx(0, abs=1e-6)
    expected = a * (3 * side * side / side) * math.sqrt(2)
    assert float(path.mean) == pytest.approx(expected, rel=1e-5)
    other = PathLength()
    other.load_state_dict(path.state_dict())
    assert other.mean == path.mean
