"""Step II of StyleGANEX's inversion (arXiv 2303.06146), and pivotal tuning (arXiv 2106.05744).

The schedule is the published one, StyleGAN2's projector started from an encoder's answer; it is
the same for whole frames and for aligned faces of any generator; LPIPS sees large frames smaller.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from toonify.faces.alignment import unit_to_photo
from toonify.inversion.frames import AlignedInput, pad_to_stride
from toonify.inversion.latents import Latents
from toonify.inversion.model import FaceModel
from toonify.inversion.noise_maps import NoiseMaps
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.base import Generator
from toonify.models.generators.styleganex import StyleGANEXGenerator
from toonify.models.latents import w_deviation
from toonify.utils.tensors import to_tensor

Progress = Callable[[int, int, float], None]  # step, steps, loss

RAMP_UP, RAMP_DOWN = 0.05, 0.25  # shares of the steps
FAR_RATE = 0.25  # deviations of W; 0.1 for FFHQ's
SEEN = 1 << 17  # px that LPIPS sees of a frame at most, beside its face
FACE_SEEN = 32  # px of that face within the frame, at least


@dataclass(frozen=True, kw_only=True)
class RefineSettings:
    """How to refine.

    Attributes:
        steps: of Adam on w+, f and the noise maps.
        lr: its peak rate.
        noise_weight: on the noise maps' autocorrelation, beside LPIPS with weight 1.
        freedom: deviations of W of noise added to the latent, gone after three quarters.
        seed: of everything random.
    """

    steps: int = 500
    lr: float = 0.05
    noise_weight: float = 1e3
    freedom: float = 0.01
    seed: int = 0

    @classmethod
    def from_average(cls, generator: Generator, *, steps: int, seed: int = 0) -> RefineSettings:
        """For latents that start at the average, as StyleGAN2's projector does (arXiv 1912.04958,
        appendix D), in deviations of this generator's W."""
        deviation = float(w_deviation(generator).mean())
        return cls(steps=steps, lr=FAR_RATE * deviation, freedom=0.05, seed=seed)


@dataclass(frozen=True, kw_only=True)
class TuneSettings:
    """How to tune the generator around a fixed latent, LPIPS + squared difference.

    Attributes:
        steps: of Adam on the synthesis network's weights.
        lr: its rate.
    """

    steps: int = 350
    lr: float = 3e-4


def target_of(aligned: AlignedInput, latents: Latents, device: torch.device) -> Tensor:
    """What the rendered picture is compared with: the padded frame, or the face."""
    if latents.feature is None or aligned.frame is None:
        return to_tensor(aligned.face).to(device)
    return pad_to_stride(to_tensor(aligned.frame).to(device))


