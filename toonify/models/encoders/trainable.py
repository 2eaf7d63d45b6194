"""What training asks of an encoder of faces: its residual steps, one by one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from toonify.models.base import Encoder, Generator


class TrainableEncoder(Encoder):
    """An encoder whose steps are learnt from by themselves, as ReStyle's (arXiv 2104.02699).

    Attributes:
        steps: that it takes by default.
    """

    steps: int = 1

    @torch.no_grad()
    def first_guess(self, generator: Generator) -> tuple[Tensor, Tensor]:
        """What the first step changes: w+ (1, num_ws, w_dim), and its image as `seen` gives it."""
        raise NotImplementedError

    def refine(self, photos: Tensor, seen: Tensor, w_plus: Tensor) -> Tensor:
        """One step: photographs and reconstructions (B, 3, S, S), the latter's w+ → better w+."""
        raise NotImplementedError

    def seen(self, images: Tensor) -> Tensor:
        """A rendered batch (B, 3, R, R) as the next step sees it, (B, 3, S, S)."""
        return F.adaptive_avg_pool2d(images, self.input_size)
