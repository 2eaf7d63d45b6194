"""A StyleGAN2 that starts from a compact generator's weights, layer by layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.training.tiny_training import smooth_teacher
from toonify.errors import UsageError
from toonify.models.generators.mobile import MobileGenerator
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.training.distillation import least_squares_init as module
from toonify.training.distillation.distill import new_student
from toonify.training.distillation.least_squares_init import init_least_squares


@pytest.fixture(autouse=True)
def few_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLES", {4: 64, 8: 64, 16: 64, 32: 64})
    monkeypatch.setattr(module, "PICTURES", 64)


@pytest.fixture
def teacher() -> MobileGenerator:
    return smooth_teacher(32, [16, 16, 16])


def student_of(teacher: MobileGenerator, **options) -> StyleGAN2Generator:
    sizes = {"resolution": 16, "channel_base": 256, "channel_max": 16}
    return new_student(teacher, **sizes | options)


def likeness(a: Tensor, b: Tensor) -> float:
    """Correlation of pictures, each less its mean."""
    a, b = (x - x.mean((2, 3), keepdim=True) for x in (a, b))
    return float((a * b).sum() / (a.norm() * b.norm()))


@torch.no_grad()
def pictures(network: MobileGenerator | StyleGAN2Generator, w: Tensor) -> Tensor:
    image = network(w[:, None].expand(-1, network.num_ws, -1))
    return F.adaptive_avg_pool2d(image, 16)


@pytest.mark.parametrize("width", [16, 8])
def test_the_student_draws_the_teachers_faces_before_any_training(
    teacher: MobileGenerator, width: int
) -> None:
    student, explained = student_of(teacher, channel_max=width), {}
    fresh = student_of(teacher, channel_max=width)
    assert init_least_squares(teacher, student, progress=explained.__setitem__) is student
    names = ["conv1", "to_rgb1"]
    names += [f"blocks.{b}.{part}" for b in (0, 1) for part in ("up", "conv", "to_rgb")]
    assert list(explained) == names
    assert explained["conv1"] > (0.999 if width == 16 else 0.98), "it is a StyleGAN2's layer too"
    assert min(v for name, v in explained.items() if "rgb" not in name) > 0.9
    assert max(explained.values()) <= 1
    w = teacher.mapping(torch.randn(24, 16))  # latents that it wasn't fitted on
    wanted = pictures(teacher, w)
    assert likeness(pictures(student, w), wanted) > 0.75
    assert abs(likeness(pictures(fresh, w), wanted)) < 0.3
    # and what tells faces apart is told
    found, wanted = (x - x.mean(0) for x in (pictures(student, w), wanted))
    other = pictures(fresh, w)
    assert likeness(found, wanted) > likeness(other - other.mean(0), wanted) + 0.2


def test_activations_are_the_chosen_channels_of_the_teacher(teacher: MobileGenerator) -> None:
    """With as many channels, each stands for the teacher's of its number, scaled."""
    student = init_least_squares(teacher, student_of(teacher))
    w = teacher.mapping(torch.randn(32, 16))
    wanted = teacher.features(teacher.styles(w[:, None].expand(-1, 8, -1)), resolution=8)
    found = student.features(student.styles(w[:, None].expand(-1, 6, -1)), resolution=8)
    for channel in range(16):
        pair = torch.stack([x[:, channel].flatten() for x in (wanted, found)])
        assert torch.corrcoef(pair)[0, 1] > 0.75, channel


def test_biases_are_taken_over(teacher: MobileGenerator) -> None:
    """The first layer is one of StyleGAN2's own: but for its demodulation nothing is missed."""
    teacher.conv1.bias.normal_(std=3)
    student = init_least_squares(teacher, student_of(teacher))
    w = teacher.mapping(torch.randn(32, 16))
    wanted = teacher.features(teacher.styles(w[:, None].expand(-1, 8, -1)), resolution=4)
    found = student.features(student.styles(w[:, None].expand(-1, 6, -1)), resolution=4)
    for channel in range(16):
        a, b = wanted[:, channel], found[:, channel]
        missed = a - b * (a * b).sum() / b.square().sum()
        assert missed.norm() < 0.2 * a.norm(), channel


def test_noise_maps_are_taken_over(teacher: MobileGenerator) -> None:
    assert not init_least_squares(teacher, student_of(teacher)).conv1.noise_strength.any()
    noise = teacher.conv1.noise.normal_(std=0.3)
    student = init_least_squares(teacher, student_of(teacher))
    torch.testing.assert_close(student.conv1.noise_const, noise / noise.std())
    assert student.conv1.noise_strength > 0


def test_it_is_the_same_every_time_and_the_mapping_stays(teacher: MobileGenerator) -> None:
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    first = init_least_squares(teacher, student_of(teacher), seed=3)
    torch.manual_seed(77)
    again = init_least_squares(teacher, student_of(teacher), seed=3)
    other = init_least_squares(teacher, student_of(teacher), seed=4)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
        assert torch.isfinite(value).all(), name
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
    z = torch.randn(8, 16)
    torch.testing.assert_close(first.mapping(z), teacher.mapping(z), atol=1e-6, rtol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())


def test_where_the_teacher_has_its_image_head_the_student_stays_fresh(
    teacher: MobileGenerator,
) -> None:
    fresh = student_of(teacher, resolution=32)
    student = init_least_squares(teacher, student_of(teacher, resolution=32))
    for name, value in student.blocks[2].state_dict().items():
        assert torch.equal(value, fresh.blocks[2].state_dict()[name]), name
    assert not torch.equal(student.blocks[1].conv.weight, fresh.blocks[1].conv.weight)


def test_students_that_the_teacher_has_no_layers_for(teacher: MobileGenerator) -> None:
    wide = student_of(teacher, channel_base=1024, channel_max=32)
    with pytest.raises(UsageError, match=r"32 channels at 4x4, its teacher 16"):
        init_least_squares(teacher, wide)
    channels = {4: 8, 8: 8, 16: 8, 32: 8, 64: 8}
    large = StyleGAN2Generator(resolution=64, channels=channels, w_dim=16, z_dim=16)
    with pytest.raises(UsageError, match=r"32x32 has no layers for 64x64"):
        init_least_squares(teacher, large)
