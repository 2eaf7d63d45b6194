"""Networks from files and into files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from toonify.checkpoints import formats
from toonify.checkpoints.openvino import load_mobile
from toonify.checkpoints.safetensors_io import write_safetensors
from toonify.models.discriminator import StyleGAN2Discriminator
from toonify.models.encoders import Encoder
from toonify.models.protocol import Generator

PathOrName = str | os.PathLike[str]


def load_generator(path: PathOrName, *, device: str | torch.device = "cpu") -> Generator:
    """Face generator from a checkpoint, float32, in evaluation mode.

    Args:
        path: a file of any format that the package reads (of the pSp family, its decoder is
            taken), the folder of the compact generator's OpenVINO files, or a name from the
            registry.

    Raises:
        ModelError: no such file, not a checkpoint, not whole, or without a generator.
    """
    folder = _locate(path)
    if folder.is_dir():
        return load_mobile(folder).to(device)
    return cast(Generator, _load("generator", path, device))


def load_encoder(path: PathOrName, *, device: str | torch.device = "cpu") -> Encoder:
    """pSp, e4e, ReStyle, StyleGANEX or compact encoder; as `load_generator`."""
    return cast(Encoder, _load("encoder", path, device))


def load_networks(
    path: PathOrName, *, device: str | torch.device = "cpu"
) -> tuple[Encoder, Generator | None]:
    """Encoder of a checkpoint, and its generator where it holds one, reading the file once.

    Raises:
        ModelError: as `load_generator`'s.
    """
    file = _locate(path)
    with formats.naming(file):
        checkpoint = formats.read_checkpoint(file)
        encoder = formats.build("encoder", checkpoint).to(device)
        if "generator" not in checkpoint.roles:
            return cast(Encoder, encoder), None
        generator = formats.build("generator", checkpoint).to(device)
    return cast(Encoder, encoder), cast(Generator, generator)


def load_discriminator(
    path: PathOrName, *, device: str | torch.device = "cpu"
) -> StyleGAN2Discriminator:
    """StyleGAN2 discriminator; as `load_generator`."""
    return cast(StyleGAN2Discriminator, _load("discriminator", path, device))


def save_generator(
    generator: Generator,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a generator as safetensors, whole or not at all.

    Args:
        metadata: string entries for the file's header.
        dtype: stored precision, such as torch.float16; None keeps the network's.

    Raises:
        InputError: the file can't be written.
    """
    _save(generator, path, metadata, dtype)


def save_encoder(
    encoder: Encoder,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write an encoder; as `save_generator`."""
    _save(encoder, path, metadata, dtype)


def save_discriminator(
    discriminator: StyleGAN2Discriminator,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a discriminator; as `save_generator`."""
    _save(discriminator, path, metadata, dtype)


def _save(
    network: Any,
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None,
    dtype: torch.dtype | None,
) -> None:
    write_safetensors(
        network.state_dict(), path, config=network.config(), metadata=metadata, dtype=dtype
    )


def _load(role: formats.Role, path: PathOrName, device: str | torch.device) -> nn.Module:
    file = _locate(path)
    with formats.naming(file):
        return formats.build(role, formats.read_checkpoint(file)).to(device)


def _locate(path: PathOrName) -> Path:
    file = Path(path)
    if file.exists() or file.suffix or len(file.parts) != 1:
        return file
    from toonify.checkpoints.cache import resolve

    return resolve(str(path))
