"""Architectures by the name that files carry: a new one is one file and one line here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from toonify.errors import ModelError

Role = Literal[
    "generator",
    "encoder",
    "discriminator",
    "style",
    "hfgi",
    "fusion",
    "translator",
    "stylemap",
    "attributes",
    "drawing",
    "restoration",
]


@dataclass(frozen=True)
class Architecture:
    """What is built for a name.

    Attributes:
        role: what the network is for.
        home: the class, or "module:class", imported on first use.
        fixed: constructor arguments that the name stands for.
    """

    role: Role
    home: str | type[nn.Module]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def network(self) -> type[nn.Module]:
        """The class."""
        if not isinstance(self.home, str):
            return self.home
        module, _, name = self.home.partition(":")
        found: type[nn.Module] = getattr(importlib.import_module(f"toonify.models.{module}"), name)
        return found


ARCHITECTURES: dict[str, Architecture] = {
    "stylegan2": Architecture("generator", "generators.stylegan2:StyleGAN2Generator"),
    "mobile": Architecture("generator", "generators.mobile:MobileGenerator"),
    "hybrid": Architecture("generator", "generators.hybrid:HybridGenerator"),
    "psp": Architecture("encoder", "encoders.psp:PSPEncoder", {"deltas": False}),
    "e4e": Architecture("encoder", "encoders.psp:PSPEncoder", {"deltas": True}),
    "restyle": Architecture("encoder", "encoders.psp:ReStyleEncoder"),
    "compact": Architecture("encoder", "encoders.compact:CompactEncoder"),
    "styleganex": Architecture("encoder", "encoders.styleganex:StyleGANEXEncoder"),
    "stylegan2_discriminator": Architecture(
        "discriminator", "discriminators:StyleGAN2Discriminator"
    ),
    "adain": Architecture("style", "style_transfer.adain:AdaINNetwork"),
    "adain-layerwise": Architecture("style", "style_transfer.layerwise:LayerwiseAdaIN"),
    "wct2": Architecture("style", "style_transfer.wct2:WCT2"),
    "unet": Architecture("translator", "unet:UNet"),
    "styled_unet": Architecture("translator", "styled_unet:StyledUNet"),
    "stylemap": Architecture("stylemap", "generators.stylemap:StyleMapGAN"),
    "attribute-offsets": Architecture("attributes", "attribute_offsets:AttributeOffsets"),
    "drawing": Architecture("drawing", "encoders.drawing:DrawingEncoder"),
    "hfgi": Architecture("hfgi", "encoders.hfgi_compact:CompactHFGI"),
    "fusion": Architecture("fusion", "fusion_net:FusionNet"),
    "restoration": Architecture("restoration", "encoders.restoration:FaceRestoration"),
}


def role_of(config: Mapping[str, Any]) -> Role | None:
    """What the network of a configuration is for; None for an unknown architecture."""
    name = config.get("architecture")
    known = ARCHITECTURES.get(name) if isinstance(name, str) else None
    return None if known is None else known.role


def build(config: Mapping[str, Any], role: Role) -> nn.Module:
    """A network with fresh weights from what its `config()` returned.

    Raises:
        ModelError: the architecture is not one of ours, or of another role.
    """
    arguments = dict(config)
    name = str(arguments.pop("architecture", None))
    if role_of(config) != role:
        raise ModelError(f"unknown {role} architecture {name!r}", hint="Update toonify.")
    known = ARCHITECTURES[name]
    return known.network(**{**arguments, **known.fixed})
