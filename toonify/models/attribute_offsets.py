"""Characters that let the person through: attributes of a face as offsets in StyleSpace.

Cross-domain style mixing beyond level 6 would take a photograph's textures, which a generator of
drawings can't show. But its StyleSpace (Wu et al., 2021, "StyleSpace Analysis") holds other
drawings than its characters: dark skin, gray hair, a beard. This network says where: it gives
the offsets that make the character drawn with a person's attributes out of the character.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.attribute_vector import HAIR, HAIRDOS, SHAPE, SKIN, WORN, Hairdo, Lab
from toonify.utils.tensors import smoothstep, uploaded

FIRST = 7  # level from which on offsets are added
# levels from which on something of the person is let through; at `FIRST` half the skin color
COLORS, GLASSES, BEARD, HAIR_SHAPE = 8, 9, 10, 12
LAB_SCALE = 40.0
FEATURES = 14 + len(HAIRDOS)
SURE = 0.5, 0.7  # probabilities below and above which a thing is not or wholly drawn


@dataclass(frozen=True, kw_only=True)
class OwnAttributes:
    """What a character has of its own.

    Attributes:
        skin, hair: CIELAB.
        glasses, beard, moustache: whether it has them.
        hairdo: which of `HAIRDOS` is drawn after it; None for one of its own.
    """

    skin: Lab
    hair: Lab
    glasses: bool = False
    beard: bool = False
    moustache: bool = False
    hairdo: Hairdo | None = None


class AttributeOffsets(nn.Module):
    """(attributes of a person, a character) → offsets of styles.

    Linear in the attributes a character, and a hidden layer that characters share. Where a person
    has nothing that the character hasn't, offsets are 0.

    Args:
        characters: name → its own attributes, or these as a mapping.
        layers: indices of the generator's layers that get offsets.
        widths: their style channels.
        hidden: channels of the shared layer.
    """

    def __init__(
        self,
        *,
        characters: Mapping[str, OwnAttributes | Mapping[str, Any]],
        layers: Sequence[int],
        widths: Sequence[int],
        hidden: int = 96,
    ) -> None:
        super().__init__()
        self.characters = {
            name: own if isinstance(own, OwnAttributes) else _own(own)
            for name, own in sorted(characters.items())  # files don't keep an order
        }
        self.layers, self.widths, self.hidden = tuple(layers), tuple(widths), hidden
        count, total = len(self.characters), sum(self.widths)
        self.linear = nn.Parameter(torch.zeros(count, FEATURES, total))
        self.inner = nn.Parameter(0.4 * torch.randn(FEATURES + count, hidden))
        self.outer = nn.Parameter(torch.zeros(hidden, total))

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "attribute-offsets"."""
        return {
            "architecture": "attribute-offsets",
            "characters": {name: asdict(own) for name, own in self.characters.items()},
            "layers": list(self.layers),
            "widths": list(self.widths),
            "hidden": self.hidden,
        }

    def features(self, attributes: Tensor, character: str, *, level: int) -> Tensor:
        """What a person has that a character hasn't, as far as a level lets it through.

        Args:
            attributes: (B, 17) of `toonify.faces.attributes.FaceAttributes.vector`.

        Returns:
            (B, `FEATURES`).
        """
        own = self.characters[character]
        out = attributes.new_zeros(len(attributes), FEATURES)
        share = 0.5 if level == FIRST else float(level >= COLORS)
        parts = ((SKIN, own.skin, 0, share), (HAIR, own.hair, 3, float(level >= COLORS)))
        for part, color, start, passed in parts:
            *_, known = (seen := attributes[:, part]).unbind(1)
            moved = (seen[:, :3] - torch.tensor(color)) / LAB_SCALE
            out[:, start : start + 3] = passed * known[:, None] * moved
        worn = smoothstep(attributes[:, WORN], *SURE)
        glasses, sunglasses, beard, moustache = worn.unbind(1)
        if level >= GLASSES:
            if own.glasses:
                out[:, 6] = 1 - glasses
            else:
                out[:, 7] = (glasses - sunglasses).clamp_min(0)
            out[:, 8] = sunglasses
        if level >= BEARD:
            for start, seen, has in ((9, beard, own.beard), (11, moustache, own.moustache)):
                out[:, start + has] = 1 - seen if has else seen
        if level >= HAIR_SHAPE:
            shapes = attributes[:, SHAPE].clone()
            if own.hairdo is not None:
                shapes[:, HAIRDOS.index(own.hairdo)] = 0
            out[:, 13], out[:, 14:] = shapes.sum(1), shapes
        return out

    def forward(self, features: Tensor, characters: Sequence[str]) -> tuple[Tensor, ...]:
        """(B, `FEATURES`) and B names → (B, C) for each of `layers`."""
        names = list(self.characters)
        chosen = torch.tensor([names.index(name) for name in characters])
        index, which = (
            uploaded(x, features.device) for x in (chosen, F.one_hot(chosen, len(names)))
        )
        which = which.to(features.dtype)
        straight = (features[:, None] @ self.linear[index])[:, 0]
        inner = F.relu(torch.cat([features, which], dim=1) @ self.inner)
        still = F.relu(torch.cat([torch.zeros_like(features), which], dim=1) @ self.inner)
        offsets: tuple[Tensor, ...] = (straight + (inner - still) @ self.outer).split(
            self.widths, dim=1
        )
        return offsets

    def steer(
        self, styles: Sequence[Tensor], attributes: Tensor, character: str, *, level: int
    ) -> list[Tensor]:
        """Styles of a character, (B, C) a layer, with what a level lets through of the person.

        Args:
            attributes: as of `features`, on the CPU.
        """
        features = self.features(attributes, character, level=level)
        features = uploaded(features, styles[0].device)
        moved = list(styles)
        offsets = self(features, [character] * len(features))
        for layer, offset in zip(self.layers, offsets, strict=True):
            moved[layer] = moved[layer] + offset
        return moved


def _own(attributes: Mapping[str, Any]) -> OwnAttributes:
    """From a file, where tuples are lists."""
    colors = {part: tuple(attributes[part]) for part in ("skin", "hair")}
    return OwnAttributes(**{**attributes, **colors})
