"""Cutting the compact prior to a lower resolution and fitting its head."""

import pytest
import torch
import torch.nn.functional as F

from toonify.errors import UsageError
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.distillation.resolution_cut import cut, fit_head, teacher_sampler


def teacher() -> MobileGenerator:
    torch.manual_seed(0)
    return MobileGenerator(
        resolution=64, channels=(16, 16, 16, 8), w_dim=16, mapping_layers=2
    ).requires_grad_(False)


def test_a_cut_copy_has_the_same_features() -> None:
    whole = teacher()
    student = cut(whole, 32)
    assert (student.resolution, student.num_ws, student.channels) == (32, 8, (16, 16, 16))
    w = whole.mapping(torch.randn(2, 16))
    assert torch.equal(student.mapping(torch.ones(1, 16)), whole.mapping(torch.ones(1, 16)))
    ours = student.features(student.styles(w[:, None].expand(-1, 8, -1)), resolution=16)
    theirs = whole.features(whole.styles(w[:, None].expand(-1, 10, -1)), resolution=16)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("resolution", [64, 128])
def test_only_lower_resolutions(resolution: int) -> None:
    with pytest.raises(UsageError, match=rf"head for {resolution} can't be cut from a 64"):
        cut(teacher(), resolution)


def test_samples_are_the_downsampled_image() -> None:
    whole = teacher()
    w, image = teacher_sampler(whole, 32, seed=3)(2)
    assert w.shape == (2, 16) and image.shape == (2, 3, 32, 32)
    expected = F.avg_pool2d(whole(w[:, None].expand(-1, 10, -1)), 2)
    assert (image - expected).abs().mean() < 0.02 * expected.std(), "up to bfloat16"
    again, _ = teacher_sampler(whole, 32, seed=3)(2)
    other, _ = teacher_sampler(whole, 32, seed=4)(2)
    assert torch.equal(w, again) and not torch.equal(w, other)


def test_fitting_a_head() -> None:
    whole = teacher()
    student = cut(whole, 32)
    before = {k: v.clone() for k, v in student.state_dict().items()}
    held_out = teacher_sampler(whole, 32, seed=9)(16)

    def error() -> float:
        w, target = held_out
        with torch.no_grad():
            image = student(w[:, None].expand(-1, student.num_ws, -1))
        return float((image - target).abs().mean())

    unfitted = error()
    fit_head(student, teacher_sampler(whole, 32), images=8, steps=0)
    linear = error()
    assert linear < 0.7 * unfitted
    assert linear < 0.9 * held_out[1].abs().mean(), "better than a gray picture"
    seen: list[tuple[int, float]] = []
    fit_head(
        student,
        teacher_sampler(whole, 32),
        images=8,
        steps=30,
        progress=lambda step, loss: seen.append((step, loss)),
    )
    assert error() < linear
    assert [step for step, _ in seen] == list(range(30))
    for name, value in student.state_dict().items():
        if not name.startswith(("to_img.", "blocks.1.")):
            assert torch.equal(value, before[name]), f"{name} is shared with the teacher"