@dataclass(frozen=True)
class Views:
    """What LPIPS sees of a picture: all of it, and of a frame of more than `SEEN` px an average as
    large as that, as StyleGAN2's projector has it at 256x256, with its face at its own size.

    Attributes:
        face: left, top, right and bottom of the face's crop in the frame, px; None without one.
    """

    face: tuple[int, int, int, int] | None = None

    @classmethod
    def of(cls, aligned: AlignedInput) -> Views:
        """Those of a photograph's frame."""
        if aligned.frame is None or aligned.crop is None:
            return cls()
        height, width = aligned.frame.shape[:2]
        place = unit_to_photo(aligned.crop)
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) @ place[:, :2].T + place[:, 2]
        corners = np.clip(np.rint(corners), 0, [width, height])
        left, top, right, bottom = (int(v) for v in (*corners.min(0), *corners.max(0)))
        wide = min(right - left, bottom - top) >= FACE_SEEN
        return cls((left, top, right, bottom) if wide else None)

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Of (1, 3, H, W)."""
        height, width = image.shape[2:]
        if height * width <= SEEN:
            return [image]
        less = math.sqrt(SEEN / (height * width))
        size = (round(height * less), round(width * less))
        views = [F.interpolate(image, size=size, mode="area")]
        if self.face is not None:
            left, top, right, bottom = self.face
            views.append(image[:, :, top:bottom, left:right])
        return views


class _Distance:
    """LPIPS to a target, the mean of its views."""

    def __init__(self, loss: PerceptualLoss, target: Tensor, views: Views | None) -> None:
        self._loss, self._views = loss, views or Views()
        with torch.no_grad():
            self._wanted = [loss.features(view) for view in self._views(target)]

    def __call__(self, image: Tensor) -> Tensor:
        seen = zip(self._views(image), self._wanted, strict=True)
        each = [self._loss.distance_to(view, wanted) for view, wanted in seen]
        return torch.stack([distance.sum() for distance in each]).mean()


def refine(
    model: FaceModel,
    latents: Latents,
    target: Tensor,
    *,
    loss: PerceptualLoss,
    views: Views | None = None,
    settings: RefineSettings | None = None,
    progress: Progress | None = None,
) -> tuple[Latents, list[float]]:
    """Move w+, f and noise maps until the picture is like `target`.

    Args:
        target: (1, 3, H, W) in [-1, 1]; larger pictures are averaged down to it.
        views: of the target, see `Views`.

    Returns:
        refined latents, and LPIPS at every step.
    """
    settings = settings or RefineSettings()
    network = model.renderer(latents)
    maps = NoiseMaps(network, shapes=_noise_shapes(network, latents), seed=settings.seed)
    w_plus = latents.w_plus.detach().clone().to(model.device).requires_grad_()
    variables = [w_plus, *maps.maps.values()]
    feature = latents.feature
    if feature is not None:
        feature = feature.detach().clone().to(model.device).requires_grad_()
        variables.append(feature)
    optimizer = torch.optim.Adam(variables)
    random = torch.Generator().manual_seed(settings.seed)
    strength = settings.freedom * _deviation(model.generator, settings.seed)
    measured = _Distance(loss, target, views)
    losses = []
    for step in range(settings.steps):
        at = step / settings.steps
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * ramp(at)
        noise = torch.randn(w_plus.shape, generator=random).to(w_plus)
        perturbed = w_plus + noise * (strength * max(0.0, 1 - at / 0.75) ** 2)
        now = replace(latents, w_plus=perturbed, feature=feature, noises=maps.scaled())
        image = fit_size(model.image(now, network), target)
        distance = measured(image)
        objective = distance + settings.noise_weight * maps.penalty().sum()
        optimizer.zero_grad(set_to_none=True)
        objective.backward()
        optimizer.step()
        maps.normalize()
        losses.append(float(distance.detach()))
        if progress:
            progress(step + 1, settings.steps, losses[-1])
    noises = {name: value.detach() for name, value in maps.scaled().items()}
    final = None if feature is None else feature.detach()
    return replace(latents, w_plus=w_plus.detach(), feature=final, noises=noises), losses


@torch.no_grad()
def likeness(
    model: FaceModel, latents: Latents, target: Tensor, *, loss: PerceptualLoss | None
) -> dict[str, float]:
    """How near a rendering comes to `target` (1, 3, H, W), see `compare`."""
    return compare(model.image(latents), target, loss=loss)


@torch.no_grad()
def compare(image: Tensor, target: Tensor, *, loss: PerceptualLoss | None) -> dict[str, float]:
    """How near a picture comes to `target` (1, 3, H, W): the columns of the paper's table.

    Returns:
        `lpips` where there is a `loss`, and `mae` and `mse` of pixel values in [-1, 1].
    """
    image = fit_size(image.float(), target)
    away = image.clamp(-1, 1) - target
    values = {"mae": away.abs().mean(), "mse": away.square().mean()}
    if loss is not None:
        distance = loss.distance(loss.features(image), loss.features(target))
        values = {"lpips": distance.sum()} | values
    return {name: round(float(value), 4) for name, value in values.items()}


def tune(
    model: FaceModel,
    latents: Latents,
    target: Tensor,
    *,
    loss: PerceptualLoss,
    views: Views | None = None,
    settings: TuneSettings | None = None,
    progress: Progress | None = None,
) -> tuple[FaceModel, list[float]]:
    """Pivotal tuning: move a copy of the generator until these latents render `target`.

    Returns:
        a model with the tuned copy, and LPIPS + squared difference at every step.
    """
    settings = settings or TuneSettings()
    generator = copy.deepcopy(model.generator)
    tuned = FaceModel(
        generator,
        model.encoder,
        face_encoder=model.face_encoder,
        own_generator=model.own_generator,
        dtype=model.dtype,
    )
    weights = [
        parameter
        for name, parameter in generator.named_parameters()
        if not name.startswith("mapp")  # latents are given, so the mapping network has no part
    ]
    for parameter in weights:
        parameter.requires_grad_()
    optimizer = torch.optim.Adam(weights, lr=settings.lr)
    network = tuned.renderer(latents)
    measured = _Distance(loss, target, views)
    losses = []
    for step in range(settings.steps):
        image = fit_size(tuned.image(latents, network), target)
        distance = measured(image)
        objective = distance + F.mse_loss(image, target)
        optimizer.zero_grad(set_to_none=True)
        objective.backward()
        optimizer.step()
        losses.append(float(objective.detach()))
        if progress:
            progress(step + 1, settings.steps, losses[-1])
    generator.requires_grad_(False)
    return tuned, losses


def ramp(at: float) -> float:
    """Factor on the rate at this share of the steps: up over 5 %, cosine down from 75 %."""
    down = min(1.0, (1 - at) / RAMP_DOWN)
    return (0.5 - 0.5 * math.cos(down * math.pi)) * min(1.0, at / RAMP_UP)


def fit_size(image: Tensor, target: Tensor) -> Tensor:
    """Average a larger picture down to the target's height and width, or enlarge a smaller."""
    size = (target.shape[2], target.shape[3])
    if image.shape[2:] == size:
        return image
    if image.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(image, size)
    return F.interpolate(image, size, mode="bilinear")


def _noise_shapes(network: Generator, latents: Latents) -> dict[str, tuple[int, int]] | None:
    if not isinstance(network, StyleGANEXGenerator) or latents.feature is None:
        return None
    height, width = latents.feature.shape[2:]
    return network.noise_shapes(height, width)


@torch.no_grad()
def _deviation(generator: Generator, seed: int) -> float:
    """Root mean squared distance of W from its mean."""
    width = generator.z_dim
    z = torch.randn(1000, width, generator=torch.Generator().manual_seed(seed))
    w = generator.mapping(z.to(generator.w_avg.device))
    return float((w - w.mean(dim=0)).square().sum(dim=1).mean().sqrt())
