"""StyleGANEX's encoder (arXiv 2303.06146): pSp's on frames of any size.

Beside w+ it gives the generator's first feature f and features for its skip connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.base import Encoder, Generator, Noise
from toonify.models.encoders.irse import IRSE50_UNITS, IRSE_CHANNELS, IRSEBody
from toonify.models.encoders.psp import COARSE, INPUT_SIZE, MIDDLE, StyleHead, upsample_add
from toonify.models.encoders.styleganex_parts import FusionBlock, MatteHead, TranslationNet
from toonify.models.generators.styleganex import Fuse, StyleGANEXGenerator
from toonify.models.layers import fast_layout
from toonify.models.modules import Modules

STRIDE = 8  # frame pixels a feature pixel; frames are multiples of it
IRSE50_TAPS = (10, 15, 20)
RGB_CHANNELS = 3
MATTE_AT = 3  # the last block that is given features of an eighth of the frame's resolution


@dataclass(frozen=True)
class FrameFeatures:
    """What the generator takes of a frame (B, 3, H, W) beside w+.

    Attributes:
        feature: f (B, feature_channels, H/8, W/8), its first feature.
        skips: inputs of the fusion blocks, in their order.
    """

    feature: Tensor
    skips: tuple[Tensor, ...]


class PooledStyleHead(StyleHead):
    """Map2style for inputs of any size: the convolutions' result is averaged."""

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, w_dim)."""
        return self.linear(self.convs(x).mean(dim=(2, 3)))


class InputStatisticsNorm(nn.BatchNorm2d):
    """Batch normalization by the input's own statistics, in evaluation too."""

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), normalized channel by channel."""
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)


class StyleGANEXNet(IRSEBody):
    """The network without the mean of w+; arguments as `StyleGANEXEncoder`'s."""

    def __init__(
        self,
        *,
        num_ws: int,
        label_channels: int,
        w_dim: int,
        feature_channels: int,
        fusion_channels: Sequence[int],
        fuse_image: bool,
        attention: int,
        translation_blocks: int,
        taps: Sequence[int],
        units: Sequence[int],
        channels: Sequence[int],
        head_channels: int | None,
        heads: bool,
        matte_channels: int,
    ) -> None:
        super().__init__(in_channels=RGB_CHANNELS, units=units, channels=channels)
        if not all(self.stage_ends[1] < tap <= self.stage_ends[2] for tap in taps):
            raise ValueError(f"the taps {list(taps)} are not in the third stage")
        self.num_ws, self.taps = num_ws if heads else 0, tuple(taps)
        if label_channels:
            self.input_label_layer = TranslationNet(
                label_channels, self.channels[0], blocks=translation_blocks
            )
        top = self.channels[-1]
        sizes = [16 if i < COARSE else 32 if i < MIDDLE else 64 for i in range(self.num_ws)]
        self.styles = nn.ModuleList(
            PooledStyleHead(top, w_dim, size=size, channels=head_channels) for size in sizes
        )
        if heads:
            self.latlayer1 = nn.Conv2d(self.channels[2], top, 1)
            self.latlayer2 = nn.Conv2d(self.channels[1], top, 1)
        tapped = self.channels[2] * len(self.taps)
        self.featlayer = nn.Conv2d(tapped, feature_channels, 1)
        self.skiplayer = nn.Conv2d(tapped, RGB_CHANNELS, 1)  # in published files; f needs no image
        stem, half, quarter, eighth = self.channels[0], *self.channels[:3]
        sources = (eighth, eighth, eighth, eighth, quarter, half, stem)
        self.fusion = Modules(
            FusionBlock(source, width, to_image=fuse_image, attention=attention, w_dim=w_dim)
            for source, width in zip(sources, fusion_channels, strict=False)
        )
        if matte_channels:
            self.matte = MatteHead(matte_channels)

    def pyramid(self, x: Tensor, *, latents: bool) -> dict[int, Tensor]:
        """Images or labels (B, C, H, W) → body unit's index → its output, -1 for the stem's.

        Args:
            latents: run the last stage too, which w+ needs and f does not.
        """
        stem = self.input_layer if x.shape[1] == RGB_CHANNELS else self.input_label_layer
        found = {-1: stem(fast_layout(x))}
        wanted = {*self.stage_ends, *self.taps}
        x = found[-1]
        for i, unit in enumerate(self.body):
            if i > self.stage_ends[2] and not latents:
                break
            x = unit(x)
            if i in wanted:
                found[i] = x
        return found

    def latents(self, found: dict[int, Tensor]) -> Tensor:
        """A pyramid → latents (B, num_ws, w_dim), relative to the mean of w."""
        _, fine, middle, coarse = (found[i] for i in self.stage_ends)
        middle = upsample_add(coarse, self.latlayer1(middle))
        fine = upsample_add(middle, self.latlayer2(fine))
        levels = [
            coarse if i < COARSE else middle if i < MIDDLE else fine for i in range(self.num_ws)
        ]
        heads = zip(self.styles, levels, strict=True)
        return torch.stack([head(level) for head, level in heads], dim=1)

    def frame_features(self, found: dict[int, Tensor]) -> FrameFeatures:
        """A pyramid → f and the fusion blocks' inputs."""
        tapped = torch.cat([found[i] for i in self.taps], dim=1)
        half, quarter, eighth = (found[i] for i in self.stage_ends[:3])
        first, second = (found[i] for i in self.taps[:2])
        skips = (eighth, eighth, second, first, quarter, half, found[-1])
        count = len(self.fusion)
        return FrameFeatures(self.featlayer(tapped), skips[:count])


