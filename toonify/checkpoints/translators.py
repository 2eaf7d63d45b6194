"""Networks that draw styles, from files of ours."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from toonify.checkpoints.loading import load_network
from toonify.errors import ModelError
from toonify.models.styled_unet import StyledUNet
from toonify.models.unet import UNet


def load_unet(path: Path, *, style: str | None = None, device: str | torch.device = "cpu") -> UNet:
    """A network from `toonify finetune --objective pix2pix`, float32, in evaluation mode, frozen.

    Args:
        style: which one, where the file's network draws several.

    Raises:
        ModelError: missing, damaged, or of another kind; a style has to be named, or is unknown.
    """
    network = load_translator(path)
    if isinstance(network, StyledUNet):
        if style is None:
            raise ModelError(
                f"{path} draws {', '.join(network.styles)}",
                hint="Give the file of one style, which training left beside it.",
            )
        network = network.network(style)
    network = network.to(device).requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


def load_translator(path: Path) -> UNet | StyledUNet:
    """The network of a file, of one style or of several, float32, in evaluation mode.

    Raises:
        ModelError: missing, damaged, or of another kind.
    """
    network = load_network("translator", path, nn.Module)
    if not isinstance(network, UNet | StyledUNet):
        raise ModelError(f"{path} draws no style", hint="Give a file of `objective` pix2pix.")
    return network
