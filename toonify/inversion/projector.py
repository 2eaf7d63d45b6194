"""W+ projection of images into a generator (StyleGAN2's projector, arXiv 1912.04958 appendix D).

All entries of w+ and the noise maps are optimized for LPIPS + pixel distance; the noise maps are
kept white by a multi-scale autocorrelation penalty. Latents move in units of W's own deviation, so
one rate fits both generator families.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.func import functional_call

from toonify.errors import ModelError, UsageError
from toonify.inversion.noise_maps import NoiseMaps
from toonify.metrics.lpips import PerceptualLoss, resize_for_loss
from toonify.models.base import Generator
from toonify.models.latents import w_deviation
from toonify.utils.tensors import to_float, to_uint8

# Where projections start; "both" projects twice and keeps each image's better result.
Start = Literal["average", "encoder", "both"]
Encode = Callable[[Tensor], Tensor]
# (images finished before this batch, step, steps, mean loss of the batch)
Progress = Callable[[int, int, int, float], None]


@dataclass(frozen=True, kw_only=True)
class ProjectionSettings:
    """How to project.

    Attributes:
        steps: at most this many a batch; a plateau ends earlier.
        lr: peak Adam rate, in deviations of W a step (0.25 is the projector's 0.1 for FFHQ).
        batch_size: images optimized together, independently of each other.
        loss_size: images are area-downsampled to this many pixels for the losses.
        pixel_weight: on the mean squared difference, beside LPIPS with weight 1.
        average_weight: on the mean squared distance from the average latent, in deviations.
        optimize_noise: fit the noise maps too, with `noise_weight` on their autocorrelation.
        start_noise: deviations of noise added to a latent that starts at the average, faded out
            over the first three quarters; latents of an encoder start without.
        patience: a plateau is this many steps without 0.5 % gain; it starts the ramp-down; 0 takes
            all steps.
        seed: of the noise.
        dtype: of the generator's convolutions; torch.bfloat16 runs them under autocast.
    """

    steps: int = 300
    lr: float = 0.25
    batch_size: int = 8
    loss_size: int = 256
    pixel_weight: float = 1.0
    average_weight: float = 0.005
    optimize_noise: bool = True
    noise_weight: float = 1e5
    start_noise: float = 1.0
    patience: int = 50
    seed: int = 0
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Projection:
    """What `project` returns, in the order of the images.

    Attributes:
        latents: w+ (N, num_ws, w_dim) float32.
        losses: (N,) LPIPS + weighted pixel distance at the end, without the penalties.
        reconstructions: (N, 3, R, R) uint8, each with its own noise maps.
        steps: how many the longest batch took.
    """

    latents: Tensor
    losses: Tensor
    reconstructions: Tensor
    steps: int


@dataclass(frozen=True)
class Inversion:
    """One character.

    Attributes:
        w_plus: (num_ws, w_dim), the mean of `latents`: pose and noise average out.
        latents: (k, num_ws, w_dim).
        losses: (k,).
        reconstructions: (k, 3, R, R) uint8.
        indices: which of the given images were used.
        started_from: "average" or "encoder", of each.
    """

    w_plus: Tensor
    latents: Tensor
    losses: Tensor
    reconstructions: Tensor
    indices: list[int]
    started_from: list[str]


@torch.no_grad()
def w_statistics(generator: Generator, *, samples: int = 4096, seed: int = 0) -> Tensor:
    """Per-dimension standard deviation (w_dim,) of W around its average."""
    return w_deviation(generator, samples=samples, seed=seed).clamp_min(1e-6)


def _schedule(step: int, steps: int, rampdown_start: int) -> float:
    """Factor on the rate: linear warm-up over 5 %, cosine ramp-down over the last quarter."""
    warm = min(1.0, (step + 1) / max(1, round(0.05 * steps)))
    length = max(1, steps - rampdown_start)
    done = min(1.0, max(0.0, (step - rampdown_start) / length))
    return warm * (0.5 + 0.5 * math.cos(math.pi * done))


def project(
    images: Tensor,
    generator: Generator,
    *,
    loss: PerceptualLoss,
    settings: ProjectionSettings | None = None,
    start: Tensor | None = None,
    progress: Progress | None = None,
) -> Projection:
    """Find the w+ whose image is nearest to each of `images`.

    Args:
        images: (N, 3, R, R), float in [-1, 1] or uint8, at the generator's resolution.
        generator: of either family; left unchanged.
        start: w+ (N, num_ws, w_dim) or w (N, w_dim) to start from; the average when None.

    Raises:
        UsageError: no image, or images of another size than the generator's.
    """
    settings = settings or ProjectionSettings()
    size = generator.resolution
    if images.ndim != 4 or not len(images) or images.shape[1:] != (3, size, size):
        raise UsageError(
            f"projection needs (N, 3, {size}, {size}) images, not {tuple(images.shape)}",
            hint="Resize the images to the generator's resolution.",
        )
    device = generator.w_avg.device
    module = generator
    parameters = list(module.parameters())
    frozen = [p.requires_grad for p in parameters]
    module.requires_grad_(False)
    try:
        deviation = w_statistics(generator, seed=settings.seed)
        parts = []
        for first in range(0, len(images), settings.batch_size):
            chunk = images[first : first + settings.batch_size].to(device)
            chunk = to_float(chunk) if chunk.dtype == torch.uint8 else chunk
            begin = None if start is None else start[first : first + len(chunk)].to(device)

            def report(step: int, value: float, done: int = first) -> None:
                if progress:
                    progress(done, step, settings.steps, value)

            batch_settings = replace(settings, seed=settings.seed + first)
            parts.append(
                _project_batch(chunk, generator, loss, batch_settings, begin, deviation, report)
            )
    finally:
        for parameter, flag in zip(parameters, frozen, strict=True):
            parameter.requires_grad_(flag)
    return Projection(
        latents=torch.cat([p.latents for p in parts]),
        losses=torch.cat([p.losses for p in parts]),
        reconstructions=torch.cat([p.reconstructions for p in parts]),
        steps=max(p.steps for p in parts),
    )


def _project_batch(
    images: Tensor,
    generator: Generator,
    loss: PerceptualLoss,
    settings: ProjectionSettings,
    start: Tensor | None,
    deviation: Tensor,
    report: Callable[[int, float], None],
) -> Projection:
    device, batch = images.device, len(images)
    module = generator
    num_ws, average = generator.num_ws, generator.w_avg.float()
    if start is None:
        origin = average.expand(batch, num_ws, -1)
    else:
        origin = start.float() if start.ndim == 3 else start.float()[:, None]
        origin = origin.expand(-1, num_ws, -1).detach()
    offset = torch.zeros_like(origin, memory_format=torch.contiguous_format).requires_grad_()
    noise = NoiseMaps(generator, batch=batch) if settings.optimize_noise else None
    variables = [offset, *(noise.maps.values() if noise else ())]
    optimizer = torch.optim.Adam(variables, betas=(0.9, 0.999))
    random = torch.Generator().manual_seed(settings.seed)
    target_small = resize_for_loss(images, settings.loss_size)
    with torch.no_grad():
        target = loss.features(target_small)

    def render(latent: Tensor) -> Tensor:
        replaced = noise.scaled() if noise else {}
        with torch.autocast(device.type, settings.dtype, enabled=settings.dtype != torch.float32):
            return functional_call(module, replaced, (latent,)).float()

    def distance(image: Tensor) -> Tensor:
        small = resize_for_loss(image, settings.loss_size)
        pixel = (small - target_small).square().mean(dim=(1, 2, 3))
        return loss.distance_to(small, target) + settings.pixel_weight * pixel

    def far(w_plus: Tensor) -> Tensor:
        return ((w_plus - average) / deviation).square().mean(dim=(1, 2))

    kept = _Best(origin, noise)
    steps, rampdown = settings.steps, round(0.75 * settings.steps)
    best, best_step, step = math.inf, 0, 0
    while step < steps:
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * _schedule(step, steps, rampdown)
        jitter = 0.0
        if start is None:
            jitter = settings.start_noise * max(0.0, 1 - step / (0.75 * settings.steps)) ** 2
        latent = offset
        if jitter:
            latent = latent + jitter * torch.randn(latent.shape, generator=random).to(device)
        w_plus = origin + latent * deviation
        each = distance(render(w_plus))
        objective = each + settings.average_weight * far(w_plus)
        kept.see(objective, w_plus, noise)
        if noise:
            objective = objective + settings.noise_weight * noise.penalty()
        optimizer.zero_grad(set_to_none=True)
        objective.sum().backward()
        optimizer.step()
        if noise:
            noise.normalize()
        value = float(each.detach().mean())
        if not math.isfinite(value):
            raise ModelError(
                f"the projection is no longer finite at step {step}",
                hint="Lower `lr`, or use `dtype` float32.",
            )
        if value < best * 0.995:
            best, best_step = value, step
        elif 0 < settings.patience <= step - best_step and step < rampdown:
            rampdown, steps = step, min(steps, step + max(1, settings.steps // 4))
        report(step, value)
        step += 1
    with torch.no_grad():
        latents = origin + offset * deviation
        kept.see(distance(render(latents)) + settings.average_weight * far(latents), latents, noise)
        kept.restore(noise)
        final = render(kept.latents)
        return Projection(kept.latents, distance(final), to_uint8(final), step)


class _Best:
    """Each image's best latent so far with its noise maps: too high a rate can't make it worse."""

    def __init__(self, origin: Tensor, noise: NoiseMaps | None) -> None:
        self.score = origin.new_full((len(origin),), math.inf)
        self.latents = origin.clone()
        self._maps = {n: m.detach().clone() for n, m in noise.maps.items()} if noise else {}

    @torch.no_grad()
    def see(self, score: Tensor, latents: Tensor, noise: NoiseMaps | None) -> None:
        better = score < self.score
        self.score = torch.where(better, score, self.score)
        self.latents = torch.where(better[:, None, None], latents, self.latents)
        for name, stored in self._maps.items():
            assert noise is not None
            self._maps[name] = torch.where(better[:, None, None, None], noise.maps[name], stored)

    @torch.no_grad()
    def restore(self, noise: NoiseMaps | None) -> None:
        for name, stored in self._maps.items():
            assert noise is not None
            noise.maps[name].copy_(stored)


def invert_character(
    images: Tensor,
    generator: Generator,
    *,
    loss: PerceptualLoss,
    k: int = 50,
    settings: ProjectionSettings | None = None,
    encoder: Encode | None = None,
    start: Start | None = None,
    progress: Progress | None = None,
) -> Inversion:
    """Project up to `k` drawings of one character and average their latents.

    Args:
        images: (N, 3, R, R) uint8 or float in [-1, 1]; with N > k, k are drawn by the seed.
        encoder: maps images (B, 3, R, R) in [-1, 1] to w+ or w, where the projection can start.
        start: the encoder where there is one, else the average latent, when None. "both" takes
            twice the time: `progress` counts the images of both passes.

    Raises:
        UsageError: no image, images of another size, or a start that needs an encoder.
        ModelError: the projection is no longer finite.
    """
    settings = settings or ProjectionSettings()
    start = start or ("average" if encoder is None else "encoder")
    if k < 1:
        raise UsageError(f"k is {k}", hint="Use at least one image a character.")
    if start != "average" and encoder is None:
        raise UsageError(f"starting from {start} needs an encoder", hint="Give `encoder`.")
    chosen = torch.randperm(
        len(images), generator=torch.Generator().manual_seed(settings.seed)
    ).tolist()[:k]
    chosen.sort()
    images = images[chosen]
    results: dict[str, Projection] = {}
    for number, way in enumerate(("encoder", "average") if start == "both" else (start,)):

        def report(done: int, step: int, steps: int, value: float, n: int = number) -> None:
            if progress:
                progress(n * len(images) + done, step, steps, value)

        begin = None
        if way == "encoder" and encoder is not None and len(images):
            begin = _encoded(images, encoder, generator.w_avg.device, settings.batch_size)
        results[way] = project(
            images, generator, loss=loss, settings=settings, start=begin, progress=report
        )
    ways = list(results)
    best = torch.stack([r.losses for r in results.values()]).argmin(dim=0).tolist()

    def pick(parts: list[Tensor]) -> Tensor:
        return torch.stack([parts[way][i] for i, way in enumerate(best)])

    latents = pick([r.latents for r in results.values()])
    return Inversion(
        w_plus=latents.mean(dim=0),
        latents=latents,
        losses=pick([r.losses for r in results.values()]),
        reconstructions=pick([r.reconstructions for r in results.values()]),
        indices=chosen,
        started_from=[ways[way] for way in best],
    )


@torch.no_grad()
def _encoded(images: Tensor, encoder: Encode, device: torch.device, batch: int) -> Tensor:
    return torch.cat(
        [
            encoder(to_float(part) if part.dtype == torch.uint8 else part)
            for part in (chunk.to(device) for chunk in images.split(batch))
        ]
    )
