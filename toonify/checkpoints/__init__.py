"""Every file format in and out, the registry of checkpoints and their cache.

Reads rosinality's `.pt`, NVIDIA's stylegan2-ada `.pkl`, the pSp family's `.pt`, the compact
generator's OpenVINO files and our own `.safetensors`; writes only the last. No file's code is
ever run.

The names below are imported on first use: the registry and the cache do without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toonify.checkpoints.identity import load_identity
    from toonify.checkpoints.loading import (
        load_discriminator,
        load_encoder,
        load_generator,
        load_networks,
        save_discriminator,
        save_encoder,
        save_generator,
    )
    from toonify.checkpoints.safetensors_io import generator_hash
    from toonify.utils.hashing import file_sha256

_HOMES = {
    "file_sha256": "toonify.utils.hashing",
    "generator_hash": "toonify.checkpoints.safetensors_io",
    "load_discriminator": "toonify.checkpoints.loading",
    "load_encoder": "toonify.checkpoints.loading",
    "load_generator": "toonify.checkpoints.loading",
    "load_networks": "toonify.checkpoints.loading",
    "load_identity": "toonify.checkpoints.identity",
    "save_discriminator": "toonify.checkpoints.loading",
    "save_encoder": "toonify.checkpoints.loading",
    "save_generator": "toonify.checkpoints.loading",
}

__all__ = [
    "file_sha256",
    "generator_hash",
    "load_discriminator",
    "load_encoder",
    "load_generator",
    "load_identity",
    "load_networks",
    "save_discriminator",
    "save_encoder",
    "save_generator",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
