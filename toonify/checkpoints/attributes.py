"""Attribute offsets from files, as `examples/default_bundle` makes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from toonify.checkpoints import formats
from toonify.checkpoints.safetensors_io import write_safetensors
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
    with formats.naming(path):
        network = formats.build("attributes", formats.read_checkpoint(path), AttributeOffsets)
    channels = [layer.channels for layer in generator.layers]
    if any(
        not 0 <= layer < len(channels) or channels[layer] != width
        for layer, width in zip(network.layers, network.widths, strict=True)
    ):
        raise ModelError(
            f"{path} was not made for this generator", hint="Use the bundle that it came with."
        )
    return network.eval().requires_grad_(False).to(device)


def save_attribute_offsets(
    network: AttributeOffsets,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write them, whole or not at all; InputError where the file can't be written."""
    write_safetensors(
        network.state_dict(), path, config=network.config(), metadata=metadata, dtype=dtype
    )
