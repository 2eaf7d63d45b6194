"""Our own files: safetensors with the architecture as JSON in the metadata key `toonify.config`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from toonify.checkpoints.arrays import (
    CONFIG_KEY,
    SCALE,
    check_ordinary,
    config_of,
    misfit,
    unreadable,
)
from toonify.utils.atomic import write_bytes, writing
from toonify.utils.text import printable

MIN_INT8 = 4096  # smaller tensors stay float16: they are few, and biases matter


def generator_hash(generator: nn.Module) -> str:
    """Hexadecimal SHA-256 of a generator's weights, the same after a float16 save and load.

    Taken over the sorted state-dict names, their shapes and their values as float16.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(generator.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        half = tensor.detach().to("cpu", torch.float16).contiguous()
        digest.update(half.numpy().tobytes())
    return digest.hexdigest()


def write_safetensors(
    tensors: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    *,
    config: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write tensors and their config, whole or not at all.

    Args:
        metadata: further string entries of the file's header.
        dtype: floating-point tensors are stored in it; None keeps each tensor's own. int8 stores
            large weights as integers with one float16 scale a row, the rest as float16.

    Raises:
        InputError: the file can't be written.
    """
    stored = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().to("cpu")
        if tensor.is_floating_point() and dtype == torch.int8:
            if tensor.ndim > 1 and tensor.numel() >= MIN_INT8:
                tensor, stored[name + SCALE] = _to_int8(tensor)
            else:
                tensor = tensor.to(torch.float16)
        elif dtype is not None and tensor.is_floating_point():
            tensor = tensor.to(dtype)
        stored[name] = tensor.contiguous().clone()
    header = {key: printable(value) for key, value in (metadata or {}).items()}
    header[CONFIG_KEY] = json.dumps(dict(config), sort_keys=True)
    target = Path(path)
    data = save(stored, metadata=header)
    with writing(target, hint="Choose another `output`."):
        write_bytes(target, data)


def read_safetensors(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, str]]:
    """Tensors, config and further metadata of one of our files.

    Raises:
        ModelError: not a whole safetensors file, or one without our config.
    """
    try:
        check_ordinary(path)
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise unreadable(path, error) from error
    config = config_of(metadata, path)
    metadata.pop(CONFIG_KEY)
    return _from_int8(tensors, path), config, metadata


def _to_int8(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, ...) weights as int8 and their float16 scales (rows,)."""
    rows = tensor.float().flatten(1)
    scale = (rows.abs().amax(1) / 127).clamp_min(2.0**-24).to(torch.float16)
    whole = (rows / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
    return whole.reshape(tensor.shape), scale


def _from_int8(tensors: dict[str, Tensor], path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Tensors with those that are stored in 8 bits as float16 again."""
    out = {name: tensor for name, tensor in tensors.items() if not name.endswith(SCALE)}
    for name, scale in tensors.items():
        if not name.endswith(SCALE):
            continue
        whole = tensors.get(name[: -len(SCALE)])
        if whole is None or whole.dtype != torch.int8 or scale.shape != whole.shape[:1]:
            raise misfit(path)
        by_row = scale.float().reshape(-1, *[1] * (whole.ndim - 1))
        out[name[: -len(SCALE)]] = (whole.float() * by_row).to(torch.float16)
    return out
