"""One U-Net for several styles: they share its weights, and scale them by channel.

As StyleGAN2 modulates a convolution by a style (arXiv 1912.04958, section 2.2) and conditional
instance normalization keeps 32 styles in one network (arXiv 1610.07629), each style has a scale a
channel going in and out, and a bias, of every convolution. They fold into the weights, so that
drawing costs what a network of one style does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from toonify.errors import ModelError
from toonify.models.unet import UNet


class StyledUNet(nn.Module):
    """Photographs (B, 3, H, W) in [-1, 1] → drawings of the same size in one of several styles.

    Args:
        styles: their names, at least one, each once.
        widths, depths: of the shared network; see `UNet`.

    Raises:
        ValueError: no style, or one named twice.

    Examples:
        >>> network = StyledUNet(styles=("ink", "soft"), widths=(8, 16), depths=(1, 1))
        >>> network(torch.zeros(1, 3, 30, 50), "soft").shape
        torch.Size([1, 3, 30, 50])
    """

    def __init__(
        self,
        *,
        styles: Sequence[str],
        widths: Sequence[int] = (32, 64, 128, 144),
        depths: Sequence[int] = (1, 2, 2, 3),
    ) -> None:
        super().__init__()
        self.styles = tuple(str(name) for name in styles)
        if not self.styles or len(set(self.styles)) < len(self.styles):
            raise ValueError("styles are named once each, and there is at least one")
        self.unet = UNet(widths=widths, depths=depths)
        modulation = {}
        for name, layer in _layers(self.unet):
            outputs, inputs = layer.weight.shape[:2]
            modulation[_key(name, "in")] = nn.Parameter(torch.ones(len(self.styles), inputs))
            modulation[_key(name, "out")] = nn.Parameter(torch.ones(len(self.styles), outputs))
            modulation[_key(name, "bias")] = nn.Parameter(torch.zeros(len(self.styles), outputs))
        self.modulation = nn.ParameterDict(modulation)

    @classmethod
    def from_unet(cls, network: UNet, styles: Sequence[str]) -> StyledUNet:
        """Several styles that all begin as what one network draws."""
        made = cls(styles=styles, widths=network.widths, depths=network.depths)
        made.unet.load_state_dict(network.state_dict())
        return made

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "styled_unet"."""
        shared = self.unet.config()
        return {**shared, "architecture": "styled_unet", "styles": list(self.styles)}

    def forward(self, photos: Tensor, style: str) -> Tensor:
        """Raises ModelError for a style that it doesn't draw."""
        drawn: Tensor = functional_call(self.unet, self.weights(style), (photos,))
        return drawn

    def check(self, style: str) -> None:
        """ModelError for a style that it doesn't draw."""
        if style not in self.styles:
            raise ModelError(
                f"the network draws {', '.join(self.styles)}, not {style}",
                hint="Name one of these, or give the file of one, which training left beside it.",
            )

    def weights(self, style: str) -> dict[str, Tensor]:
        """The state of the U-Net that draws a style alone.

        Raises:
            ModelError: it doesn't draw that style.
        """
        self.check(style)
        row = self.styles.index(style)
        folded = {}
        for name, layer in _layers(self.unet):
            into, out, bias = (
                self.modulation[_key(name, kind)][row] for kind in ("in", "out", "bias")
            )
            rest = (1,) * (layer.weight.ndim - 2)
            scales = out.view(-1, 1, *rest) * into.view(1, -1, *rest)
            folded[f"{name}.weight"] = layer.weight * scales
            folded[f"{name}.bias"] = layer.bias * out + bias
        return folded

    def network(self, style: str) -> UNet:
        """A network that draws one style alone, in evaluation mode."""
        made = UNet(widths=self.unet.widths, depths=self.unet.depths)
        made.load_state_dict(self.weights(style))
        return made.to(self.unet.from_rgb.weight.device).eval()


def _layers(network: UNet) -> list[tuple[str, nn.Conv2d | nn.Linear]]:
    return [
        (name, layer)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]


def _key(layer: str, kind: str) -> str:
    return f"{layer}.{kind}".replace(".", "_")  # parameters' names have no dots
