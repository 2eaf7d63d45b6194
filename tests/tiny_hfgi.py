"""A tiny compact HFGI with its generator and encoder."""

from __future__ import annotations

import torch

from toonify.models.encoders.compact import CompactEncoder
from toonify.models.encoders.hfgi_compact import CompactHFGI, CompactInversion, fused_channels
from toonify.models.generators.hybrid import HybridGenerator

W_DIM = 8


def tiny_hybrid(resolution: int = 256, seed: int = 0) -> HybridGenerator:
    torch.manual_seed(seed)
    deep = (8, 8) if resolution == 256 else (8,)
    return HybridGenerator(
        resolution=resolution,
        channels={4: 8, 8: 8, 16: 8, 32: 8},
        junction=8,
        deep=deep,
        w_dim=W_DIM,
        z_dim=W_DIM,
        mapping_layers=1,
    ).eval()


def tiny_encoder(num_ws: int = 14) -> CompactEncoder:
    torch.manual_seed(1)
    encoder = CompactEncoder(
        num_ws=num_ws, w_dim=W_DIM, input_size=32, widths=(8, 8, 8, 8, 8), depth=1
    )
    torch.nn.init.normal_(encoder.rows.weight, std=0.1)
    return encoder.eval()


def tiny_hfgi(resolution: int = 256) -> CompactInversion:
    generator = tiny_hybrid(resolution)
    networks = CompactHFGI(
        channels=fused_channels(generator), widths=(8, 8, 8, 8), width=8, fine=4
    ).eval()
    return CompactInversion(networks, generator, tiny_encoder(generator.num_ws))
