"""High-fidelity GAN inversion (Wang et al., CVPR 2022, arXiv 2109.06590).

A low-rate latent w+ renders the photograph roughly. What is missing, the distortion map, is aligned
to the rendering that is wanted (adaptive distortion alignment, §3.3) and consulted (§3.2): a scale
and a shift of the generator's feature at 64×64. Module names are the published ones.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import ModelError
from toonify.models.base import Encoder
from toonify.models.encoders.irse import ResidualUnit
from toonify.models.generators.stylegan2 import StyleGAN2Generator
from toonify.models.layers import EqualConv2d

SIZE = 256  # of photographs and distortion maps
FUSED_AT = 64  # resolution of the feature that is fused, after its up-convolution
WIDTH = 512  # channels there, of the published generators
EDIT_SIZES = (64, 128, 256)  # what the alignment network's decoder works at


def _stem(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, 1, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.PReLU(channels),
    )


def _units(*widths: int, stride: int = 1) -> nn.Sequential:
    """Residual units from width to width, the first one strided."""
    return nn.Sequential(
        *(
            ResidualUnit(given, taken, stride=1 if index else stride, gated=False)
            for index, (given, taken) in enumerate(pairwise(widths))
        )
    )


class ConsultationEncoder(nn.Module):
    """Distortion map → scale and shift of the generator's 64×64 feature (Ec).

    Args:
        width: channels of that feature.
    """

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.width = width
        self.conv_layer1 = _stem(3, 32)
        self.conv_layer2 = _units(32, 48, 48, 48, stride=2)
        self.conv_layer3 = _units(48, 64, 64, 64, stride=2)
        self.condition_scale3 = self._head()
        self.condition_shift3 = self._head()

    def _head(self) -> nn.Sequential:
        # the published entries are 0 and 2; 1 is the activation, which is the convolution's own
        return nn.Sequential(
            EqualConv2d(64, self.width, 3),
            nn.Identity(),
            EqualConv2d(self.width, self.width, 3, activate=False),
        )

    def forward(self, distortion: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in about [-2, 2] → two (B, width, 64, 64)."""
        x = self.conv_layer3(self.conv_layer2(self.conv_layer1(distortion)))
        scale, shift = self.condition_scale3(x), self.condition_shift3(x)
        if scale.shape[2:] != (FUSED_AT, FUSED_AT):
            size = (FUSED_AT, FUSED_AT)
            scale = F.interpolate(scale, size=size, mode="bilinear")
            shift = F.interpolate(shift, size=size, mode="bilinear")
        return scale, shift


class AlignmentNetwork(nn.Module):
    """Distortion map and the picture it shall lie on → the map aligned to it (ADA)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_layer1 = _stem(6, 16)
        self.conv_layer2 = _units(16, 32, 32, 32, stride=2)
        self.conv_layer3 = _units(32, 48, 48, 48, stride=2)
        self.conv_layer4 = _units(48, 64, 64, 64, stride=2)
        self.dconv_layer1 = _units(112, 64, 32, 32)
        self.dconv_layer2 = _units(64, 32, 16, 16)
        self.dconv_layer3 = _units(32, 16, 3, 3)

    def forward(self, pair: Tensor) -> Tensor:
        """Map and picture (B, 6, 256, 256) → (B, 3, 256, 256), unbounded."""
        skips = [self.conv_layer1(pair)]
        for layer in (self.conv_layer2, self.conv_layer3):
            skips.append(layer(skips[-1]))
        x = self.conv_layer4(skips[-1])
        for layer, size in zip(
            (self.dconv_layer1, self.dconv_layer2, self.dconv_layer3), EDIT_SIZES, strict=True
        ):
            x = F.interpolate(x, size=(size, size), mode="bilinear")
            x = layer(torch.cat((x, skips.pop()), dim=1))
        return x


class HFGI(nn.Module):
    """The encoder of w+, its generator, and what consults the distortion.

    Args:
        encoder: of w+ (e4e, as published), frozen.
        generator: of 128×128 or more.

    Raises:
        ModelError: the generator has no such feature.
    """

    def __init__(
        self,
        generator: StyleGAN2Generator,
        encoder: Encoder | None,
        *,
        residue: ConsultationEncoder | None = None,
        grid_align: AlignmentNetwork | None = None,
    ) -> None:
        super().__init__()
        residue = residue or ConsultationEncoder()
        if generator.resolution <= FUSED_AT or generator.channels.get(FUSED_AT) != residue.width:
            raise ModelError(
                f"HFGI fuses into a feature of {residue.width} channels at {FUSED_AT}x{FUSED_AT},"
                " which this generator lacks",
                hint="Give the generator that it was trained for.",
            )
        self.generator, self.encoder = generator, encoder
        self.residue = residue
        self.grid_align = grid_align or AlignmentNetwork()

    def encode(self, photo: Tensor) -> Tensor:
        """Aligned photographs (B, 3, 256, 256) in [-1, 1] → w+ of the generator's length."""
        assert self.encoder is not None
        return self.encoder.encode(photo, None)[:, : self.generator.num_ws]

    def distortion(self, photo: Tensor, w_plus: Tensor) -> Tensor:
        """What the rendering of w+ lacks of the photograph, (B, 3, 256, 256)."""
        return photo - at_size(self.generator(w_plus))

    def aligned(self, distortion: Tensor, rendering: Tensor) -> Tensor:
        """The map where the rendering (B, 3, R, R) has what it is of."""
        return self.grid_align(torch.cat((distortion, at_size(rendering)), dim=1))

    def fused(self, w_plus: Tensor, aligned: Tensor) -> Tensor:
        """w+ rendered (B, 3, R, R) with the aligned map consulted; not clamped."""
        return self._consulted(self.generator.styles(w_plus), aligned)

    def drawn(self, styles: list[Tensor]) -> Tensor:
        """Styles rendered as the networks see them, (B, 3, 256, 256) in [-1, 1]."""
        return at_size(self.generator.synthesize(styles))

    def aligned_map(self, distortion: Tensor, source: Tensor, wanted: Tensor) -> Tensor:
        """A distortion map where `wanted` has what it is of; the network doesn't see `source`."""
        return self.aligned(distortion, wanted)

    def consulted(self, styles: list[Tensor], aligned: Tensor, rendering: Tensor) -> Tensor:
        """Styles rendered with the aligned map consulted; the network doesn't see `rendering`."""
        return self._consulted(styles, aligned)

    def _consulted(self, styles: list[Tensor], aligned: Tensor) -> Tensor:
        scale, shift = self.residue(aligned)

        def fuse(size: int, x: Tensor) -> Tensor:
            return x * (1 + scale) + shift if size == FUSED_AT else x

        return deque(self.generator.stages(styles, fuse=fuse), maxlen=1).pop()[2]

    @torch.no_grad()
    def edited(self, photo: Tensor, w_plus: Tensor, edit: Tensor) -> Tensor:
        """The photograph's details on the rendering of an edited latent.

        Args:
            photo: (B, 3, 256, 256) in [-1, 1].
            w_plus: its latent; `edit` the edited one, the same for the inversion itself.
        """
        distortion = self.distortion(photo, w_plus)
        return self.fused(edit, self.aligned(distortion, self.generator(edit)))


def at_size(image: Tensor) -> Tensor:
    """A rendering as the maps see it: clamped to [-1, 1], 256×256, bilinear without antialias."""
    return F.interpolate(image.clamp(-1, 1), size=(SIZE, SIZE), mode="bilinear")
