"""Sketches and masks to w, and to what a generator's activations are to be labeled as.

One network for both (ours; StyleGANEX, arXiv 2303.06146, trains one of 200 M parameters each). A
generated face tells w, and its picture the drawing, so pairs cost nothing; and as a generator's
activations tell parts of faces apart, a 1×1 convolution labels them: what is rendered can be
compared with the drawing and moved towards it, part by part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from toonify.errors import ModelError
from toonify.models.base import Generator
from toonify.models.unet import ResidualBlock

LABELS = 19  # CelebAMask-HQ's, `toonify.faces.celeba.CELEBA`
SIZE = 128  # px of a drawing, each way
DARKEST = 90  # percentile of what ink there is, that counts as black
POOLED = 4  # maps of weights that features are summed by
FEATURE_RESOLUTION = 32  # of the activations that are labeled


class DrawingEncoder(nn.Module):
    """Drawings (B, 20, 128, 128) → w (B, w_dim) and labels' logits (B, 19, 32, 32).

    The first channel is a sketch's ink, 1 on black lines; the others are a mask, one-hot. One of
    both is zero.

    Args:
        w_dim: width of w.
        features: channels of the generator's activations at 32×32.
        widths: channels at 1/2, 1/4, … of the drawing's resolution.

    Examples:
        >>> w, logits = DrawingEncoder(w_dim=512, features=192)(torch.zeros(1, 20, 128, 128))
        >>> w.shape, logits.shape
        (torch.Size([1, 512]), torch.Size([1, 19, 32, 32]))
    """

    def __init__(
        self,
        *,
        w_dim: int = 512,
        features: int = 192,
        widths: Sequence[int] = (24, 48, 80, 128, 192),
    ) -> None:
        super().__init__()
        self.w_dim, self.feature_channels, self.widths = w_dim, features, tuple(widths)
        pairs = list(zip(self.widths[:-1], self.widths[1:], strict=True))
        self.from_drawing = nn.Conv2d(1 + LABELS, self.widths[0], 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(ResidualBlock(width) for width in self.widths)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.pool = nn.Conv2d(self.widths[-1], POOLED, 1)
        self.to_w = nn.Linear(self.widths[-1] * POOLED, w_dim)
        self.up = nn.ModuleList(nn.Conv2d(b, self.widths[1], 1) for b in self.widths[2:])
        self.to_labels = nn.Conv2d(self.widths[1], LABELS, 3, padding=1)
        self.from_features = nn.Conv2d(features, 4 * LABELS, 1)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-able, with "architecture": "drawing"."""
        return {
            "architecture": "drawing",
            "w_dim": self.w_dim,
            "features": self.feature_channels,
            "widths": list(self.widths),
        }

    def check(self, generator: Generator) -> None:
        """ModelError unless its w and activations are this generator's."""
        average = generator.w_avg.expand(1, generator.num_ws, -1)
        channels = 0
        if generator.resolution >= FEATURE_RESOLUTION:
            channels = structure_features(generator, average).shape[1]
        if (self.w_dim, self.feature_channels) != (generator.w_dim, channels):
            raise ModelError(
                f"the encoder of drawings is of a generator with {self.feature_channels} channels"
                f" at {FEATURE_RESOLUTION}x{FEATURE_RESOLUTION}, not {channels}",
                hint="Use the generator that it was trained for.",
            )

    def forward(self, drawings: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.from_drawing(drawings))
        levels = []
        for block, down in zip(self.blocks, [*self.down, None], strict=True):
            x = block(x)
            levels.append(x)
            if down is not None:
                x = F.relu(down(x))
        weights = self.pool(x).flatten(2).softmax(2)  # (B, 4, positions)
        pooled = weights @ x.flatten(2).transpose(1, 2)
        seen = levels[1]
        for convolution, level in zip(self.up, levels[2:], strict=True):
            seen = seen + F.interpolate(convolution(level), size=seen.shape[2:], mode="bilinear")
        return self.to_w(pooled.flatten(1)), self.to_labels(F.relu(seen))

    def label(self, features: Tensor) -> Tensor:
        """A generator's activations (B, C, 32, 32) → logits of the labels (B, 19, 64, 64)."""
        return F.pixel_shuffle(self.from_features(features), 2)


def structure_features(generator: Generator, w_plus: Tensor) -> Tensor:
    """A generator's activations (B, C, 32, 32), which tell a face's parts."""
    styles = generator.styles(w_plus)
    return generator.features(styles, resolution=FEATURE_RESOLUTION, noise="zero")


def sketch_planes(sketch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Dark lines on white (S, S) → (20, 128, 128), the ink in the first plane.

    Pencil becomes as black as pen.
    """
    small = cv2.resize(sketch, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    ink = 1 - small / max(float(np.percentile(small, 95)), 1.0)
    drawn = ink[ink > 0.05]
    planes = np.zeros((1 + LABELS, SIZE, SIZE), np.float32)
    if drawn.size:
        planes[0] = np.clip(ink / max(float(np.percentile(drawn, DARKEST)), 0.05), 0, 1)
    return planes


def mask_planes(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Labels (S, S) → (20, 128, 128), one-hot after an empty first plane."""
    small = cv2.resize(labels, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
    planes = np.zeros((1 + LABELS, SIZE, SIZE), np.float32)
    planes[1:] = np.eye(LABELS, dtype=np.float32)[small].transpose(2, 0, 1)
    return planes
