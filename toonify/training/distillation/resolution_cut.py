"""A lower-resolution copy of the compact prior: same W, same blocks, a head of its own.

The 1024×1024 generator is cut after an inner block and a new 12-channel head is fitted so that its
image is the area-downsampled original: least squares first, then gradient steps on the head and
the last block.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.errors import UsageError
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.core.optim import rms_scaled_adam

Progress = Callable[[int, float], None]
Sampler = Callable[[int], tuple[Tensor, Tensor]]


def cut(teacher: MobileGenerator, resolution: int) -> MobileGenerator:
    """Copy of `teacher` that ends at `resolution`, with an unfitted head.

    Raises:
        UsageError: the resolution is not below the teacher's, or not a power of two from 32 on.
    """
    if resolution < 32 or resolution & (resolution - 1):
        raise UsageError(f"there is no generator of {resolution}", hint="Choose 256 or 512.")
    if resolution >= teacher.resolution:
        raise UsageError(
            f"a head for {resolution} can't be cut from a {teacher.resolution} generator",
            hint="Choose a smaller resolution.",
        )
    config = teacher.config()
    config.pop("architecture")
    student = MobileGenerator(
        **{
            **config,
            "resolution": resolution,
            "channels": config["channels"][: resolution.bit_length() - 3],
        }
    )
    own = student.state_dict()
    shared = {
        k: v
        for k, v in teacher.state_dict().items()
        if k in own and not k.startswith("to_img.") and own[k].shape == v.shape
    }
    student.load_state_dict({**own, **shared})
    torch.nn.init.zeros_(student.to_img.modulation.weight)
    return student


def forward_haar(image: Tensor) -> Tensor:
    """Inverse of `inverse_haar`: (B, C, 2h, 2w) → (B, 4C, h, w)."""
    p, q = image[:, :, ::2, ::2], image[:, :, ::2, 1::2]
    r, s = image[:, :, 1::2, ::2], image[:, :, 1::2, 1::2]
    low = p + q + r + s
    details = torch.stack((p + q - r - s, p - q + r - s, p - q - r + s), dim=2)
    return torch.cat((low, details.flatten(1, 2)), dim=1) * 0.5


def teacher_sampler(teacher: MobileGenerator, resolution: int, *, seed: int = 0) -> Sampler:
    """Fresh samples of the teacher, truncation 0.6 to 1, downsampled to `resolution`."""
    generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def sample(batch: int) -> tuple[Tensor, Tensor]:
        z = torch.randn(batch, teacher.w_dim, generator=generator)
        psi = float(torch.empty(()).uniform_(0.6, 1.0, generator=generator))
        w = teacher.mapping(z, truncation_psi=psi)
        with torch.autocast("cpu", torch.bfloat16):
            image = teacher(w[:, None].repeat(1, teacher.num_ws, 1))
        return w, F.avg_pool2d(image.float(), teacher.resolution // resolution)

    return sample


def fit_head(
    student: MobileGenerator,
    sample: Sampler,
    *,
    images: int = 16,
    steps: int = 150,
    batch: int = 4,
    progress: Progress | None = None,
) -> MobileGenerator:
    """Fit the head (and last block) of a `cut` generator, in place.

    Args:
        sample: batch size → w (B, w_dim) and the target image (B, 3, R, R) in [-1, 1].
        images: samples of the least-squares start.
        steps: gradient steps of `batch` samples.
        progress: called with (step, mean absolute error in [-1, 1] units).
    """
    fit_head_linear(student, sample, images)
    trained = [*student.to_img.parameters(), *student.blocks[-1].parameters()]
    student.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    optimizer = rms_scaled_adam(trained, lr=1e-3)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * min(1.0, (step + 1) / 10, 2 * (1 - step / steps))
        w, target = sample(batch)
        with torch.autocast("cpu", torch.bfloat16):
            image = student(w[:, None].repeat(1, student.num_ws, 1))
        difference = image.float() - target
        loss = difference.abs().mean() + F.avg_pool2d(difference, 4).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if progress:
            progress(step, float(difference.detach().abs().mean()))
    return student.requires_grad_(True)


@torch.no_grad()
def fit_head_linear(student: MobileGenerator, sample: Sampler, images: int = 16) -> None:
    """Set the head to the least-squares solution over `images` samples, its style left as it is.

    Args:
        sample: as of `fit_head`; w may be w+ (B, num_ws, w_dim) too.
    """
    channels = student.channels[-1]
    gram = torch.zeros(channels + 1, channels + 1, dtype=torch.float64)
    cross = torch.zeros(channels + 1, 12, dtype=torch.float64)
    for _ in range(images):
        w, target = sample(1)
        styles = student.styles(w if w.ndim == 3 else w[:, None].repeat(1, student.num_ws, 1))
        with torch.autocast("cpu", torch.bfloat16):
            x = student.features(styles, resolution=student.resolution // 2)
        x = (x.float() * styles[-1][:, :, None, None]).flatten(2)[0]
        x = torch.cat((x, torch.ones(1, x.shape[1])))
        y = forward_haar(target).flatten(2)[0]
        gram += (x @ x.T).double()
        cross += (x @ y.T).double()
    ridge = 1e-4 * gram.diagonal().mean() * torch.eye(channels + 1, dtype=torch.float64)
    solution = torch.linalg.solve(gram + ridge, cross).float()
    student.to_img.weight.copy_(solution[:-1].T[:, :, None, None])
    student.to_img.bias.copy_(solution[-1])