class StyleGANEXEncoder(Encoder):
    """w+ of a face, and f and skip features of a whole frame.

    Args:
        num_ws: entries of w+.
        label_channels: 1 for sketches, 19 for masks, which go through the network T; 0 for
            neither. Images can be read always.
        feature_channels: of f, the generator's at 4×4.
        fusion_channels: the generator's features before each block that fuses a skip feature,
            at most seven.
        fuse_image: fuse into the image so far too.
        attention: see `FusionBlock`.
        translation_blocks: residual blocks of T.
        has_direction: holds the editing vector it was trained for.
        input_statistics: normalize by the input's own statistics, as the published sketch and
            mask translation does at inference.
        taps: three body units of the third stage, concatenated for f.
        units: residual units a stage of the body; none in the last where there are no heads.
        channels: feature channels a stage.
        head_channels: of the style heads' convolutions; `w_dim` when None, as published.
        heads: gives w+ of its own; without, every face's is the mean, and a character's latent is
            put in its place.
        matte_channels: of the generator's features at 32×32, where the encoder also says which
            part of the frame is drawn; 0 where the picture is to be taken whole, as published.
        crop: px of a frame, the side of a face's FFHQ crop as it was trained: 256 has the eyes
            about 64 apart.
    """

    w_plus_mean: Tensor
    direction: Tensor
    input_size = INPUT_SIZE

    def __init__(
        self,
        *,
        num_ws: int,
        label_channels: int = 0,
        w_dim: int = 512,
        feature_channels: int = 512,
        fusion_channels: Sequence[int] = (),
        fuse_image: bool = True,
        attention: int = 0,
        translation_blocks: int = 2,
        has_direction: bool = False,
        input_statistics: bool = False,
        taps: Sequence[int] = IRSE50_TAPS,
        units: Sequence[int] = IRSE50_UNITS,
        channels: Sequence[int] = IRSE_CHANNELS,
        head_channels: int | None = None,
        heads: bool = True,
        matte_channels: int = 0,
        crop: int = INPUT_SIZE,
    ) -> None:
        super().__init__()
        self._config: dict[str, Any] = {
            "num_ws": num_ws,
            "label_channels": label_channels,
            "w_dim": w_dim,
            "feature_channels": feature_channels,
            "fusion_channels": list(fusion_channels),
            "fuse_image": fuse_image,
            "attention": attention,
            "translation_blocks": translation_blocks,
            "taps": list(taps),
            "units": list(units),
            "channels": list(channels),
            "head_channels": head_channels,
            "heads": heads,
            "matte_channels": matte_channels,
        }
        self.net = StyleGANEXNet(**self._config)
        self.num_ws, self.w_dim, self.heads, self.crop = num_ws, w_dim, heads, crop
        self.label_channels, self.feature_channels = label_channels, feature_channels
        self.has_matte = bool(matte_channels)
        self.has_direction, self.input_statistics = has_direction, input_statistics
        self.register_buffer("w_plus_mean", torch.zeros(num_ws, w_dim))
        if has_direction:
            self.register_buffer("direction", torch.zeros(num_ws, w_dim))
        if input_statistics:
            _use_input_statistics(self.net)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "styleganex"."""
        more = {"has_direction": self.has_direction, "input_statistics": self.input_statistics}
        return {"architecture": "styleganex", **self._config, **more, "crop": self.crop}

    def _check(self, frame: Tensor) -> Tensor:
        channels = (RGB_CHANNELS, self.label_channels or RGB_CHANNELS)
        height, width = frame.shape[-2:]
        if frame.ndim != 4 or frame.shape[1] not in channels or height % STRIDE or width % STRIDE:
            kinds = " or ".join(str(c) for c in sorted(set(channels)))
            raise ValueError(
                f"expected (B, {kinds}, H, W) with H and W multiples of {STRIDE}, "
                f"got {tuple(frame.shape)}"
            )
        return frame.to(self.w_plus_mean.dtype)

    def encode(
        self, images: Tensor, generator: Generator | None = None, steps: int | None = None
    ) -> Tensor:
        """Faces (B, 3, H, W) in [-1, 1], or labels, → w+ (B, num_ws, w_dim).

        Aligned 256×256 crops are what it is trained on; `generator` and `steps` are of no use.
        """
        images = self._check(images)
        if not self.heads:
            return self.w_plus_mean.expand(len(images), -1, -1)
        return self.net.latents(self.net.pyramid(images, latents=True)) + self.w_plus_mean

    def read(self, frame: Tensor) -> tuple[Tensor, FrameFeatures]:
        """Frame (B, 3, H, W) in [-1, 1], or labels → w+ of all of it, and its features."""
        found = self.net.pyramid(self._check(frame), latents=self.heads)
        latents = self.net.latents(found) if self.heads else 0
        return latents + self.w_plus_mean.expand(len(frame), -1, -1), self.net.frame_features(found)

    def frame_features(self, frame: Tensor) -> FrameFeatures:
        """Frame (B, 3, H, W) in [-1, 1], or labels → its features, without the cost of w+."""
        return self.net.frame_features(self.net.pyramid(self._check(frame), latents=False))

    def draw(
        self,
        network: StyleGANEXGenerator,
        frames: Tensor,
        styles: Sequence[Tensor],
        *,
        v: Tensor | None = None,
        noise: Noise = "const",
        resolution: int | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Frames (B, 3, H, W) in [-1, 1], or labels, and a generator's styles → its pictures.

        Args:
            v: see `fuser`.
            noise, resolution: see `StyleGANEXGenerator.synthesize`.

        Returns:
            the pictures, and the matte's logits where there is one.
        """
        features, mattes = self.frame_features(frames), list[Tensor]()
        images = network.synthesize(
            styles,
            noise=noise,
            feature=features.feature,
            fuse=self.fuser(features, v, mattes=mattes),
            resolution=resolution,
        )
        return images, mattes[0] if mattes else None

    def fuser(
        self,
        features: FrameFeatures,
        v: Tensor | None = None,
        *,
        mattes: list[Tensor] | None = None,
    ) -> Fuse | None:
        """What the generator's `fuse` wants; None where this encoder has no fusion blocks.

        Args:
            v: editing vector (B or 1, num_ws, w_dim), the condition of the attention.
            mattes: gets (B, 1, H/2, W/2), logits of where the drawing covers the frame, once the
                generator has come so far; `composite` takes them.
        """
        blocks = self.net.fusion
        if not len(blocks):
            return None

        def fuse(index: int, x: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
            if index < len(blocks):
                layer = None if v is None else v[:, 2 * index + 1]
                x, image = blocks[index](features.skips[index], x, image, layer)
            if index == MATTE_AT and self.has_matte and mattes is not None:
                mattes.append(self.net.matte(x))
            return x, image

        return fuse


def composite(drawn: Tensor, frame: Tensor, matte: Tensor) -> Tensor:
    """The frame (B, 3, H, W) with the drawing (B, 3, kH, kW) where the matte's logits say."""
    size = drawn.shape[-2:]
    share = F.interpolate(matte.to(drawn.dtype), size=size, mode="bilinear").sigmoid()
    below = F.interpolate(frame.to(drawn.dtype), size=size, mode="bicubic").clamp(-1, 1)
    return below + share * (drawn - below)


def _use_input_statistics(network: nn.Module) -> None:
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, InputStatisticsNorm(child.num_features))
