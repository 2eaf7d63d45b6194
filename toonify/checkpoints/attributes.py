"""Attribute offsets from files, as `examples/default_bundle` makes them."""

from __future__ import annotations

from pathlib import Path

import torch

from toonify.checkpoints.loading import load_network
from toonify.errors import ModelError
from toonify.models.attribute_offsets import AttributeOffsets
from toonify.models.base import Generator


def load_attribute_offsets(
    path: Path, generator: Generator, *, device: str | torch.device = "cpu"
) -> AttributeOffsets:
    """The network of that generator, float32, in evaluation mode, frozen.

    Raises:
        ModelError: missing, damaged, of another kind, or of another generator.
    """
    network = load_network("attributes", path, AttributeOffsets, device=device)
    channels = [layer.channels for layer in generator.layers]
    if any(
        not 0 <= layer < len(channels) or channels[layer] != width
        for layer, width in zip(network.layers, network.widths, strict=True)
    ):
        raise ModelError(
            f"{path} was not made for this generator", hint="Use the bundle that it came with."
        )
    return network.requires_grad_(False)
