"""What StyleGANEX (arXiv 2303.06146) adds to pSp's encoder: fusion blocks and the network T.

Module names are the published ones, so state dicts load as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.models.layers import Conv3x3


class AdaptiveInstanceNorm(nn.Module):
    """Instance normalization scaled and shifted by a vector (arXiv 1703.06868)."""

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.style = nn.Linear(style_dim, 2 * channels)
        with torch.no_grad():
            self.style.bias[:channels] = 1
            self.style.bias[channels:] = 0

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x (B, C, H, W), style (B, style_dim) → (B, C, H, W)."""
        gamma, beta = self.style(style)[:, :, None, None].chunk(2, dim=1)
        return gamma * F.instance_norm(x) + beta


class FusionBlock(nn.Module):
    """Fuses an encoder's feature into the generator's features and image; starts as identity.

    Args:
        skip_channels: of the encoder's feature.
        channels: of the generator's features.
        to_image: fuse into the image so far too.
        attention: linear layers, after a first one, that turn an editing vector into the
            condition of an attention mask on the encoder's feature (as VToonify's, arXiv
            2209.11224); 0 for none.
        w_dim: length of the editing vector.
    """

    def __init__(
        self,
        skip_channels: int,
        channels: int,
        *,
        to_image: bool = True,
        attention: int = 0,
        w_dim: int = 512,
    ) -> None:
        super().__init__()
        self.transform = nn.Sequential(Conv3x3(skip_channels, channels), nn.LeakyReLU())
        self.fusion_out = _nearly_identity(channels, channels)
        self.fusion_skip = _nearly_identity(3, channels) if to_image else None
        self.attention = attention
        if attention:
            layers: list[nn.Module] = [nn.Linear(w_dim, channels)]
            for _ in range(attention):
                layers += [nn.LeakyReLU(0.2), nn.Linear(channels, channels)]
            self.linear = nn.Sequential(*layers, nn.LeakyReLU(0.2))
            self.norm = AdaptiveInstanceNorm(2 * channels, channels)
            self.conv = nn.Conv2d(2 * channels, 1, 3, padding=1)

    def forward(
        self, feature: Tensor, x: Tensor, image: Tensor, v: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The generator's features and image with the encoder's feature in them.

        Args:
            feature: (B, skip_channels, H, W) of the encoder.
            x: (B, channels, H, W) of the generator.
            image: (B, 3, H, W), the generator's so far.
            v: editing vector (B, w_dim) of this layer, used with `attention` only.
        """
        feature = self.transform(feature)
        if self.attention and v is not None:
            pair = torch.cat([x, (x - feature).abs()], dim=1)
            mask = self.conv(self.norm(pair, self.linear(v)))
            feature = feature * F.relu(mask).tanh()
        x = self.fusion_out(torch.cat([x, feature.to(x.dtype)], dim=1))
        if self.fusion_skip is not None:
            image = self.fusion_skip(torch.cat([image, feature.to(image.dtype)], dim=1))
        return x, image


class MatteHead(nn.Sequential):
    """Reads off the generator's features where its drawing is to cover the frame (ours).

    Args:
        channels: of the generator's features, at an eighth of the frame's resolution.
        width: channels inside.
    """

    def __init__(self, channels: int, *, width: int = 64) -> None:
        super().__init__(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 16, 3, padding=1),
            nn.PixelShuffle(4),  # (B, 1, 4H, 4W), logits
        )


def _nearly_identity(kept: int, added: int) -> nn.Conv2d:
    """3×3 convolution of `kept` + `added` channels that starts by passing the first through."""
    conv = Conv3x3(kept + added, kept)
    with torch.no_grad():
        conv.weight.mul_(0.01)
        conv.weight[:, :kept, 1, 1] += torch.eye(kept)
    return conv


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.conv_block(x))


class TranslationNet(nn.Module):
    """The network T: turns a sketch or a mask into what the encoder's first layer would give.

    Args:
        in_channels: 1 for a sketch, the number of labels for a one-hot mask.
        out_channels: of the encoder's first layer.
        blocks: residual blocks at a quarter of the resolution.
        width: channels inside.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, blocks: int = 2, width: int = 16
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (in_channels, width):
            layers += [nn.Conv2d(channels, width, 3, 2, 1), nn.LeakyReLU()]
        layers += [_ResidualBlock(width) for _ in range(blocks)]
        for _ in range(2):
            up = nn.ConvTranspose2d(width, width, 3, 2, 1, output_padding=1)
            layers += [up, nn.LeakyReLU()]
        layers += [
            nn.Conv2d(width, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.PReLU(out_channels),
        ]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W), H and W multiples of 4 → (B, out_channels, H, W)."""
        return self.model(x)
