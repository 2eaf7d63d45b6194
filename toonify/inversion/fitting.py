"""A quick fit of w+ to an aligned face or another crop, by no network beyond the bundle's own.

The published refinement (500 steps of LPIPS) takes minutes and VGG's weights. Moving an edit onto a
photograph needs less: eyes, mouth and outline where they are in the photograph, and its light. A
dozen steps on Laplacian bands of the picture and on what the encoder itself sees give that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.models.base import Encoder, Generator
from toonify.models.encoders.compact import CompactEncoder
from toonify.models.latents import w_deviation
from toonify.utils.tensors import lowered

SIZE = 256  # pictures are compared at
BANDS = 5  # of the Laplacian pyramid, beside what is left
BAND_WEIGHTS = (1.0, 1.0, 1.5, 2.0, 2.0, 2.0)  # fine to coarse
FEATURE_WEIGHT = 2.0
STRAY = 0.02  # weight of the squared way from the encoder's answer, in deviations of W
DEVIATION = 0.42  # of FFHQ's W, mean over its numbers
FACE = (0.33, 0.42)  # half axes of the ellipse that counts fully, in sides


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How to fit.

    Attributes:
        steps: of Adam on w+; 0 leaves the encoder's answer.
        lr: its peak rate.
        deviation: of W, mean over its numbers.
        everywhere: pictures count the same everywhere, not in a face's ellipse above all.
        dtype: what networks compute in, under autocast; w+ itself is float32.
    """

    steps: int = 15
    lr: float = 0.06
    deviation: float = DEVIATION
    everywhere: bool = False
    dtype: torch.dtype = torch.float32

    @classmethod
    def of_anything(
        cls, generator: Generator, *, steps: int, dtype: torch.dtype = torch.float32
    ) -> FitSettings:
        """For a generator of something else than faces: by its own W, all over its pictures."""
        deviation = float(w_deviation(generator).mean())
        lr = cls.lr * deviation / DEVIATION
        return cls(steps=steps, lr=lr, deviation=deviation, everywhere=True, dtype=dtype)


def fit_face(
    generator: Generator,
    encoder: Encoder | None,
    photo: Tensor,
    w_plus: Tensor,
    settings: FitSettings | None = None,
    *,
    side: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Move w+ (1, num_ws, w_dim) until the generator's face lies on the photograph's.

    Args:
        encoder: a `CompactEncoder` compares pictures by its own features too; others by bands
            alone.
        photo: aligned face (1, 3, H, W) in [-1, 1].
        side: px that an enlarged photograph has had: the rendering is compared at as few
            (PULSE, arXiv 2003.03808); None where it has all of its pixels.
        progress: called with (step, steps).
    """
    settings = settings or FitSettings()
    photo = _sized(photo.float())
    weights = _weights(photo, everywhere=settings.everywhere)
    reader = encoder if isinstance(encoder, CompactEncoder) else None
    with torch.no_grad():
        bands = _bands(photo)
        features = [] if reader is None else _features(reader, photo)
    low = settings.dtype != torch.float32
    start = w_plus.detach()
    moved = start.clone().requires_grad_()
    adam = Adam(moved)
    for step in range(settings.steps):
        warm = min(1.0, (step + 1) / 3)
        rate = settings.lr * warm * (1 - 0.9 * step / settings.steps)
        with torch.autocast(photo.device.type, settings.dtype, enabled=low):
            image = generator.synthesize(generator.styles(moved))
        image = _sized(image.float())
        if side is not None:
            image = lowered(image, side)
        loss = _distance(_bands(image), bands, weights)
        if reader is not None:
            with torch.autocast(photo.device.type, settings.dtype, enabled=low):
                seen = _features(reader, image)
            for own, wanted in zip(seen, features, strict=True):
                scale = wanted.std().clamp_min(1e-4)
                own = own.float() / scale
                loss = loss + FEATURE_WEIGHT * F.smooth_l1_loss(own, wanted / scale)
        loss = loss + STRAY * ((moved - start) / settings.deviation).square().mean()
        (gradient,) = torch.autograd.grad(loss, moved)
        adam.step(gradient, rate)
        if progress:
            progress(step + 1, settings.steps)
    return moved.detach()


class Adam:
    """Adam (arXiv 1412.6980) on one tensor: torch's own optimizers import its compiler, which takes
    as long as half of the fit."""

    def __init__(self, weight: Tensor, betas: tuple[float, float] = (0.9, 0.95)) -> None:
        self.weight, self.betas, self.steps = weight, betas, 0
        self.mean, self.square = torch.zeros_like(weight), torch.zeros_like(weight)

    @torch.no_grad()
    def step(self, gradient: Tensor, rate: float) -> None:
        """Move the tensor against its gradient."""
        self.steps += 1
        first, second = self.betas
        self.mean.lerp_(gradient, 1 - first)
        self.square.lerp_(gradient.square(), 1 - second)
        mean = self.mean / (1 - first**self.steps)
        square = self.square / (1 - second**self.steps)
        self.weight -= rate * mean / (square.sqrt() + 1e-8)


def _sized(image: Tensor) -> Tensor:
    if image.shape[2] == SIZE:
        return image
    return F.interpolate(image, size=(SIZE, SIZE), mode="area")


def _weights(photo: Tensor, *, everywhere: bool) -> list[Tensor]:
    """The ellipse of the face at every band's size, 0.1 around it; 1 everywhere otherwise."""
    axis = (torch.arange(SIZE, device=photo.device) + 0.5) / SIZE
    y, x = axis[:, None], axis[None, :]
    radius = ((x - 0.5) / FACE[0]) ** 2 + ((y - 0.55) / FACE[1]) ** 2
    weight = torch.ones_like(radius) if everywhere else 0.1 + 0.9 * torch.exp(-(radius**3))
    weights = [weight[None, None]]
    for _ in range(BANDS):
        weights.append(F.avg_pool2d(weights[-1], 2))
    return weights


def _bands(image: Tensor) -> list[Tensor]:
    bands = []
    for _ in range(BANDS):
        lower = F.avg_pool2d(image, 2)
        bands.append(image - F.interpolate(lower, scale_factor=2.0, mode="bilinear"))
        image = lower
    return [*bands, image]


def _distance(found: Sequence[Tensor], wanted: Sequence[Tensor], weights: list[Tensor]) -> Tensor:
    total = torch.zeros((), device=found[0].device)
    for own, other, weight, share in zip(found, wanted, weights, BAND_WEIGHTS, strict=True):
        total = total + share * ((own - other).abs() * weight).mean() / weight.mean()
    return total


def _features(encoder: CompactEncoder, image: Tensor) -> list[Tensor]:
    """What the encoder's first four resolutions see of a picture."""
    small = encoder.resample(image)
    x = torch.cat((small, encoder.average_image.to(small).expand_as(small)), dim=1)
    found, depth = [], encoder.depth
    for index, block in enumerate(encoder.body, start=1):
        x = block(x)
        if index % depth == 0:
            found.append(x)
        if len(found) == 4:
            break
    return found
