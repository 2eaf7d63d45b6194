"""Training of the small network of style transfer, AdaIN at every layer, on two folders.

VGG-16 compares: textures by moments and Gram matrices of relu1_1 to relu4_1 (Gatys et al., 2016),
contents by relu3_1 and relu4_1 without their moments. The network also gives styles back, which
is what their statistics are taken from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toonify.errors import InputError
from toonify.media.images import read_image
from toonify.models.style_transfer.adain import StyleEncoder
from toonify.models.style_transfer.layerwise import LayerwiseAdaIN
from toonify.training.core.loop import require_positive
from toonify.training.core.optim import descend
from toonify.training.core.resumption import AveragingTrainer
from toonify.training.core.schedule import ema_decay, set_rate, update_ema, warmup_cosine
from toonify.training.style_transfer.decoder import ITEMS, StyleTrainSettings
from toonify.training.style_transfer.pictures import (
    TRIES,
    PictureFolder,
    random_crop,
    style_samples,
)
from toonify.training.style_transfer.vgg import lpips_vgg16

CROPS = 2  # of each style
KEPT = 2000  # crops of styles whose moments are remembered, 0.7 MB each
VARIANCE_NOISE = 1e-4

Moments = tuple[Tensor, Tensor, Tensor]  # mean and deviation (B, C), Gram matrix (B, C, C)


@dataclass(frozen=True, kw_only=True)
class LayerwiseSettings(StyleTrainSettings):
    """As `StyleTrainSettings`, with what a small network needs.

    Attributes:
        gram_weight: of the Gram matrices' error, relative to their size.
        content_weight: of the content loss.
    """

    steps: int = 4000
    batch_size: int = 3
    crop: int = 160
    lr: float = 1e-3
    style_weight: float = 3.0
    reconstruction: float = 10.0
    gram_weight: float = 2.0
    content_weight: float = 1.2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "gram_weight", "content_weight", "reconstruction")


class VGGFeatures(nn.Module):
    """Features of VGG-16 at relu1_1 to relu4_1, with zeros around, in the arithmetic of `dtype`."""

    def __init__(self, encoder: StyleEncoder, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        first, *layers = [layer for layer in encoder if isinstance(layer, nn.Conv2d)]
        assert first.bias is not None
        self.depths, self.dtype = encoder.depths, dtype
        self.color: Tensor
        self.shift: Tensor
        self.register_buffer("color", first.weight.detach().clone())
        self.register_buffer("shift", first.bias.detach().clone())
        self.layers = nn.ModuleList(layers).to(dtype).to(memory_format=torch.channels_last)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [0, 1] → (B, C, H/2^k, W/2^k) of each level."""
        x = F.conv2d(images.float(), self.color, self.shift).to(self.dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        found, layers = [], iter(self.layers)
        for level, depth in enumerate((*self.depths, 1)):
            x = F.max_pool2d(x, 2) if level else x
            for index in range(depth):
                layer = next(layers)
                assert isinstance(layer, nn.Conv2d)
                x = F.relu(F.conv2d(x, layer.weight, layer.bias, padding=1))
                if index == 0:
                    found.append(x)
        return found


def moments(feature: Tensor) -> Moments:
    """Mean, deviation and Gram matrix over the positions of (B, C, H, W)."""
    rows = feature.permute(0, 2, 3, 1).flatten(1, 2)
    gram = (rows.transpose(1, 2) @ rows).float() / rows.shape[1]
    mean = rows.mean(1, dtype=torch.float32)
    variance = gram.diagonal(dim1=1, dim2=2) - mean * mean
    return mean, (variance.clamp_min(0) + VARIANCE_NOISE).sqrt(), gram


def style_losses(found: list[Moments], wanted: list[Moments]) -> tuple[Tensor, Tensor]:
    """Mean absolute error of moments, and relative squared error of Gram matrices, summed."""
    total, gram = [], []
    for (mean, deviation, own), (other_mean, other_deviation, other) in zip(
        found, wanted, strict=True
    ):
        total.append(F.l1_loss(mean, other_mean) + F.l1_loss(deviation, other_deviation))
        error = (own - other).square().mean((1, 2)) / other.square().mean((1, 2))
        gram.append(error.clamp(max=10).mean())
    return torch.stack(total).sum(), torch.stack(gram).sum()


def content_loss(found: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Squared error of relu4_1 and half of relu3_1's, each channel of each picture normalized."""

    def error(one: Tensor, two: Tensor) -> Tensor:
        pairs = zip(one.split(1), two.split(1), strict=True)
        each = [F.mse_loss(_normalized(a), _normalized(b)) for a, b in pairs]
        return torch.stack(each).mean()

    return error(found[3], wanted[3]) + 0.5 * error(found[2], wanted[2])


def _normalized(feature: Tensor) -> Tensor:
    return F.batch_norm(feature, None, None, training=True, eps=1e-3).float()


class LayerwiseTrainer(AveragingTrainer[LayerwiseSettings, LayerwiseAdaIN, np.random.Generator]):
    """Trains the whole network; see `toonify.training.core.loop.Trainer`.

    Args:
        vgg: see `VGGFeatures`.
    """

    def __init__(
        self,
        network: LayerwiseAdaIN,
        vgg: VGGFeatures,
        contents: PictureFolder,
        styles: PictureFolder,
        config: LayerwiseSettings,
    ) -> None:
        self.network, self.vgg, self.config = network, vgg, config
        self.contents, self.styles = contents, styles
        self.average = LayerwiseAdaIN(widths=network.widths, blocks=network.block_count)
        self.average.load_state_dict(network.state_dict())
        self.average.requires_grad_(False)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=config.lr, betas=(0.9, 0.99))
        self.device = next(network.parameters()).device
        self.average.to(self.device)
        self.random = np.random.default_rng(config.seed)
        self._targets: dict[tuple[int, int], tuple[Tensor, list[Moments]]] = {}
        shown = np.random.default_rng(config.seed + 1)
        self._shown = contents.batch(ITEMS, shown), styles.batch(ITEMS, shown)

    def must_match(self) -> dict[str, Any]:
        return {"architecture": self.network.config()}

    def _style(self, number: int, crop: int) -> tuple[Tensor, list[Moments]]:
        """A crop (1, 3, S, S) of a style, the same each time, and its moments."""
        if (number, crop) not in self._targets:
            lot = np.random.default_rng([self.config.seed, number, crop])
            rgb = read_image(self.styles.paths[number]).rgb
            picture = torch.from_numpy(random_crop(rgb, self.config.crop, lot))
            image = picture.permute(2, 0, 1)[None].to(self.device)
            with torch.no_grad():
                seen = [moments(feature) for feature in self.vgg(image.float() / 255)]
            targets = [(mean, deviation, gram.bfloat16()) for mean, deviation, gram in seen]
            if len(self._targets) >= KEPT:
                return image, targets
            self._targets[number, crop] = image, targets
        return self._targets[number, crop]

    def _any_style(self) -> tuple[Tensor, list[Moments]]:
        for last in reversed(range(TRIES)):
            number, crop = self.random.integers(0, (len(self.styles.paths), CROPS)).tolist()
            try:
                return self._style(number, crop)
            except InputError:  # damaged: another one
                if not last:
                    raise
        raise AssertionError("unreachable")

    def step(self) -> dict[str, Tensor]:
        config, count = self.config, self.config.batch_size
        content = self.contents.batch(count, self.random).to(self.device)
        given = [self._any_style() for _ in range(count)]
        style = torch.cat([image for image, _ in given]).float() / 255
        wanted: list[Moments] = [
            (torch.cat(a), torch.cat(b), torch.cat(c).float())
            for a, b, c in (
                zip(*(targets[level] for _, targets in given), strict=True)
                for level in range(len(given[0][1]))
            )
        ]
        half = self.vgg.dtype == torch.bfloat16
        with torch.no_grad():
            seen = self.vgg(content)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            back, drawn = [], []
            for one, other in zip(content.split(1), style.split(1), strict=True):
                again, statistics = self.network.reconstruct(other)
                back.append(again)
                drawn.append(self.network.transfer(one, statistics))
            found = self.vgg(torch.cat(drawn))
        texture, gram = style_losses([moments(feature) for feature in found], wanted)
        losses = {
            "content": content_loss(found, seen),
            "style": texture,
            "gram": gram,
            "reconstruction": F.l1_loss(torch.cat(back), style),
        }
        total = (
            config.content_weight * losses["content"]
            + config.style_weight * losses["style"]
            + config.gram_weight * losses["gram"]
            + config.reconstruction * losses["reconstruction"]
        )
        rate = warmup_cosine(self.step_count, config.steps, warmup=100, floor=0.05)
        set_rate(self.optimizer, config.lr * rate)
        self.step_count += 1
        if descend(total, self.optimizer, self.network.parameters(), most=5.0):
            update_ema(
                dict(self.average.named_parameters()),
                dict(self.network.named_parameters()),
                ema_decay(self.step_count, 0.998),
            )
        return {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Contents, styles and results, (3N, 3, crop, crop) uint8."""
        content, style = (x.to(self.device) for x in self._shown)
        made = [
            self.average.transfer(one, self.average.describe(other))
            for one, other in zip(content.split(1), style.split(1), strict=True)
        ]
        shown = torch.cat([content, style, *made]).clamp(0, 1)
        return (shown * 255).round().to(torch.uint8).cpu()


def vgg_features(
    contents: PictureFolder, styles: PictureFolder, *, dtype: torch.dtype, seed: int = 0
) -> VGGFeatures:
    """LPIPS's VGG-16, its activations normalized on the pictures of both folders.

    Raises:
        ModelError: its weights are nowhere (`toonify models pull lpips-vgg`).
    """
    return VGGFeatures(lpips_vgg16(style_samples([contents, styles], 16, seed)), dtype=dtype)
