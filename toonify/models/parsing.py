"""A small U-Net that labels the parts of a head: trained by `recipes/parsing`, shipped as ONNX.

Plain convolutions with batch normalization, so that exporting folds every norm and OpenCV runs what
is left; labels come at half the picture's size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (24, 48, 80, 128, 160)  # channels at 1/2, 1/4 … 1/32 of the picture


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, kernel: int = 3
    ) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """A convolution added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class UpBlock(nn.Module):
    """Twice the size: 1×1 convolutions of both inputs added, then a 3×3 one."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(skip_channels, out_channels, 1)
        self.reduce = nn.Conv2d(in_channels, out_channels, 1)
        self.conv = ConvBlock(out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        up = F.interpolate(self.reduce(x), scale_factor=2, mode="bilinear", align_corners=False)
        return self.conv(up + self.lateral(skip))


class ParsingNetwork(nn.Module):
    """RGB (B, 3, H, W) in [0, 1] → logits of labels (B, labels, H/2, W/2) and of attributes.

    H and W are multiples of 32.

    Args:
        labels: channels of the map.
        attributes: further numbers of the whole picture.
        widths: channels at 1/2, 1/4, 1/8, 1/16, 1/32.
    """

    def __init__(
        self, *, labels: int, attributes: int, widths: tuple[int, int, int, int, int] = WIDTHS
    ) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.stem = ConvBlock(3, a, stride=2, kernel=4)
        self.down1 = nn.Sequential(ConvBlock(a, b, stride=2), ResidualBlock(b))
        self.down2 = nn.Sequential(ConvBlock(b, c, stride=2), ResidualBlock(c))
        self.down3 = nn.Sequential(ConvBlock(c, d, stride=2), ResidualBlock(d), ResidualBlock(d))
        self.down4 = nn.Sequential(ConvBlock(d, e, stride=2), ResidualBlock(e), ResidualBlock(e))
        self.context = nn.Conv2d(e, e, 1)
        self.up4 = UpBlock(e, d, (c + d) // 2)
        self.up3 = UpBlock((c + d) // 2, c, (b + c) // 2)
        self.up2 = UpBlock((b + c) // 2, b, b)
        self.up1 = UpBlock(b, a, a)
        self.to_labels = nn.Conv2d(a, labels, 1)
        self.to_attributes = nn.Conv2d(e, attributes, 1)

    def convolutions(self) -> list[nn.Conv2d]:
        """Its layers as they run, which is how an export lists them."""
        down = nn.ModuleList([self.stem, self.down1, self.down2, self.down3, self.down4])
        layers = [layer for layer in down.modules() if isinstance(layer, nn.Conv2d)]
        layers.append(self.context)
        for up in (self.up4, self.up3, self.up2, self.up1):
            layers += [up.reduce, up.lateral, *(m for m in up.conv if isinstance(m, nn.Conv2d))]
        return [*layers, self.to_labels, self.to_attributes]

    def folded(self) -> ParsingNetwork:
        """The same object without norms, which its convolutions' weights are to hold; in place."""
        for block in self.modules():
            if isinstance(block, ConvBlock):
                convolution = block[0]
                assert isinstance(convolution, nn.Conv2d)
                convolution.bias = nn.Parameter(torch.zeros(convolution.out_channels))
                block[1] = nn.Identity()
        return self

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        x1 = self.stem(rgb)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x5 = self.down4(x4)
        pooled = F.adaptive_avg_pool2d(x5, 1)
        x = x5 * torch.sigmoid(self.context(pooled))  # squeeze and excitation
        x = self.up3(self.up4(x, x4), x3)
        x = self.up1(self.up2(x, x2), x1)
        return self.to_labels(x), self.to_attributes(pooled).flatten(1)
