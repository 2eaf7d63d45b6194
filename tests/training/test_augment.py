"""Augmentations: exact where they should be, differentiable twice, reproducible; the controller."""

import pytest
import torch

from toonify.errors import UsageError
from toonify.training.augment import PRESETS, AdaController, AugmentPipe
from toonify.training.augment.color import color, recolor
from toonify.training.augment.corruption import amplify, band_gains
from toonify.training.augment.draws import Draws
from toonify.training.augment.geometry import move, warp
from toonify.training.augment.resampling import band_filters, halving, upsampling
from toonify.training.core.distributed import World

CPU = torch.device("cpu")


def pipe(preset: str = "bgc", seed: int = 0, world: World | None = None) -> AugmentPipe:
    return AugmentPipe(preset, random=torch.Generator().manual_seed(seed), world=world)


def draws(count: int, p: float = 1.0) -> Draws:
    random = torch.Generator().manual_seed(0)
    return Draws(random, random, World(), p, count)


def picture(count: int = 8, size: int = 32) -> torch.Tensor:
    """Smooth, so that resampling it loses little."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, size)] * 2, indexing="ij")
    return torch.stack([x * y, (x * 3).sin(), (y * 2).cos()]).expand(count, -1, -1, -1).clone()


def test_identity_at_zero() -> None:
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    assert torch.equal(pipe("bgcfnc")(images, 0.0), images)


def test_small_probability_leaves_most_untouched() -> None:
    images = torch.rand(64, 3, 16, 16) * 2 - 1
    out = pipe("bgcf")(images, 0.01)
    same = (out == images).all(dim=(1, 2, 3)).sum()
    assert 32 < same < 64


@pytest.mark.parametrize("preset", PRESETS)
def test_changes_images_and_keeps_shape(preset: str) -> None:
    images = torch.rand(8, 3, 32, 32) * 2 - 1
    out = pipe(preset)(images, 1.0)
    assert out.shape == images.shape and out.dtype == torch.float32
    assert not torch.equal(out, images)
    assert torch.isfinite(out).all()


def test_presets_are_the_published_ones() -> None:
    assert list(PRESETS)[:6] == ["blit", "geom", "color", "filter", "noise", "cutout"]
    assert list(PRESETS)[6:] == ["bg", "bgc", "bgcf", "bgcfn", "bgcfnc"]
    assert PRESETS["bgcf"] == ("blit", "geom", "color", "filter")


def test_same_seed_same_result() -> None:
    images = torch.rand(8, 3, 32, 32)
    assert torch.equal(pipe("bgcfnc", 3)(images, 0.7), pipe("bgcfnc", 3)(images, 0.7))
    assert not torch.equal(pipe(seed=3)(images, 0.7), pipe(seed=4)(images, 0.7))


@pytest.mark.parametrize("p", [0.3, 1.0])
def test_processes_transform_their_share_of_the_same_batch(p: float) -> None:
    images = torch.rand(8, 3, 16, 16)
    whole = pipe("bgcfnc")(images, p)
    for rank in (0, 1):
        world = World(rank, 2)
        torch.testing.assert_close(
            pipe("bgcfnc", world=world)(world.share(images), p), world.share(whole)
        )


def test_blitting_only_moves_pixels() -> None:
    # An image of few values keeps exactly those.
    images = torch.randint(0, 4, (16, 3, 32, 32)).float()
    out = pipe("blit")(images, 1.0)
    assert set(out.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}
    assert len({tuple(image.flatten().tolist()) for image in out}) > 10


def test_moves_are_exact() -> None:
    images = torch.rand(1, 3, 16, 16)
    quarter = torch.tensor([[[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]])
    assert torch.equal(move(images, quarter), images.rot90(3, (2, 3)))
    flip = torch.diag(torch.tensor([-1.0, 1, 1]))[None]
    assert torch.equal(move(images, flip), images.flip(3))
    right = torch.eye(3)[None].clone()
    right[0, 0, 2] = -2 * 2 / 16
    assert torch.equal(move(images, right)[..., 2:], images[..., :-2])


def test_resampling_filters_are_orthogonal() -> None:
    assert torch.allclose(halving(32, CPU) @ upsampling(32, CPU), torch.eye(32), atol=1e-6)
    images = torch.rand(2, 3, 32, 32)
    assert torch.allclose(warp(images, torch.eye(3).repeat(2, 1, 1)), images, atol=1e-4)


def test_warping_agrees_with_the_picture() -> None:
    """Half a pixel to the right, and a half turn."""
    images = picture(1)
    shifted = torch.eye(3)[None].clone()
    shifted[0, 0, 2] = -1 / 32
    expected = (images[..., 1:-1] + images[..., :-2]) / 2
    found = warp(images, shifted)[..., 1:-1]
    assert torch.allclose(found[..., 2:-2], expected[..., 2:-2], atol=0.02)
    turn = torch.diag(torch.tensor([-1.0, -1, 1]))[None]
    error = warp(images, turn) - images.flip(2, 3)
    # sym6 is not quite symmetric, which half a turn shows as a fraction of a pixel
    # sym6 is not quite symmetric: half a turn shifts by 0.4 pixels
    assert error[..., 3:-3, 3:-3].abs().mean() < 0.05


def test_color_keeps_places() -> None:
    """A flat gray half and a flat half of another gray stay flat."""
    images = torch.zeros(8, 3, 16, 16)
    images[..., 8:] = 0.5
    out = recolor(images, color(draws(8)))
    assert out[..., :8].std(dim=(2, 3)).max() < 1e-6
    assert out[..., 8:].std(dim=(2, 3)).max() < 1e-6


def test_frequency_bands() -> None:
    filters = band_filters(64, CPU)
    assert torch.allclose(filters.sum(0), torch.eye(64), atol=1e-6)
    # A constant is in the lowest band alone, a checkerboard's rows in the highest.
    flat, fine = torch.ones(64), torch.tensor([1.0, -1.0]).repeat(32)
    for signal, band in ((flat, 0), (fine, 3)):
        inner = (filters @ signal)[:, 24:40]
        for other in range(4):
            wanted = signal[24:40] if other == band else torch.zeros(16)
            assert torch.allclose(inner[other], wanted, atol=1e-5), (band, other)
    gains = torch.tensor([[2.0, 1.0, 1.0, 1.0]])
    constant = torch.full((1, 3, 64, 64), 0.25)
    assert torch.allclose(amplify(constant, gains), constant * 4, atol=1e-5)


def test_band_gains_keep_the_expected_power() -> None:
    gains = band_gains(draws(1000))
    power = torch.tensor([10.0, 1, 1, 1]) / 13
    assert gains.std(dim=0).min() > 0.1
    one = torch.ones(5, 4)
    assert torch.allclose(band_gains(draws(5, p=0.0)), one)
    assert 0.5 < float((power * gains.square()).sum(1).median()) < 2


def test_noise_and_cutout() -> None:
    images = torch.ones(64, 3, 32, 32)
    noise = pipe("noise")(images, 1.0) - images
    assert 0.05 < noise.std(dim=(1, 2, 3)).mean() < 0.11  # |N(0, 0.1)| is 0.08 on average
    cut = pipe("cutout")(images, 1.0)
    assert set(cut.unique().tolist()) == {0.0, 1.0}
    share = (cut[:, 0] == 0).float().mean(dim=(1, 2))
    assert share.min() >= 1 / 16 and share.max() <= 0.25 + 0.01 and share.std() > 0


def test_gradients_reach_every_image() -> None:
    images = (torch.rand(8, 3, 32, 32) * 2 - 1).requires_grad_()
    pipe("bgcfn")(images, 1.0).square().sum().backward()
    assert (images.grad.abs().amax(dim=(1, 2, 3)) > 0).all()


@pytest.mark.parametrize("preset", ["blit", "bgcfnc"])
def test_second_derivative(preset: str) -> None:
    """R1 is taken at the images before augmentation."""
    images = picture(4, 16).requires_grad_()
    weight = torch.rand(4, 3, 16, 16, requires_grad=True)
    logits = (pipe(preset)(images, 1.0).square() * weight).sum()
    (slope,) = torch.autograd.grad(logits, images, create_graph=True)
    penalty = slope.square().sum()
    penalty.backward()
    with torch.no_grad():
        step = 1e-3 * weight.grad * weight.norm() / weight.grad.norm()
    moved = (weight + step).detach()
    logits = (pipe(preset)(images, 1.0).square() * moved).sum()
    (slope,) = torch.autograd.grad(logits, images)
    rise = float(slope.square().sum() - penalty.detach())
    expected = float((weight.grad * step).sum())
    assert rise == pytest.approx(expected, rel=0.05)


def test_gradient_matches_finite_differences() -> None:
    images = torch.rand(2, 3, 16, 16, requires_grad=True)

    def run(x: torch.Tensor) -> torch.Tensor:
        return pipe("bgcf", seed=1)(x, 1.0)

    direction = torch.randn(2, 3, 16, 16)
    weight = torch.randn(2, 3, 16, 16)
    (gradient,) = torch.autograd.grad((run(images) * weight).sum(), images)
    # The pipeline is affine, so a large step is as good as a small one.
    with torch.no_grad():
        rise = ((run(images + direction) - run(images)) * weight).sum()
    assert float(rise) == pytest.approx(float((gradient * direction).sum()), rel=1e-3)


def test_unknown_preset() -> None:
    with pytest.raises(UsageError, match="bgcfnc"):
        AugmentPipe("xyz")


def test_controller_rises_when_the_discriminator_overfits() -> None:
    ada = AdaController(kimg=1.0, interval=2)
    for _ in range(4):
        p = ada.update(1.0, 8)
    assert ada.r_t == 1.0
    assert p == pytest.approx(32 / 1000)  # 32 images at a full range per thousand


def test_controller_falls_and_stays_in_range() -> None:
    ada = AdaController(kimg=0.05, interval=1)
    ada.p = 0.5
    for _ in range(20):
        p = ada.update(-1.0, 8)
    assert p == 0.0
    for _ in range(40):
        p = ada.update(1.0, 8)
    assert p == 1.0


def test_controller_state_survives() -> None:
    ada = AdaController(interval=2)
    ada.update(1.0, 8)
    other = AdaController(interval=2)
    other.load_state_dict(ada.state_dict())
    assert ada.update(-1.0, 8) == other.update(-1.0, 8)
    assert other.r_t == 0.0
