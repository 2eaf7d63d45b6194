"""Networks that draw a style, from files of ours."""

from __future__ import annotations

from pathlib import Path

import torch

from toonify.checkpoints.loading import load_network
from toonify.models.unet import UNet


def load_unet(path: Path, *, device: str | torch.device = "cpu") -> UNet:
    """A network from `toonify finetune --objective pix2pix`, float32, in evaluation mode, frozen.

    Raises:
        ModelError: missing, damaged, or of another kind.
    """
    network = load_network("translator", path, UNet, device=device)
    return network.requires_grad_(False).to(memory_format=torch.channels_last)
