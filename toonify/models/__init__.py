"""Networks only, no file access. `build_generator` and `build_encoder` rebuild from a config."""

from __future__ import annotations

from typing import Any

from torch import nn

from toonify.errors import ModelError


def build_generator(config: dict[str, Any]) -> nn.Module:
    """Generator with fresh weights from what its `config()` returned.

    Raises:
        ModelError: the architecture is not one of ours.
    """
    kind, arguments = _split(config)
    if kind == "mobile":
        from toonify.models.mobile import MobileGenerator

        return MobileGenerator(**arguments)
    if kind == "stylegan2":
        from toonify.models.stylegan2 import StyleGAN2Generator

        return StyleGAN2Generator(**arguments)
    if kind == "hybrid":
        from toonify.models.hybrid import HybridGenerator

        return HybridGenerator(**arguments)
    raise ModelError(f"unknown generator architecture {kind!r}", hint="Update toonify.")


def build_encoder(config: dict[str, Any]) -> nn.Module:
    """Encoder with fresh weights from what its `config()` returned.

    Raises:
        ModelError: the architecture is not one of ours.
    """
    kind, arguments = _split(config)
    if kind == "compact":
        from toonify.models.compact_encoder import CompactEncoder

        return CompactEncoder(**arguments)
    if kind == "styleganex":
        from toonify.models.styleganex_encoder import StyleGANEXEncoder

        return StyleGANEXEncoder(**arguments)
    from toonify.models.encoders import BUILDERS

    if kind in BUILDERS:
        return BUILDERS[kind](**arguments)
    raise ModelError(f"unknown encoder architecture {kind!r}", hint="Update toonify.")


def _split(config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    arguments = dict(config)
    return str(arguments.pop("architecture", None)), arguments
