"""Local edits by stylemaps (StyleMapGAN, arXiv 2104.14754, section 3.3): parts of one picture in
another's place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.models.generators.stylemap import StyleMapGenerator


def mixed_by_mask(source: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """Source (1, C, h, w) with the reference where the mask reaches.

    Args:
        mask: (1, H, W) of -1 and more, H and W multiples of the map's; a place counts where any
            pixel of it is above -1.
    """
    size = (mask.shape[1] // source.shape[2], mask.shape[2] // source.shape[3])
    reached = F.max_pool2d(mask[:, None], size) > -1
    return torch.where(reached, reference, source)


def local_edit(
    generator: StyleMapGenerator,
    source: Tensor,
    reference: Tensor,
    mask: Tensor,
    *,
    every_layer: bool = False,
) -> Tensor:
    """Picture (1, 3, R, R) with a part of the reference.

    Args:
        source, reference: stylemaps (1, 64, S, S).
        mask: (1, R, R), 1 where the reference is taken, -1 elsewhere.
        every_layer: mix at every resolution (w+, as published for CelebA-HQ) instead of once (w,
            for AFHQ).
    """
    if not every_layer:
        return generator(mixed_by_mask(source, reference, mask))
    pairs = zip(generator.decoder.resize(source), generator.decoder.resize(reference), strict=True)
    return generator.decoder([mixed_by_mask(one, other, mask) for one, other in pairs])


def style_mixed(
    generator: StyleMapGenerator, coarse: Tensor, fine: Tensor, *, from_layer: int = 2
) -> Tensor:
    """Picture with the first layers' stylemaps of one and the others' of another map."""
    first, second = generator.decoder.resize(coarse), generator.decoder.resize(fine)
    return generator.decoder([*first[:from_layer], *second[from_layer:]])


def transplanted(
    source: Tensor, reference: Tensor, *, to: tuple[slice, slice], of: tuple[slice, slice]
) -> Tensor:
    """Source stylemap (1, C, h, w) with a rectangle of the reference's at another place."""
    out = source.clone()
    out[:, :, to[0], to[1]] = reference[:, :, of[0], of[1]]
    return out


def moved_in(
    generator: StyleMapGenerator,
    source: Tensor,
    references: Sequence[Tensor],
    masks: Tensor,
    shifts: Sequence[tuple[int, int]],
    *,
    steps: int,
) -> list[Tensor]:
    """Pictures on the way from a source to one with parts of several references, moved.

    Args:
        source: stylemap (1, 64, S, S).
        references: one for each mask.
        masks: (N, R, R) of 0 and 1, where the part is in its reference.
        shifts: (x, y) in px of the picture that each part is moved by.
    """
    stylemaps = generator.decoder.resize(source)
    others = [generator.decoder.resize(reference) for reference in references]
    pictures = []
    for step in range(steps):
        share = step / max(steps - 1, 1)
        mixed = [
            _blended(stylemap, [other[level] for other in others], masks, shifts, share)
            for level, stylemap in enumerate(stylemaps)
        ]
        pictures.append(generator.decoder(mixed))
    return pictures


def _blended(
    stylemap: Tensor,
    references: Sequence[Tensor],
    masks: Tensor,
    shifts: Sequence[tuple[int, int]],
    share: float,
) -> Tensor:
    """One layer's map, a share of the way to its references' parts."""
    side = stylemap.shape[2]
    ratio = masks.shape[1] / side
    small = F.avg_pool2d(masks[:, None].float(), int(ratio))[:, 0] > 0.5
    for reference, mask, (x, y) in zip(references, small, shifts, strict=True):
        dx, dy = int(x / ratio), int(y / ratio)
        there = torch.roll(mask, (dy, dx), (0, 1))
        there = there & _reached(side, dy)[:, None] & _reached(side, dx)[None, :]
        part = torch.roll(reference, (dy, dx), (2, 3))
        stylemap = torch.where(there, stylemap + share * (part - stylemap), stylemap)
    return stylemap


def _reached(side: int, shift: int) -> Tensor:
    """(side,) places that a shift without wrapping reaches."""
    at = torch.arange(side)
    return at >= shift if shift >= 0 else at < side + shift
