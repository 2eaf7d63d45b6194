"""StyleFusion's hierarchy (arXiv 2107.07437): a latent for each part of a picture, fused into one.

A binary tree of parts; a FusionNet at an inner node makes one latent of its children's, which are
fused before it, and of its own, the common latent. A node without a net is its own latent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from toonify.errors import ModelError, UsageError
from toonify.models.base import Generator, LayerInfo
from toonify.models.fusion_net import FusionNet


@dataclass(frozen=True)
class Part:
    """A node: its name, and its two children unless it is a leaf."""

    name: str
    children: tuple[Part, Part] | None = None


def _node(name: str, first: Part, second: Part) -> Part:
    return Part(name, (first, second))


FFHQ = _node(
    "all",
    _node("face", _node("skin_mouth", Part("mouth"), Part("skin")), Part("eyes")),
    _node(
        "bg_hair_clothes",
        _node("bg_clothes", Part("clothes"), Part("bg")),
        Part("hair"),
    ),
)
CAR = _node(
    "all",
    _node("car", Part("car_body"), Part("wheels")),
    _node("background", Part("background_top"), Part("background_bottom")),
)
CHURCH = _node("all", Part("church"), Part("background"))
PERSON = _node("all", Part("person"), Part("background"))  # ours: who edits, and what is behind


class Region(NamedTuple):
    """The parts wanted: those that have to be there, and those whose latents go with them."""

    own: tuple[str, ...]
    others: tuple[str, ...] = ()


# In the order in which later ones overwrite earlier ones, as published
REGIONS = {
    "hair": Region(("hair",), ("bg_hair_clothes",)),
    "face": Region(("face",), ("eyes", "skin_mouth", "mouth", "skin")),
    "background": Region(("bg", "background"), ("background_top", "background_bottom")),
    "all": Region(("all",)),
    "mouth": Region(("skin_mouth",), ("face",)),
    "eyes": Region(("eyes",), ("face",)),
    "wheels": Region(("wheels",)),
    "car": Region(("car",), ("wheels", "car_body")),
}


class StyleFusion:
    """Latents for the parts of a picture, fused into one.

    Args:
        root: the tree.
        nets: by name of their node.

    Raises:
        ModelError: a net of no inner node.

    Examples:
        >>> fusion = StyleFusion(FFHQ, nets)
        >>> styles = fusion.swapped(G, G.styles(me), {"hair": G.styles(friend)})
        >>> image = G.synthesize(styles)
    """

    def __init__(self, root: Part, nets: Mapping[str, FusionNet]) -> None:
        self.root, self.nets = root, dict(nets)
        inner = [part.name for part in _all_parts(root) if part.children]
        for name in self.nets:
            if name not in inner:
                raise ModelError(
                    f"nothing is fused at {name!r}", hint=f"There are nets of {', '.join(inner)}."
                )

    @property
    def parts(self) -> list[str]:
        """Those whose latents matter: a node, then its first child's, then its second child's."""
        return self._active(self.root)

    @property
    def regions(self) -> list[str]:
        """What `swapped` can tell apart with these nets."""
        active = set(self.parts)
        return [name for name, region in REGIONS.items() if active.intersection(region.own)]

    def check(self, generator: Generator) -> None:
        """ModelError unless every net is of this generator."""
        for net in self.nets.values():
            net.check(generator)

    def fuse(
        self, layers: Sequence[LayerInfo], styles: Mapping[str, Sequence[Tensor]]
    ) -> list[Tensor]:
        """Styles by part → one latent's styles.

        Args:
            layers: the generator's.
            styles: styles (B, C_i) of all of its layers; a node whose children have none is its
                own latent.
        """
        return self._fused(self.root, layers, styles)

    def swapped(
        self,
        generator: Generator,
        base: Sequence[Tensor],
        others: Mapping[str, Sequence[Tensor]],
    ) -> list[Tensor]:
        """One latent's styles, with regions of others.

        Args:
            base: styles of every part that isn't named.
            others: styles by region, see `regions`; the common latents above a region go with it.

        Raises:
            UsageError: a region that these nets don't tell apart.
        """
        for name in others:
            if name not in self.regions:
                raise UsageError(
                    f"these networks don't part {name} from the rest",
                    hint=f"They part {', '.join(self.regions)}.",
                )
        styles = dict.fromkeys(self.parts, base)
        for name, region in REGIONS.items():
            if name in others:
                styles |= {part: others[name] for part in (*region.own, *region.others)}
        return self.fuse(generator.layers, styles)

    def _active(self, part: Part) -> list[str]:
        if part.children is None or part.name not in self.nets:
            return [part.name]
        first, second = part.children
        return [part.name, *self._active(first), *self._active(second)]

    def _fused(
        self, part: Part, layers: Sequence[LayerInfo], styles: Mapping[str, Sequence[Tensor]]
    ) -> list[Tensor]:
        own = list(styles[part.name])
        if part.children is None or part.name not in self.nets:
            return own
        if any(child.name not in styles for child in part.children):
            return own
        first, second = (self._fused(child, layers, styles) for child in part.children)
        return self.nets[part.name](layers, first, second, own)


def _all_parts(part: Part) -> list[Part]:
    below = (
        [] if part.children is None else [x for child in part.children for x in _all_parts(child)]
    )
    return [part, *below]
