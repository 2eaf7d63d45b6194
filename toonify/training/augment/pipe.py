"""The pipeline of augmentations, differentiable twice."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from toonify.errors import UsageError
from toonify.training.augment.color import color, recolor
from toonify.training.augment.corruption import add_noise, amplify, band_gains, cut_out
from toonify.training.augment.draws import Draws
from toonify.training.augment.geometry import blit, geometric, move, warp
from toonify.training.core.distributed import World

_STAGES = ("blit", "geom", "color", "filter", "noise", "cutout")
# The published code's names: one stage alone, or all up to one (blitting, geometric, …).
PRESETS: dict[str, tuple[str, ...]] = {
    **{stage: (stage,) for stage in _STAGES},
    **{"bgcfnc"[:count]: _STAGES[:count] for count in range(2, 7)},
}


class AugmentPipe:
    """Transforms images (B, 3, S, S) in [-1, 1], each transformation with probability p a sample.

    Samples that no transformation hits pass through bit for bit.

    Args:
        preset: a key of `PRESETS`: "blit" (x-flip, rotation by 90°, whole-pixel translation),
            "geom" (scale, rotation, anisotropic scale, fractional translation), "color"
            (brightness, contrast, luma flip, hue, saturation), "filter" (four frequency bands),
            "noise", "cutout"; or initials, as in "bgc", for all of these.
        random: source of the transformations' parameters, on the CPU.
        noise_rng: source of the noise, on the images' device; `random` when None.
        world: the processes that share each batch.
    """

    def __init__(
        self,
        preset: str = "bgc",
        *,
        random: torch.Generator | None = None,
        noise_rng: torch.Generator | None = None,
        world: World | None = None,
    ) -> None:
        if preset not in PRESETS:
            raise UsageError(
                f"unknown augmentation {preset!r}", hint=f"Choose one of {', '.join(PRESETS)}."
            )
        self.stages = PRESETS[preset]
        self.random = random or torch.Generator()
        self.noise_rng = noise_rng or self.random
        self.world = world or World()

    def __call__(self, images: Tensor, p: float) -> Tensor:
        """Transformed copies, in float32."""
        if p <= 0:
            return images
        images = images.float()
        draws = Draws(self.random, self.noise_rng, self.world, p, len(images))
        if "blit" in self.stages or "geom" in self.stages:
            images = self._place(images, draws)
        if "color" in self.stages:
            matrix = color(draws)
            images = _where(images, _changed(matrix, torch.eye(4)), recolor, matrix)
        if "filter" in self.stages:
            gains = band_gains(draws)
            images = _where(images, _changed(gains, torch.ones(4)), amplify, gains)
        if "noise" in self.stages:
            images = add_noise(images, draws)
        if "cutout" in self.stages:
            images = cut_out(images, draws)
        return images

    def _place(self, images: Tensor, draws: Draws) -> Tensor:
        exact, inexact = self._maps(draws, images.shape[-1])
        moved, warped = (_changed(m, torch.eye(3)) for m in (exact, inexact))
        with torch.autocast("cpu", enabled=False):
            both = exact @ inexact
        images = _where(images, warped, warp, both)
        return _where(images, moved & ~warped, move, exact)

    def _maps(self, draws: Draws, size: int) -> tuple[Tensor, Tensor]:
        """What moves whole pixels, and what doesn't; each (B, 3, 3)."""
        nothing = torch.eye(3).repeat(draws.count, 1, 1)
        return (
            blit(draws, size) if "blit" in self.stages else nothing,
            geometric(draws) if "geom" in self.stages else nothing,
        )


def _changed(values: Tensor, neutral: Tensor) -> Tensor:
    """Which samples of (B, …) are not neutral, (B,) bool."""
    return (values - neutral).abs().flatten(1).amax(dim=1) > 0


def _where(
    images: Tensor, hit: Tensor, change: Callable[[Tensor, Tensor], Tensor], parameters: Tensor
) -> Tensor:
    """`change` the samples that are hit, leaving the others alone."""
    if not hit.any():
        return images
    if hit.all():
        return change(images, parameters).float()
    index = hit.nonzero()[:, 0].to(images.device)
    changed = change(images[index], parameters[hit]).float()
    return images.index_copy(0, index, changed)
