"""What is exported: each a function of tensors alone, with fixed noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from toonify.cdsm import cross_domain_styles
from toonify.models.base import Encoder, Generator
from toonify.models.unet import UNet


class EncoderNetwork(nn.Module):
    """An aligned face (1, 3, S, S) in [-1, 1] → w+ (1, num_ws, w_dim)."""

    def __init__(self, encoder: Encoder, generator: Generator) -> None:
        super().__init__()
        self.encoder, self.generator = encoder, generator

    def forward(self, face: Tensor) -> Tensor:
        return self.encoder.encode(face, self.generator)


class GeneratorNetwork(nn.Module):
    """w+ (1, num_ws, w_dim) → a picture (1, 3, R, R) in about [-1, 1]."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, w_plus: Tensor) -> Tensor:
        return self.generator.synthesize(self.generator.styles(w_plus))


class CharacterNetwork(nn.Module):
    """An aligned face (1, 3, S, S) in [-1, 1] → its drawing (1, 3, R, R), clamped to [-1, 1].

    The whole of cross-domain style mixing for one character: encode, mix, draw.

    Args:
        w_plus: (num_ws, w_dim), the character's latent.
        level, trgb, color: see `cross_domain_styles`.
    """

    def __init__(
        self,
        encoder: Encoder,
        generator: Generator,
        w_plus: Tensor,
        *,
        level: int,
        trgb: bool = True,
        color: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder, self.generator = encoder, generator
        self.level, self.trgb, self.color = level, trgb, color
        self.character: Tensor
        self.register_buffer("character", w_plus.detach().float()[None].clone())

    def forward(self, face: Tensor) -> Tensor:
        w_plus = self.encoder.encode(face, self.generator)
        styles = cross_domain_styles(
            self.generator,
            w_plus,
            self.character,
            level=self.level,
            trgb=self.trgb,
            color=self.color,
        )
        return torch.clamp(self.generator.synthesize(styles), -1, 1)


class StyleNetwork(nn.Module):
    """A picture (1, 3, H, W) in [-1, 1] → its drawing (1, 3, H, W), clamped to [-1, 1].

    H and W are any multiples of the network's stride.
    """

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        return torch.clamp(self.network.draw(picture), -1, 1)
