"""Networks from files and into files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

import torch
from torch import nn

from toonify.checkpoints import formats
from toonify.checkpoints.cache import resolve
from toonify.checkpoints.openvino import load_mobile
from toonify.checkpoints.safetensors_io import write_safetensors
from toonify.models.base import Encoder, Generator
from toonify.models.discriminators import StyleGAN2Discriminator
from toonify.models.registry import Role

G = TypeVar("G", bound=Generator)
E = TypeVar("E", bound=Encoder)
M = TypeVar("M", bound=nn.Module)
PathOrName = str | os.PathLike[str]


class Configured(Protocol):
    """A network that knows its constructor's arguments."""

    def config(self) -> dict[str, Any]:
        """Them, JSON-able, with an "architecture" key of the registry."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Its tensors by name."""
        ...


@overload
def load_generator(path: PathOrName, *, device: str | torch.device = ...) -> Generator: ...
@overload
def load_generator(path: PathOrName, kind: type[G], *, device: str | torch.device = ...) -> G: ...
def load_generator(
    path: PathOrName, kind: type[G] | None = None, *, device: str | torch.device = "cpu"
) -> G | Generator:
    """Face generator from a checkpoint, float32, in evaluation mode.

    Args:
        path: a file of any format that the package reads (of the pSp family, its decoder is
            taken), the folder of the compact generator's OpenVINO files, or a name from the
            registry.
        kind: the class that it must be of; None for any.
        device: where it is put.

    Raises:
        ModelError: no such file, not a checkpoint, not whole, without a generator, or of another
            kind.

    Examples:
        >>> generator = load_generator("ffhq-mobile")  # after `toonify models pull ffhq-mobile`
    """
    folder = _locate(path)
    if folder.is_dir():
        with formats.naming(folder):
            return formats.of_kind(load_mobile(folder), kind or Generator).to(device)
    return load_network("generator", path, kind or Generator, device=device)


@overload
def load_encoder(path: PathOrName, *, device: str | torch.device = ...) -> Encoder: ...
@overload
def load_encoder(path: PathOrName, kind: type[E], *, device: str | torch.device = ...) -> E: ...
def load_encoder(
    path: PathOrName, kind: type[E] | None = None, *, device: str | torch.device = "cpu"
) -> E | Encoder:
    """Encoder of faces or frames from a checkpoint, float32, in evaluation mode: pSp, e4e, ReStyle,
    StyleGANEX or compact.

    Args:
        path: a file of any format that the package reads, or a name from the registry.
        kind: the class that it must be of; None for any.
        device: where it is put.

    Raises:
        ModelError: no such file, not a checkpoint, not whole, without an encoder, or of another
            kind.

    Examples:
        >>> encoder = load_encoder("psp_ffhq_encode.pt")
        >>> w_plus = encoder.encode(faces)  # (B, 3, 256, 256) in [-1, 1] → (B, 18, 512)
    """
    return load_network("encoder", path, kind or Encoder, device=device)


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
        encoder = formats.build("encoder", checkpoint, Encoder).to(device)
        if "generator" not in checkpoint.roles:
            return encoder, None
        generator = formats.build("generator", checkpoint, Generator).to(device)
    return encoder, generator


def load_discriminator(
    path: PathOrName, *, device: str | torch.device = "cpu"
) -> StyleGAN2Discriminator:
    """StyleGAN2 discriminator; as `load_generator`."""
    return load_network("discriminator", path, StyleGAN2Discriminator, device=device)


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
    save_network(generator, path, metadata=metadata, dtype=dtype)


def save_encoder(
    encoder: Encoder,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write an encoder; as `save_generator`."""
    save_network(encoder, path, metadata=metadata, dtype=dtype)


def save_discriminator(
    discriminator: StyleGAN2Discriminator,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a discriminator; as `save_generator`."""
    save_network(discriminator, path, metadata=metadata, dtype=dtype)


def save_network(
    network: Configured,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a network of any role as safetensors, whole or not at all; as `save_generator`.

    Examples:
        >>> save_network(UNet(), "ink.safetensors", dtype=torch.int8)
    """
    write_safetensors(
        network.state_dict(), path, config=network.config(), metadata=metadata, dtype=dtype
    )


def load_network(
    role: Role, path: PathOrName, kind: type[M], *, device: str | torch.device = "cpu"
) -> M:
    """The network of a role and class from a checkpoint, float32, in evaluation mode.

    Args:
        path: a file of any format that the package reads, or a name from the registry.

    Raises:
        ModelError: as `load_generator`'s.

    Examples:
        >>> network = load_network("translator", "ink.safetensors", UNet)
    """
    file = _locate(path)
    with formats.naming(file):
        return formats.build(role, formats.read_checkpoint(file), kind).to(device)


def _locate(path: PathOrName) -> Path:
    file = Path(path)
    if file.exists() or file.suffix or len(file.parts) != 1:
        return file

    return resolve(str(path))
