"""ADA: identity without probability, differentiable, reproducible; the controller's direction."""

import pytest
import torch

from toonify.errors import UsageError
from toonify.training.augment import KINDS, AdaController, AugmentPipe


def pipe(kinds: str = "bgc", seed: int = 0) -> AugmentPipe:
    return AugmentPipe(kinds, random=torch.Generator().manual_seed(seed))


def test_identity_at_zero() -> None:
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    assert torch.equal(pipe()(images, 0.0), images)


def test_small_probability_leaves_most_untouched() -> None:
    images = torch.rand(64, 3, 16, 16) * 2 - 1
    out = pipe()(images, 0.01)
    same = (out == images).all(dim=(1, 2, 3)).sum()
    assert 32 < same < 64


@pytest.mark.parametrize("kinds", KINDS)
def test_changes_images_and_keeps_shape(kinds: str) -> None:
    images = torch.rand(8, 3, 32, 32) * 2 - 1
    out = pipe(kinds)(images, 1.0)
    assert out.shape == images.shape
    assert not torch.equal(out, images)
    assert torch.isfinite(out).all()


def test_same_seed_same_result() -> None:
    images = torch.rand(8, 3, 32, 32)
    assert torch.equal(pipe(seed=3)(images, 0.7), pipe(seed=3)(images, 0.7))
    assert not torch.equal(pipe(seed=3)(images, 0.7), pipe(seed=4)(images, 0.7))


def test_blitting_only_moves_pixels() -> None:
    # An image of few values keeps exactly those.
    images = torch.randint(0, 4, (8, 3, 32, 32)).float()
    out = pipe("b")(images, 1.0)
    assert set(out.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}


def test_colour_keeps_places() -> None:
    """A flat grey half and a flat half of another grey stay flat."""
    images = torch.zeros(8, 3, 16, 16)
    images[..., 8:] = 0.5
    out = pipe("bgc")._colour(images, 1.0)
    assert out[..., :8].std(dim=(2, 3)).max() < 1e-6
    assert out[..., 8:].std(dim=(2, 3)).max() < 1e-6


def test_gradients_reach_every_image() -> None:
    images = (torch.rand(8, 3, 32, 32) * 2 - 1).requires_grad_()
    pipe()(images, 1.0).square().sum().backward()
    assert (images.grad.abs().amax(dim=(1, 2, 3)) > 0).all()


def test_gradient_matches_finite_differences() -> None:
    images = torch.rand(2, 3, 16, 16, dtype=torch.float64, requires_grad=True)

    def run(x: torch.Tensor) -> torch.Tensor:
        return pipe(seed=1)(x, 1.0).sum(dim=(2, 3))

    assert torch.autograd.gradcheck(run, images, atol=1e-4, fast_mode=True)


def test_unknown_kind() -> None:
    with pytest.raises(UsageError, match="bgc"):
        AugmentPipe("xyz")


def test_controller_rises_when_the_discriminator_overfits() -> None:
    ada = AdaController(kimg=1.0, interval=2)
    for _ in range(4):
        p = ada.update(torch.ones(8, 1))
    assert ada.r_t == 1.0
    assert p == pytest.approx(32 / 1000)  # 32 images at a full range per thousand


def test_controller_falls_and_stays_in_range() -> None:
    ada = AdaController(kimg=0.05, interval=1, p=0.5)
    for _ in range(20):
        p = ada.update(-torch.ones(8, 1))
    assert p == 0.0
    for _ in range(40):
        p = ada.update(torch.ones(8, 1))
    assert p == 1.0


def test_controller_state_survives() -> None:
    ada = AdaController(interval=2)
    ada.update(torch.ones(8, 1))
    other = AdaController(interval=2)
    other.load_state_dict(ada.state_dict())
    assert ada.update(-torch.ones(8, 1)) == other.update(-torch.ones(8, 1))
    assert other.r_t == 0.0
