"""What a generator of faces learns from a photograph of few pixels, in one pass (ours).

As GFP-GAN (Wang et al., CVPR 2021, arXiv 2101.04061), a U-Net reads the photograph and a pretrained
generator draws it: scales and shifts of the generator's activations say where everything is (its
spatial feature transforms), the generator how faces look from near. Three things differ, so that
under two million numbers serve after an hour of training:

- the network sees the rendering of the photograph's latent beside the photograph, and what that
  rendering would be at as few pixels, so that it learns what to restore;
- it works on 4×4 pixels at once (pixel unshuffle), without batch statistics;
- only activations from 32×32 on are moved; what is coarser is the latent's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import ModelError
from toonify.models.base import Generator
from toonify.models.encoders.hfgi import SIZE, at_size
from toonify.models.encoders.hfgi_compact import FOLD, Unit, conv, fused_channels
from toonify.models.generators.hybrid import JUNCTION, HybridGenerator
from toonify.models.layers import fast_layout
from toonify.utils.tensors import lowered

PROJECTIONS = 3  # after which the pixels are met within a level or two
Transforms = dict[int, tuple[Tensor, Tensor]]


class FaceRestoration(nn.Module):
    """Photograph, its latent's rendering and activations → spatial feature transforms.

    Args:
        channels: of the generator's activations that are moved, by resolution: 32, 64, 128.
        widths: channels of the U-Net at 64×64, 32×32, 16×16, 8×8.
        fine: those at 128×128.
    """

    def __init__(
        self,
        *,
        channels: Mapping[Any, int],
        widths: Sequence[int] = (64, 80, 96, 112),
        fine: int = 32,
    ) -> None:
        super().__init__()
        self.channels = dict(sorted((int(size), count) for size, count in channels.items()))
        self.widths, self.fine = tuple(widths), fine
        if list(self.channels) != [JUNCTION, 2 * JUNCTION, 4 * JUNCTION]:
            raise ValueError(f"activations at {list(self.channels)} can't be moved")
        self.stem = conv(9 * FOLD**2 + 1, self.widths[0])
        self.shallow = nn.Conv2d(self.channels[JUNCTION], self.widths[1], 1)
        self.down, self.units = nn.ModuleList(), nn.ModuleList([Unit(self.widths[0])])
        self.up, self.out_units = nn.ModuleList(), nn.ModuleList()
        for wide, narrow in zip(self.widths, self.widths[1:], strict=False):
            self.down.append(conv(wide, narrow, stride=2))
            self.units.append(Unit(narrow))
            self.up.append(conv(wide + narrow, wide))
            self.out_units.append(Unit(wide))
        self.fine_stem = conv(9 * (FOLD // 2) ** 2, fine)
        self.fine_in = nn.Conv2d(self.widths[0], fine, 1)
        self.fine_unit = Unit(fine)
        inner = {JUNCTION: self.widths[1], 2 * JUNCTION: self.widths[0], 4 * JUNCTION: fine}
        self.heads = nn.ModuleDict(
            {
                str(size): nn.Conv2d(inner[size], 2 * count, 1)
                for size, count in self.channels.items()
            }
        )
        for head in self.heads.values():  # the rendering alone before anything is learnt
            assert isinstance(head, nn.Conv2d) and head.bias is not None
            nn.init.normal_(head.weight, std=1e-3)
            nn.init.zeros_(head.bias)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "restoration"."""
        return {
            "architecture": "restoration",
            "channels": {str(size): count for size, count in self.channels.items()},
            "widths": list(self.widths),
            "fine": self.fine,
        }

    def check(self, generator: Generator) -> HybridGenerator:
        """The generator, when it has the activations that this network moves.

        Raises:
            ModelError: it hasn't.
        """
        if not isinstance(generator, HybridGenerator) or moved_channels(generator) != self.channels:
            raise ModelError(
                "this network for small faces was trained for another generator",
                hint="Give the generator that it was trained for.",
            )
        return generator

    def forward(
        self, photo: Tensor, rendering: Tensor, coarse: Tensor, shallow: Tensor, sides: Tensor
    ) -> Transforms:
        """Resolution: scale and shift, (B, C, R, R) each.

        Args:
            photo: (B, 3, 256, 256) in [-1, 1], enlarged.
            rendering: likewise, of its latent; `coarse` as it is at as few pixels.
            shallow: activations of that latent at 32×32.
            sides: (B,) px that the photographs have had across.
        """
        seen = fast_layout(torch.cat((photo, rendering, coarse), dim=1))
        size = (-1, -1, SIZE // FOLD, SIZE // FOLD)
        halvings = (math.log2(SIZE) - sides.to(seen).log2())[:, None, None, None].expand(size)
        x = self.stem(torch.cat((F.pixel_unshuffle(seen, FOLD), halvings), dim=1))
        skips = [self.units[0](x)]
        for down, unit in zip(self.down, list(self.units)[1:], strict=True):
            x = down(skips[-1])
            if len(skips) == 1:
                x = x + self.shallow(shallow)
            skips.append(unit(F.silu(x)))
        x, found = skips.pop(), {}
        for up, unit in reversed(list(zip(self.up, self.out_units, strict=True))):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = unit(F.silu(up(torch.cat((x, skips.pop()), dim=1))))
            found[x.shape[-1]] = x
        above = F.interpolate(self.fine_in(x), scale_factor=2.0, mode="nearest")
        found[4 * JUNCTION] = self.fine_unit(
            self.fine_stem(F.pixel_unshuffle(seen, FOLD // 2)) + above
        )
        transforms: Transforms = {}
        for name, head in self.heads.items():
            scale, shift = head(F.silu(found[int(name)])).chunk(2, dim=1)
            transforms[int(name)] = scale, shift
        return transforms


def moved_channels(generator: HybridGenerator) -> dict[int, int]:
    """Resolution: channels of the activations that transforms apply to."""
    return {JUNCTION: generator.channels[JUNCTION], **fused_channels(generator)}


def restored(
    network: FaceRestoration,
    generator: HybridGenerator,
    photo: Tensor,
    w_plus: Tensor,
    sides: Tensor,
) -> Tensor:
    """Photographs of few pixels as the generator draws them, (B, 3, 256, 256), not clamped.

    Args:
        photo: (B, 3, 256, 256) in [-1, 1], enlarged.
        w_plus: their latents (B, L, D).
        sides: (B,) px that they have had across.
    """
    with torch.no_grad():
        styles = generator.styles(w_plus)
        shallow = generator.features(styles, resolution=JUNCTION)
        rendering = at_size(generator.finish(shallow, styles)).float()
        coarse = _lowered(rendering, sides)
    transforms = network(photo, rendering, coarse, shallow, sides)

    def move(size: int, x: Tensor) -> Tensor:
        if size not in transforms:
            return x
        scale, shift = transforms[size]
        return x * (1 + scale) + shift

    image = generator.finish(move(JUNCTION, shallow), styles, fuse=move)
    return F.interpolate(image.float(), (SIZE, SIZE), mode="bilinear")


def consistent(image: Tensor, photo: Tensor, sides: Tensor) -> Tensor:
    """Pictures that, made small again, are the photographs (back-projection).

    Args:
        image: (B, 3, S, S) drawn for photographs (B, 3, S, S), enlarged.
        sides: (B,) px that those have had across.
    """
    return torch.cat(
        [
            _projected(one[None], own[None], round(float(side)))
            for one, own, side in zip(image, photo, sides, strict=True)
        ]
    )


def _projected(image: Tensor, photo: Tensor, side: int) -> Tensor:
    size = image.shape[2:]
    # bicubic enlargement passes through the pixels that it was made from
    small = F.interpolate(photo, (side, side), mode="bicubic", align_corners=False)
    for _ in range(PROJECTIONS):
        lacking = small - F.interpolate(image, (side, side), mode="area")
        image = image + F.interpolate(lacking, size, mode="bicubic", align_corners=False)
    return image


def _lowered(images: Tensor, sides: Tensor) -> Tensor:
    """Each as if it had had so many px across."""
    return torch.cat(
        [
            lowered(image[None], round(float(side)))
            for image, side in zip(images, sides, strict=True)
        ]
    )
