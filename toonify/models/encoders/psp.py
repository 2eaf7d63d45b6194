"""Encoders from an aligned face to w+: pSp (2008.00951), e4e (2102.02766), ReStyle (2104.02699).

Module names inside the networks are the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.base import Generator
from toonify.models.encoders.irse import IRSE50_UNITS, IRSE_CHANNELS, IRSEBody
from toonify.models.encoders.trainable import TrainableEncoder
from toonify.models.layers import EqualLinear

INPUT_SIZE = 256
COARSE, MIDDLE = 3, 7  # the first w+ entries read from the finer pyramid levels

# Backbones by their number of residual units' convolutions, as ArcFace counts them. The published
# encoders are "50" (pSp: 267 M parameters at 1024×1024); "18" and "10" are for training on a
# laptop, with narrower heads.
SIZES: dict[str, dict[str, Any]] = {
    "10": {"units": (1, 1, 1, 1), "channels": (32, 64, 128, 256), "head_channels": 64},
    "18": {"units": (2, 2, 2, 2), "channels": IRSE_CHANNELS, "head_channels": 128},
    "50": {"units": IRSE50_UNITS, "channels": IRSE_CHANNELS},
}


class StyleHead(nn.Module):
    """Map2style: strided convolutions down to one pixel, then a linear layer.

    Args:
        channels: of the convolutions; `w_dim` when None, as published.
    """

    def __init__(
        self, in_channels: int, w_dim: int, *, size: int, channels: int | None = None
    ) -> None:
        super().__init__()
        width = channels or w_dim
        convs: list[nn.Module] = []
        for i in range(int(math.log2(size))):
            convs += [nn.Conv2d(width if i else in_channels, width, 3, 2, 1), nn.LeakyReLU()]
        self.convs = nn.Sequential(*convs)
        self.linear = EqualLinear(width, w_dim)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, size, size) → (B, w_dim)."""
        return self.linear(self.convs(x).flatten(1))


class HeadedEncoder(IRSEBody):
    """IR-SE with a head for each entry of w+.

    Args:
        num_ws: entries of w+.
        sizes: side of the features that each head sees.
        deltas: the first entry is a latent, the others differences from it (e4e).
        head_channels: of the heads' convolutions; `w_dim` when None, as published.
    """

    def __init__(
        self,
        *,
        num_ws: int,
        in_channels: int,
        sizes: Sequence[int],
        w_dim: int = 512,
        deltas: bool = False,
        units: Sequence[int] = IRSE50_UNITS,
        channels: Sequence[int] = IRSE_CHANNELS,
        head_channels: int | None = None,
    ) -> None:
        super().__init__(in_channels=in_channels, units=units, channels=channels)
        self.num_ws, self.w_dim, self.deltas = num_ws, w_dim, deltas
        self.head_channels = head_channels
        top = self.channels[-1]
        self.styles = nn.ModuleList(
            StyleHead(top, w_dim, size=size, channels=head_channels) for size in sizes
        )

    def latents(self, features: Sequence[Tensor]) -> Tensor:
        """What each head makes of its features (B, C, size, size): (B, num_ws, w_dim)."""
        latents = torch.stack(
            [head(x) for head, x in zip(self.styles, features, strict=True)], dim=1
        )
        if not self.deltas:
            return latents
        return torch.cat([latents[:, :1], latents[:, :1] + latents[:, 1:]], dim=1)


class GradualStyleEncoder(HeadedEncoder):
    """One with a three-level feature pyramid; pSp's and e4e's network.

    Args:
        options: as `HeadedEncoder`'s.
    """

    def __init__(self, *, num_ws: int, in_channels: int = 3, **options: Any) -> None:
        sizes = [16 if i < COARSE else 32 if i < MIDDLE else 64 for i in range(num_ws)]
        super().__init__(num_ws=num_ws, in_channels=in_channels, sizes=sizes, **options)
        top = self.channels[-1]
        self.latlayer1 = nn.Conv2d(self.channels[2], top, 1)
        self.latlayer2 = nn.Conv2d(self.channels[1], top, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, 256, 256) → latents (B, num_ws, w_dim), relative to the mean of w."""
        fine, middle, coarse = self.features(x, self.stage_ends[1:])
        middle = upsample_add(coarse, self.latlayer1(middle))
        fine = upsample_add(middle, self.latlayer2(fine))
        levels = [
            coarse if i < COARSE else middle if i < MIDDLE else fine for i in range(self.num_ws)
        ]
        return self.latents(levels)


class BackboneEncoder(HeadedEncoder):
    """One with every head on its last 16×16 features; ReStyle's network.

    Args:
        options: as `HeadedEncoder`'s.
    """

    def __init__(self, *, num_ws: int, in_channels: int = 6, **options: Any) -> None:
        super().__init__(num_ws=num_ws, in_channels=in_channels, sizes=[16] * num_ws, **options)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, 256, 256) → latents (B, num_ws, w_dim), relative to the last ones."""
        (last,) = self.features(x, self.stage_ends[-1:])
        return self.latents([last] * self.num_ws)


def upsample_add(coarse: Tensor, fine: Tensor) -> Tensor:
    """A pyramid's coarser level, resized bilinearly, added to a finer one."""
    return fine + F.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=True)


