"""The default bundle's network for `--engine wct2`: VGG-16's first levels, led back by regression.

Nothing is trained by gradients: every decoder layer is the least-squares map from an encoder's
features to those before them, measured on pictures of two folders. A minute of one core. The
network for `--engine adain` is trained instead, by `toonify train-style --compact`.

usage: python -m examples.style_transfer.fit PICTURES STYLES OUT
PICTURES are any photographs, STYLES what examples.style_transfer.styles drew. VGG-16 is that of
`toonify models pull lpips-vgg`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toonify.checkpoints.loading import save_network
from toonify.metrics.lpips import find_trunk, read_trunk
from toonify.models.style_transfer.wct2 import BANDS, WCT2, WavePool
from toonify.training.style_transfer.pictures import PictureFolder, style_samples
from toonify.training.style_transfer.vgg import normalized_vgg16

CROP, COUNT, BATCH = 160, 48, 8
DEPTHS = (2, 2)
RIDGE = 1e-4


def patches(feature: Tensor) -> Tensor:
    """(B, C, H, W) → a row a position, (B·H·W, 9C + 1): its 3×3 neighborhood and 1."""
    padded = F.pad(feature, (1, 1, 1, 1), mode="reflect")
    rows = F.unfold(padded, 3).transpose(1, 2).reshape(-1, 9 * feature.shape[1])
    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1)


def regress(pairs: Iterator[tuple[Tensor, Tensor]], scale: int, keep: float) -> Tensor:
    """(9C + 1, D·scale²) from features to targets `scale` times as large.

    Args:
        keep: share of the positions that are looked at.
    """
    gram, cross = torch.zeros(()), torch.zeros(())
    for feature, target in pairs:
        x = patches(feature)
        y = F.pixel_unshuffle(target, scale).permute(0, 2, 3, 1).reshape(len(x), -1)
        some = torch.rand(len(x)) < keep
        x, y = x[some], y[some]
        gram, cross = gram + x.T @ x, cross + x.T @ y
    gram, cross = gram.double(), cross.double()
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    solution: Tensor = torch.linalg.solve(gram + ridge, cross)
    return solution


def set_convolution(layer: torch.nn.Conv2d, solution: Tensor) -> None:
    layer.weight.copy_(solution[:-1].T.reshape(layer.weight.shape))
    assert layer.bias is not None
    layer.bias.copy_(solution[-1])


def fit_wct2(network: WCT2, pictures: Tensor) -> None:
    """Decoder layers from the encoder's features, both as wavelet pooling makes them."""
    encoder, decoder = network.encoder, network.decoder

    def stages(part: Tensor) -> dict[str, Tensor]:
        found, x = {"rgb": part}, encoder.conv0(part)
        for level, count in enumerate((*network.depths, 1), start=1):
            for index in range(count):
                layer = encoder.get_submodule(f"conv{level}_{index + 1}")
                x = F.relu(layer(F.pad(x, (1, 1, 1, 1), mode="reflect")))
                found[f"conv{level}_{index + 1}"] = x
            if level <= len(network.depths):
                x = encoder.get_submodule(f"pool{level}")(x)[0]
                found[f"pool{level}"] = x
        return found

    parts = [stages(part) for part in pictures.split(BATCH)]

    def pairs(source: str, target: str) -> Iterator[tuple[Tensor, Tensor]]:
        return ((found[source], found[target]) for found in parts)

    for name, target, keep in (
        ("conv3_1", "pool2", 0.7),
        ("conv2_2", "conv2_1", 0.3),
        ("conv2_1", "pool1", 0.3),
        ("conv1_2", "conv1_1", 0.1),
        ("conv1_1", "rgb", 0.1),
    ):
        layer = decoder.get_submodule(name)
        assert isinstance(layer, torch.nn.Conv2d)
        set_convolution(layer, regress(pairs(name, target), 1, keep))


def wavelet_encoder(network: WCT2, trunk: Sequence[tuple[Tensor, Tensor]], samples: Tensor) -> None:
    """VGG-16's convolutions; each channel's mean activation 1 along the wavelets' way."""
    plain = normalized_vgg16(trunk, samples, depths=DEPTHS)
    layers = [layer for layer in plain if isinstance(layer, torch.nn.Conv2d)]
    places = [m for m in network.encoder.modules() if isinstance(m, torch.nn.Conv2d)]
    for place, layer in zip(places, layers, strict=True):
        place.load_state_dict(layer.state_dict())
    x = network.encoder.conv0(samples)
    for level, count in enumerate((*DEPTHS, 1), start=1):
        for index in range(count):
            layer = network.encoder.get_submodule(f"conv{level}_{index + 1}")
            assert isinstance(layer, torch.nn.Conv2d) and layer.bias is not None
            if level > 1 and index == 0:
                layer.weight.mul_(0.5)  # the wavelets' low band is twice the mean
            x = F.relu(layer(F.pad(x, (1, 1, 1, 1), mode="reflect")))
        if level <= len(DEPTHS):
            pool = network.encoder.get_submodule(f"pool{level}")
            assert isinstance(pool, WavePool)
            x = dict(zip(BANDS, pool(x), strict=True))["LL"]


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("styles", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    folders = [PictureFolder(path, crop=CROP) for path in (options.pictures, options.styles)]
    samples = style_samples(folders, 16, seed=0)
    random = np.random.default_rng(5)
    pictures = torch.cat([folder.batch(COUNT, random) for folder in folders])
    trunk = read_trunk(find_trunk("vgg"), "vgg")

    wct2 = WCT2(unpooling="sum", depths=DEPTHS, colors=True)
    wavelet_encoder(wct2, trunk, samples)
    fit_wct2(wct2, pictures)
    save_network(wct2, options.out / "style_photo.safetensors", dtype=torch.float16)


if __name__ == "__main__":
    main()
