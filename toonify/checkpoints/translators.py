"""Networks that draw a style, from and to files of ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from toonify.checkpoints import formats
from toonify.checkpoints.safetensors_io import write_safetensors
from toonify.models.unet import UNet


def load_unet(path: Path, *, device: str | torch.device = "cpu") -> UNet:
    """A network from `toonify finetune --objective pix2pix`, float32, in evaluation mode, frozen.

    Raises:
        ModelError: missing, damaged, or of another kind.
    """
    with formats.naming(path):
        network = formats.build("translator", formats.read_checkpoint(path), UNet)
    return network.requires_grad_(False).to(device).to(memory_format=torch.channels_last)


def save_unet(
    network: UNet,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write it, whole or not at all; InputError where the file can't be written."""
    write_safetensors(
        network.state_dict(), path, config=network.config(), metadata=metadata, dtype=dtype
    )