class _WPlusEncoder(TrainableEncoder):
    """A network and the mean of w+ its latents are relative to; base of the encoders below."""

    w_plus_mean: Tensor
    input_size = INPUT_SIZE

    def __init__(self, net: GradualStyleEncoder | BackboneEncoder) -> None:
        super().__init__()
        self.net = net
        self.num_ws, self.w_dim = net.num_ws, net.w_dim
        self.register_buffer("w_plus_mean", torch.zeros(net.num_ws, net.w_dim))

    @torch.no_grad()
    def first_guess(self, generator: Generator) -> tuple[Tensor, Tensor]:
        w_plus = self.w_plus_mean[None]
        # as the encoder itself does it: unclamped
        return w_plus, self.seen(generator.synthesize(generator.styles(w_plus)))

    def _net_config(self) -> dict[str, Any]:
        return {
            "num_ws": self.num_ws,
            "w_dim": self.w_dim,
            "units": list(self.net.units),
            "channels": list(self.net.channels),
            "head_channels": self.net.head_channels,
        }

    def _check(self, images: Tensor, channels: int) -> Tensor:
        expected = (channels, INPUT_SIZE, INPUT_SIZE)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ValueError(f"expected images (B, {expected}), got {tuple(images.shape)}")
        return images.to(self.w_plus_mean.dtype)


class PSPEncoder(_WPlusEncoder):
    """pSp: one pass of the pyramid network, plus the mean of w+. With `deltas`, e4e.

    Args:
        in_channels: 3, or the labels of a pSp trained on sketches or masks.
    """

    def __init__(
        self,
        *,
        num_ws: int,
        in_channels: int = 3,
        w_dim: int = 512,
        deltas: bool = False,
        units: Sequence[int] = IRSE50_UNITS,
        channels: Sequence[int] = IRSE_CHANNELS,
        head_channels: int | None = None,
    ) -> None:
        super().__init__(
            GradualStyleEncoder(
                num_ws=num_ws,
                in_channels=in_channels,
                w_dim=w_dim,
                deltas=deltas,
                units=units,
                channels=channels,
                head_channels=head_channels,
            )
        )

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, "architecture" being "psp" or "e4e"."""
        name = "e4e" if self.net.deltas else "psp"
        return {"architecture": name, "in_channels": self.net.in_channels, **self._net_config()}

    def encode(
        self, images: Tensor, generator: Generator | None = None, steps: int | None = None
    ) -> Tensor:
        """Aligned images (B, in_channels, 256, 256) in [-1, 1] → w+ (B, num_ws, w_dim).

        `generator` and `steps` are of no use here: there is one pass.
        """
        return self.net(self._check(images, self.net.in_channels)) + self.w_plus_mean

    def refine(self, photos: Tensor, seen: Tensor, w_plus: Tensor) -> Tensor:
        return self.net(photos).float() + self.w_plus_mean


class ReStyleEncoder(_WPlusEncoder):
    """ReStyle: residual steps, each seeing the photograph beside the last reconstruction.

    Args:
        pyramid: use pSp's network instead of the simpler one ReStyle proposes.
        steps: residual steps by default; 5 in the paper.
    """

    def __init__(
        self,
        *,
        num_ws: int,
        w_dim: int = 512,
        deltas: bool = False,
        pyramid: bool = False,
        steps: int = 5,
        units: Sequence[int] = IRSE50_UNITS,
        channels: Sequence[int] = IRSE_CHANNELS,
        head_channels: int | None = None,
    ) -> None:
        network = GradualStyleEncoder if pyramid else BackboneEncoder
        super().__init__(
            network(
                num_ws=num_ws,
                in_channels=6,
                w_dim=w_dim,
                deltas=deltas,
                units=units,
                channels=channels,
                head_channels=head_channels,
            )
        )
        self.pyramid, self.steps = pyramid, steps

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "restyle"."""
        return {
            "architecture": "restyle",
            "deltas": self.net.deltas,
            "pyramid": self.pyramid,
            "steps": self.steps,
            **self._net_config(),
        }

    def refine(self, photos: Tensor, seen: Tensor, w_plus: Tensor) -> Tensor:
        return w_plus + self.net(torch.cat([photos, seen], dim=1)).float()

    def trajectory(
        self, images: Tensor, generator: Generator, steps: int | None = None
    ) -> list[Tensor]:
        """The w+ (B, num_ws, w_dim) after each step; arguments as `encode`'s."""
        if generator.num_ws != self.num_ws:
            raise ValueError(
                f"the encoder gives {self.num_ws} latents, the generator takes {generator.num_ws}"
            )
        images = self._check(images, 3)
        w_plus = self.w_plus_mean[None]
        latents = []
        for _ in range(self.steps if steps is None else steps):
            seen = generator.synthesize(generator.styles(w_plus)).to(images.dtype)
            seen = F.adaptive_avg_pool2d(seen, INPUT_SIZE).expand_as(images)
            w_plus = w_plus + self.net(torch.cat([images, seen], dim=1))
            latents.append(w_plus)
        return latents

    def encode(
        self, images: Tensor, generator: Generator | None = None, steps: int | None = None
    ) -> Tensor:
        """Aligned faces (B, 3, 256, 256) in [-1, 1] → w+ (B, num_ws, w_dim).

        Starts from the generator's image of the mean w+; stored noise maps throughout.

        Args:
            generator: the one the encoder was trained for; renders every step's input.
            steps: at least 1; None for the encoder's own number.
        """
        if generator is None:
            raise ValueError("ReStyle needs the generator: encode(images, generator)")
        return self.trajectory(images, generator, steps)[-1]
