"""FusionNet: two style codes in, one out, of which each rules one region (arXiv 2107.07437).

StyleFusion blends codes channel by channel in a frozen generator's style space. Its training was
never published, and its networks have 37 million weights; ours fuses the layers up to 32×32, where
heads and backgrounds get their places, with half a million.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import ModelError
from toonify.models.base import Generator

FUSED_TO = 32  # resolution of the last layers that are fused
COMMON_LAYERS = 5  # first ones, where the common code aligns both before they are fused
KEPT = -1.0  # logit of what comes from the second code before anything is learnt


class LatentBlender(nn.Module):
    """b's share of each channel, from both codes: a + σ(MLP(a, b, extra, layer)) ⊙ (b - a).

    Args:
        width: channels of the widest layer; narrower styles are padded.
        layers: how many layers share the weights.
        hidden: channels within.
    """

    def __init__(self, width: int, layers: int, hidden: int) -> None:
        super().__init__()
        self.layers = layers
        self.net = nn.Sequential(
            nn.Linear(3 * width + layers, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, width),
        )
        last = cast(nn.Linear, self.net[-1])
        nn.init.normal_(last.weight, std=1e-2)
        nn.init.constant_(last.bias, KEPT)

    def forward(self, a: Tensor, b: Tensor, extra: Tensor, layer: int) -> Tensor:
        """Styles (B, width) of one layer → their blend, (B, width)."""
        place = F.one_hot(torch.tensor(layer, device=a.device), self.layers).to(a)
        seen = torch.cat((a, b - a, extra - a, place.expand(len(a), -1)), dim=1)
        return a + self.net(seen).sigmoid() * (b - a)


class FusionNet(nn.Module):
    """Person of one code, background of another; what `toonify train-encoder --task fusion` makes.

    Args:
        channels: lengths of the fused layers' styles, see `fused_styles`.
        hidden: channels within the blenders.
    """

    def __init__(self, *, channels: Sequence[int], hidden: int = 160) -> None:
        super().__init__()
        self.channels, self.hidden = tuple(channels), hidden
        width, count = max(self.channels), len(self.channels)
        self.common = LatentBlender(width, count, hidden)
        self.regions = LatentBlender(width, count, hidden)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "fusion"."""
        return {
            "architecture": "fusion",
            "channels": list(self.channels),
            "hidden": self.hidden,
        }

    def check(self, generator: Generator) -> Generator:
        """The generator, when its layers are those that are fused; ModelError otherwise."""
        lengths = [generator.layers[i].channels for i in fused_styles(generator)]
        if tuple(lengths) != self.channels:
            raise ModelError(
                "this FusionNet was trained for another generator",
                hint="Give the generator that it was trained for.",
            )
        return generator

    def forward(
        self, person: Sequence[Tensor], background: Sequence[Tensor], common: Sequence[Tensor]
    ) -> list[Tensor]:
        """Styles (B, C_i) of the fused layers, three times, → fused.

        Args:
            common: what pose and layout come from.
        """
        width, fused = max(self.channels), []
        for layer, styles in enumerate(zip(person, background, common, strict=True)):
            length = styles[0].shape[1]
            one, two, shared = (F.pad(x, (0, width - length)) for x in styles)
            if layer < COMMON_LAYERS:
                one = self.common(one, shared, shared, layer)
                two = self.common(two, shared, shared, layer)
            fused.append(self.regions(one, two, shared, layer)[:, :length])
        return fused

    def fuse(
        self, generator: Generator, person: Tensor, background: Tensor, common: Tensor | None = None
    ) -> list[Tensor]:
        """All of the generator's styles for w+ (B, L, D) of a person and of a background.

        Layers beyond the fused ones are the person's.

        Args:
            common: what pose and layout come from; the person's when None.
        """
        styles = generator.styles(person)
        places = fused_styles(generator)
        mine = [styles[i] for i in places]
        others = generator.styles(background)
        shared = mine
        if common is not None:
            given = generator.styles(common)
            shared = [given[i] for i in places]
        for i, style in zip(places, self(mine, [others[i] for i in places], shared), strict=True):
            styles[i] = style
        return styles


def fused_styles(generator: Generator) -> list[int]:
    """Which of a generator's styles are fused: the convolutions' up to 32×32."""
    return [
        i
        for i, layer in enumerate(generator.layers)
        if layer.kind == "conv" and layer.resolution <= FUSED_TO
    ]
