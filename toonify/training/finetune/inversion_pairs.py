"""Pairs by inversion: each drawing's crude, face-like latent in the prior's W (JoJoGAN's idea)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.errors import UsageError
from toonify.metrics.lpips import PerceptualLoss
from toonify.models.base import Generator
from toonify.models.latents import w_deviation
from toonify.utils.tensors import to_float


def invert_to_w(
    generator: Generator,
    drawings: Tensor,
    *,
    perceptual: PerceptualLoss,
    start: Tensor | None = None,
    steps: int | None = None,
    lr: float = 0.03,
    pull: float = 0.02,
    size: int = 128,
    batch_size: int = 4,
) -> Tensor:
    """Latents (N, w_dim) whose faces resemble the drawings.

    Few steps and a pull toward the average keep the latents face-like, which is what pairs need:
    the face that the drawing could be of, not a face network's rendering of ink.

    Args:
        drawings: (N, 3, R, R) uint8 RGB.
        start: (N, w_dim) latents to start from, an encoder's say; the average when None.
        steps: 45 from the average and none from `start`, unless given: an encoder's latents are
            faces already, of the kind that photos get, and steps bleach them.
        pull: weight of the squared distance to the average, in deviations of w.
        size: side at which pictures are compared.
    """
    if steps is None:
        steps = 45 if start is None else 0
    deviation = w_deviation(generator)
    found = []
    for first in range(0, len(drawings), batch_size):
        images = to_float(drawings[first : first + batch_size])
        target = F.interpolate(images.to(generator.w_avg.device), size=(size, size), mode="area")
        with torch.no_grad():
            wanted = perceptual.features(target)
        offset = torch.zeros(len(target), generator.w_dim, device=target.device)
        if start is not None:
            chosen = start[first : first + batch_size].to(target.device)
            offset = (chosen - generator.w_avg) / deviation
        offset.requires_grad_(True)
        optimizer = torch.optim.Adam([offset], lr=lr, betas=(0.9, 0.99))
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = lr * min(1.0, 2 * (1 - step / steps))
            w = generator.w_avg + offset * deviation
            half = wanted[0].dtype == torch.bfloat16  # as the losses are computed
            with torch.autocast(target.device.type, torch.bfloat16, enabled=half):
                image = generator.synthesize(
                    generator.styles(w[:, None].expand(-1, generator.num_ws, -1))
                )
            image = F.interpolate(image.float(), size=(size, size), mode="area")
            low = F.avg_pool2d(image - target, 8).abs().mean((1, 2, 3))
            loss = perceptual.distance_to(image, wanted) + 0.5 * low
            loss = (loss + pull * offset.square().mean(1)).sum()
            # of the latents alone: the generator's weights get no gradient
            (offset.grad,) = torch.autograd.grad(loss, [offset])
            optimizer.step()
        found.append((generator.w_avg + offset * deviation).detach())
    return torch.cat(found)


class InvertedPairs:
    """A `PairSource` of drawings and their inverted latents.

    Args:
        latents: (N, w_dim) from `invert_to_w`.
        drawings: (N, 3, R, R) uint8.
        characters: name of each drawing's character; each gets the mean of its latents as style,
            where needed moved away from the others' (see `distinct_styles`).
        num_ws: rows of w+.
        apart: how far the characters' styles shall be from each other.
    """

    def __init__(
        self,
        latents: Tensor,
        drawings: Tensor,
        characters: Sequence[str],
        *,
        num_ws: int,
        apart: float = 0.0,
    ) -> None:
        if not len(latents) == len(drawings) == len(characters):
            raise UsageError("latents, drawings and characters differ in number")
        self._latents, self._drawings, self._num_ws = latents, drawings, num_ws
        self.styles = distinct_styles(latents, characters, apart)
        self._style = torch.stack([self.styles[name] for name in characters])

    def __len__(self) -> int:
        return len(self._drawings)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        faces = self._latents[index][:, None].expand(-1, self._num_ws, -1)
        styles = self._style[index][:, None].expand(-1, self._num_ws, -1)
        return faces, styles, to_float(self._drawings[index])


def distinct_styles(
    latents: Tensor, characters: Sequence[str], apart: float = 0.0
) -> dict[str, Tensor]:
    """Each character's style (w_dim,): the mean of its latents, moved away from all styles' middle
    until the closest two are `apart`, or sixfold at most: they shall stay near faces' latents.

    Face-like latents hardly show what no face has: a yellow and a pink cartoon of one head get
    nearly the same, and the generator learns their average.

    Args:
        latents: (N, w_dim); characters: N names.
    """
    names = list(dict.fromkeys(characters))
    means = torch.stack(
        [latents[[i for i, c in enumerate(characters) if c == name]].mean(0) for name in names]
    )
    if len(names) > 1:
        closest = float(torch.pdist(means).min())
        middle = means.mean(0)
        means = middle + min(max(apart / max(closest, 1e-6), 1.0), 6.0) * (means - middle)
    return dict(zip(names, means, strict=True))
