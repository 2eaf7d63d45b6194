"""What a checkpoint file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toonify.checkpoints import formats
from toonify.errors import ModelError
from toonify.lut import CharacterTable


def describe(path: Path) -> dict[str, Any]:
    """Format, networks and notes of a checkpoint or character table, JSON-able.

    Raises:
        ModelError: not a checkpoint of a kind we know.
    """
    record: dict[str, Any] = {"path": str(path), "bytes": path.stat().st_size}
    if path.suffix == ".safetensors":
        try:
            table = CharacterTable.load(path)
        except ModelError:
            pass  # then it is a network, or read_checkpoint says what is wrong
        else:
            about = {"format": "character table", "generator": table.generator_hash}
            return record | about | {"characters": list(table.names)}
    with formats.naming(path):
        checkpoint = formats.read_checkpoint(path)
        networks: dict[str, Any] = {}
        for role in checkpoint.roles:
            config, tensors = formats.converted(checkpoint, role)
            count = sum(value.numel() for value in tensors.values())
            networks[role] = dict(config) | {"numbers": count}
    return record | {
        "format": checkpoint.format,
        "networks": networks,
        "metadata": checkpoint.metadata,
    }
