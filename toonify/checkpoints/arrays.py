"""Our own files as NumPy arrays: what needs no torch is read without it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from toonify.errors import ModelError

CONFIG_KEY = "toonify.config"
SCALE = "::scale"  # suffix of the scales of a tensor that is stored in 8 bits

Array = NDArray[np.float32]


def read_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Tensors as float32 arrays, and the config, of one of our files.

    Values are those of `read_safetensors`: what is stored in 8 bits is rounded to float16, what is
    stored in bfloat16 is read as it is.

    Raises:
        ModelError: not a whole safetensors file, one without our config, or of types that neither
            NumPy knows nor bfloat16 is.
    """
    try:
        check_ordinary(path)
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            names = list(file.keys())
            short = [name for name in names if file.get_slice(name).get_dtype() == "BF16"]
            stored = {name: file.get_tensor(name) for name in names if name not in short}
        stored |= _bfloat16(path, short)
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise unreadable(path, error) from error
    config = config_of(metadata, path)
    arrays = {name: value for name, value in stored.items() if not name.endswith(SCALE)}
    for name, scale in stored.items():
        if not name.endswith(SCALE):
            continue
        whole = arrays.get(name[: -len(SCALE)])
        if whole is None or whole.dtype != np.int8 or scale.shape != whole.shape[:1]:
            raise misfit(path)
        by_row = scale.astype(np.float32).reshape(-1, *[1] * (whole.ndim - 1))
        arrays[name[: -len(SCALE)]] = (whole.astype(np.float32) * by_row).astype(np.float16)
    return {name: np.asarray(value, np.float32) for name, value in arrays.items()}, config


def _bfloat16(path: str | os.PathLike[str], names: Sequence[str]) -> dict[str, Array]:
    """Tensors of a safetensors file in a type that NumPy lacks: the upper halves of float32."""
    if not names:
        return {}
    found = {}
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name in names:
            begin, end = header[name]["data_offsets"]
            file.seek(8 + length + begin)
            halves = np.frombuffer(file.read(end - begin), "<u2").astype(np.uint32)
            found[name] = (halves << 16).view(np.float32).reshape(header[name]["shape"])
    return found


def check_ordinary(path: str | os.PathLike[str]) -> None:
    """OSError for what is there and no file: a pipe would be waited for, for ever."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError("it is no ordinary file")


def config_of(metadata: Mapping[str, str], path: str | os.PathLike[str]) -> dict[str, Any]:
    """The configuration in a header.

    Raises:
        ModelError: there is none.
    """
    try:
        config = json.loads(metadata[CONFIG_KEY])
        if not isinstance(config, dict) or "architecture" not in config:
            raise ValueError
    except (KeyError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} holds no network of ours: its metadata lacks {CONFIG_KEY}",
            hint="Convert the original checkpoint with `toonify models convert`.",
        ) from error
    return config


def unreadable(path: str | os.PathLike[str], error: Exception) -> ModelError:
    """Of a file that can't be read."""
    return ModelError(
        f"{path} is not a readable safetensors file ({error})",
        hint="It may be cut short: download or save it again.",
    )


def misfit(path: str | os.PathLike[str]) -> ModelError:
    """Of scales of 8 bits beside tensors of another shape."""
    return ModelError(f"{path} holds scales that fit no tensor", hint="Download or save it again.")
