"""Cross-domain style mixing (arXiv 2205.12450): pure functions on StyleSpace.

CDSM(w_f, w_c, m) = SM(R(s_f, s_c), s_c, m): s_f and s_c are the styles of the face's and of the
character's w+, R replaces the tRGB styles, SM mixes from layer m on. Styles are lists of (B, C_i)
tensors in the order of a generator's `layers`; a character's batch of one broadcasts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from toonify.errors import UsageError
from toonify.models.base import Generator, LayerInfo

DEFAULT_LEVEL = 6  # m of the paper: from the 32×32 layers on, all is the character's


def replace_to_rgb(
    photo: Sequence[Tensor],
    character: Sequence[Tensor],
    layers: Sequence[LayerInfo],
    *,
    color: float = 1.0,
) -> list[Tensor]:
    """R: take every tRGB style from the character.

    Args:
        color: how far, from 0 (the photo's own colors) to 1 (the character's).
    """
    return [
        torch.lerp(own, other, color) if layer.kind == "rgb" else own
        for own, other, layer in zip(photo, character, layers, strict=True)
    ]


def mix_from(
    photo: Sequence[Tensor],
    character: Sequence[Tensor],
    layers: Sequence[LayerInfo],
    *,
    level: int,
) -> list[Tensor]:
    """SM: the photo's styles where the latent index is below `level`, then the character's."""
    return [
        own if layer.latent_index < level else other.expand(max(len(own), len(other)), -1)
        for own, other, layer in zip(photo, character, layers, strict=True)
    ]


def cross_domain_styles(
    generator: Generator,
    w_photo: Tensor,
    w_character: Tensor,
    *,
    level: int = DEFAULT_LEVEL,
    trgb: bool = True,
    color: float = 1.0,
) -> list[Tensor]:
    """Styles of the cartoon, ready for `generator.synthesize`.

    Args:
        generator: the layer-swapped generator, whose affine layers are A(·).
        w_photo: (B, num_ws, w_dim), the encoder's latent.
        w_character: (1 or B, num_ws, w_dim), from the look-up table.
        level: m; 0 is the character itself, num_ws replaces tRGB alone.
        trgb: whether R is applied.
        color: see `replace_to_rgb`.

    Raises:
        UsageError: level or color out of range, or latents of another generator's length.
    """
    if not 0 <= level <= generator.num_ws:
        raise UsageError(f"the level is {level}", hint=f"Choose `level` 0 to {generator.num_ws}.")
    if not 0.0 <= color <= 1.0:
        raise UsageError(f"the color blend is {color}", hint="Choose `color` 0 to 1.")
    for latent in (w_photo, w_character):
        if latent.shape[1:] != (generator.num_ws, generator.w_dim):
            raise UsageError(
                f"a latent of shape {tuple(latent.shape[1:])} does not fit a generator of "
                f"{generator.num_ws} × {generator.w_dim}",
                hint="Use the encoder and the table made for this generator.",
            )
    photo, character = generator.styles(w_photo), generator.styles(w_character)
    if trgb:
        photo = replace_to_rgb(photo, character, generator.layers, color=color)
    return mix_from(photo, character, generator.layers, level=level)
