"""FusionNet: two latents' styles in, one's out, of which each rules one region (arXiv 2107.07437).

Kafri et al. blend latents channel by channel in a frozen generator's style space. Their networks
have 37 million weights and fuse every layer; the one that we train is narrow, and fuses the
convolutions up to 32×32, where heads and backgrounds get their places. Module
names are the published ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import ModelError
from toonify.models.base import Generator, LayerInfo
from toonify.models.layers import SQRT2, EqualLinear

MOST_LAYERS = 18  # that the indicator tells apart; one more entry says that it is a tRGB
REPEATS = 10  # of the indicator
LR_MULTIPLIER = 0.01
FUSED_TO = 32  # resolution up to which those that we train fuse
COMMON_LAYERS = 5  # first ones, where the common latent aligns both before they are fused
KEPT = -1.0  # logit of what comes from the second latent before anything is learnt


class LatentBlender(nn.Module):
    """a + σ(MLP(a, b, extra, layer)) ⊙ (b - a): which of two styles each channel follows.

    Args:
        width: length of the styles.
        hidden: channels within.
        extra: whether a third style is seen.
    """

    def __init__(self, width: int, hidden: int, *, extra: bool = False) -> None:
        super().__init__()
        seen = (3 if extra else 2) * width + REPEATS * (MOST_LAYERS + 1)
        sizes = (seen, hidden, hidden, hidden, width, width)
        self.disentangle_net = nn.Sequential(
            *(
                EqualLinear(given, taken, lr_multiplier=LR_MULTIPLIER, activate=True)
                for given, taken in itertools.pairwise(sizes)
            )
        )
        last = cast(EqualLinear, self.disentangle_net[-1])
        with torch.no_grad():  # before the leaky ReLU that is before the sigmoid
            last.weight.mul_(0.1)
            last.bias.fill_(KEPT / (0.2 * SQRT2 * LR_MULTIPLIER))

    def forward(
        self, a: Tensor, b: Tensor, layer: int, *, rgb: bool = False, extra: Tensor | None = None
    ) -> Tensor:
        """Styles (B, width) → their blend, (B, width).

        Args:
            layer: its number among the convolutions, or among the tRGBs.
            rgb: tell the network that it is a tRGB.
        """
        indicator = torch.zeros(MOST_LAYERS + 1, device=a.device, dtype=a.dtype)
        indicator[layer] = 1
        indicator[-1] += float(rgb)
        place = indicator.repeat(REPEATS).expand(len(a), -1)
        seen = [a, b, place] if extra is None else [a, b, extra, place]
        share = self.disentangle_net(torch.cat(seen, dim=1)).sigmoid()
        return a + share * (b - a)


@dataclass(frozen=True)
class Place:
    """A style that is fused.

    Attributes:
        index: among all of the generator's.
        number: among its convolutions' or its tRGBs'.
        rgb: whether it is a tRGB's.
    """

    index: int
    number: int
    rgb: bool


class FusionNet(nn.Module):
    """Styles of two latents → one latent's; what `toonify train-encoder --task fusion` makes.

    Args:
        width: that all styles are widened to: the generator's widest.
        hidden: channels within the blenders.
        up_to: resolution of the last convolutions that are fused, and no tRGB then; None for
            every layer, as published.
        common_layers: how many of the first layers are aligned to the common latent; None for all.

    Examples:
        >>> styles = network(G.layers, G.styles(person), G.styles(background), G.styles(person))
        >>> image = G.synthesize(styles)
    """

    def __init__(
        self,
        *,
        width: int = 512,
        hidden: int = 2560,
        up_to: int | None = None,
        common_layers: int | None = COMMON_LAYERS,
    ) -> None:
        super().__init__()
        self.width, self.hidden, self.up_to = width, hidden, up_to
        self.common_layers = common_layers
        self.blender_segments = LatentBlender(width, hidden, extra=True)
        self.blender_common = LatentBlender(width, hidden)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "fusion"."""
        return {
            "architecture": "fusion",
            "width": self.width,
            "hidden": self.hidden,
            "up_to": self.up_to,
            "common_layers": self.common_layers,
        }

    def check(self, generator: Generator) -> Generator:
        """The generator, when its layers are such as are fused; ModelError otherwise."""
        places = self.places(generator.layers)
        widths = {generator.layers[place.index].channels for place in places}
        if (
            max(widths) != self.width
            or any(self.width % width for width in widths)
            or max(place.number for place in places) >= MOST_LAYERS
        ):
            raise ModelError(
                "this FusionNet was trained for another generator",
                hint="Give the generator that it was trained for.",
            )
        return generator

    def places(self, layers: Sequence[LayerInfo]) -> list[Place]:
        """Which of a generator's styles are fused."""
        counts, found = {"conv": 0, "rgb": 0}, []
        for index, layer in enumerate(layers):
            rgb = layer.kind == "rgb"
            if self.up_to is None or (not rgb and layer.resolution <= self.up_to):
                found.append(Place(index, counts[layer.kind], rgb))
            counts[layer.kind] += 1
        return found

    def forward(
        self,
        layers: Sequence[LayerInfo],
        one: Sequence[Tensor],
        two: Sequence[Tensor],
        common: Sequence[Tensor] | None = None,
    ) -> list[Tensor]:
        """Styles (B, C_i) of all of a generator's layers, three times, → fused.

        Args:
            layers: the generator's.
            common: what pose and layout come from; without it the two are fused as they are.
        """
        fused = list(one)
        for place in self.places(layers):
            a, b = one[place.index], two[place.index]
            length, number = a.shape[1], place.number
            extra = torch.zeros_like(self._wide(a))
            if common is not None and self._aligns(place):
                extra = self._wide(common[place.index])
                a, b = (
                    self._narrow(self.blender_common(self._wide(x), extra, number), length)
                    for x in (a, b)
                )
            blend = self.blender_segments(self._wide(a), self._wide(b), number, extra=extra)
            fused[place.index] = self._narrow(blend, length)
        return fused

    def aligned(
        self, layers: Sequence[LayerInfo], one: Sequence[Tensor], common: Sequence[Tensor]
    ) -> list[Tensor]:
        """One latent's styles, the first layers drawn to the common latent's pose and layout."""
        answer = list(one)
        for place in self.places(layers):
            if self._aligns(place):
                own, wanted = (self._wide(x[place.index]) for x in (one, common))
                blend = self.blender_common(own, wanted, place.number, rgb=place.rgb)
                answer[place.index] = self._narrow(blend, one[place.index].shape[1])
        return answer

    def fuse(self, generator: Generator, person: Tensor, background: Tensor) -> list[Tensor]:
        """All of the generator's styles for w+ (B, L, D) of a person and of a background.

        Pose and layout are the person's.
        """
        mine = generator.styles(person)
        return self(generator.layers, mine, generator.styles(background), mine)

    def _aligns(self, place: Place) -> bool:
        return self.common_layers is None or place.number < self.common_layers

    def _wide(self, style: Tensor) -> Tensor:
        """(B, C) → (B, width), each entry repeated."""
        return F.interpolate(style[:, None], size=self.width, mode="nearest")[:, 0]

    def _narrow(self, style: Tensor, length: int) -> Tensor:
        """(B, width) → (B, length), the largest of each group."""
        return F.max_pool1d(style[:, None], self.width // length)[:, 0]
