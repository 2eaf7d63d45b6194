"""Tiny StyleGANEX networks that fit each other, and a loss without weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from toonify.checkpoints import save_encoder, save_generator
from toonify.models.encoders.styleganex import StyleGANEXEncoder
from toonify.models.generators.stylegan2 import StyleGAN2Generator

RESOLUTION, W_DIM, NUM_WS = 64, 16, 10


def tiny_stylegan2(seed: int = 0, **changes) -> StyleGAN2Generator:
    torch.manual_seed(seed)
    channels = {4: 8, 8: 8, 16: 8, 32: 8, 64: 4}
    options = {"resolution": RESOLUTION, "channels": channels, "w_dim": W_DIM, "z_dim": W_DIM}
    generator = StyleGAN2Generator(**options | {"mapping_layers": 1} | changes).eval()
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            nn.init.constant_(parameter, 0.1)
    return generator


def tiny_encoder(seed: int = 0, **changes) -> StyleGANEXEncoder:
    torch.manual_seed(seed)
    options = {
        "num_ws": NUM_WS,
        "w_dim": W_DIM,
        "feature_channels": 8,
        "taps": (2, 2, 2),
        "units": (1, 1, 1, 1),
        "channels": (16, 16, 16, 16),
    }
    return StyleGANEXEncoder(**options | changes).eval()


def write_networks(folder: Path, **changes) -> tuple[Path, Path]:
    """Encoder and generator as files of ours."""
    encoder, generator = folder / "encoder.safetensors", folder / "generator.safetensors"
    save_encoder(tiny_encoder(**changes), encoder)
    save_generator(tiny_stylegan2(), generator)
    return encoder, generator


class PixelLoss(nn.Module):
    """Mean squared difference where LPIPS is expected."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__()

    def distance_to(self, images: Tensor, wanted: list[Tensor]) -> Tensor:
        return self.distance(self.features(images), wanted)

    def features(self, images: Tensor) -> list[Tensor]:
        return [images]

    def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        return (a[0] - b[0]).square().mean(dim=(1, 2, 3))
