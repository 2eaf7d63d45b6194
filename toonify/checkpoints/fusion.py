"""FusionNet from a file of `toonify train-encoder --task fusion`."""

from __future__ import annotations

from pathlib import Path

import torch

from toonify.checkpoints.loading import load_network
from toonify.models.fusion_net import FusionNet


def load_fusion_net(path: Path, *, device: str | torch.device = "cpu") -> FusionNet:
    """The network, float32, in evaluation mode, frozen.

    Raises:
        ModelError: missing, damaged, or of another kind.
    """
    return load_network("fusion", path, FusionNet, device=device).requires_grad_(False)
