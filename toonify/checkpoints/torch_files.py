"""Read `torch.save`'s zip files without running anything in them, within the file's own size.

As `pickles.py` does for NVIDIA's: every global resolves to a function of ours. Tensors are rebuilt
from the records beside the pickle, NumPy arrays of floats too; other harmless objects (scalars,
paths, options) become inert records.
"""

from __future__ import annotations

import argparse
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toonify.checkpoints.pickles import Inert, SafeUnpickler, check_pickle
from toonify.errors import ModelError

AGAIN = "It may be cut short: download it again."
MOST_PICKLE = 1 << 26  # bytes; structure only, the numbers are beside it
_DTYPES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
}
_STORAGES = {f"{name}Storage": dtype for name, dtype in _DTYPES.items()}
_ARRAYS = ("<f4", "<f8", "<f2", "f4", "f8", "f2")
_ROOTS = frozenset({"numpy", "pathlib", "torch", "omegaconf", "easydict", "datetime", "enum"})


class _TorchUnpickler(SafeUnpickler):
    """Of `data.pkl`, with the records beside it."""

    def __init__(self, data: bytes, archive: zipfile.ZipFile, folder: str, order: str) -> None:
        super().__init__(io.BytesIO(data), _ROOTS)
        self._archive, self._folder, self._order = archive, folder, order
        self._flat: dict[str, Tensor] = {}
        self.known[("argparse", "Namespace")] = argparse.Namespace
        self.known[("_codecs", "encode")] = _encode  # how protocol 2 writes bytes
        for name, dtype in _STORAGES.items():
            self.known[("torch", name)] = dtype
        self.known[("torch.storage", "UntypedStorage")] = torch.uint8
        self.known[("torch", "UntypedStorage")] = torch.uint8

    def persistent_load(self, pid: Any) -> Tensor:
        kind, dtype, key, _device, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError("a storage of another kind")
        name = f"{self._folder}data/{key}"
        if name not in self._flat:
            data = bytearray(self._archive.read(name))
            if self._order == "big":
                data = bytearray(
                    np.frombuffer(data, f"V{dtype.itemsize}").view(f">u{dtype.itemsize}")
                    .astype(f"<u{dtype.itemsize}").tobytes()
                )  # fmt: skip
            flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            self._flat[name] = flat
            self.held += flat.numel()
        found = self._flat[name]
        if found.dtype != dtype or found.numel() < int(count):
            raise pickle.UnpicklingError(f"the record {key} is cut short")
        return found


def _encode(text: Any, *_encoding: Any) -> bytes:
    if not isinstance(text, str):
        raise pickle.UnpicklingError("bytes of another kind")
    return text.encode("latin-1")


def is_zip(head: bytes) -> bool:
    """Whether a file begins as a zip archive does."""
    return head.startswith(b"PK\x03\x04")


def read_torch_zip(path: Path) -> Any:
    """What a zip file of `torch.save` holds; NumPy arrays of floats as tensors.

    Raises:
        ModelError: not such a file, damaged, larger inside than outside, or asking for anything
            to be run.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            pickled = next((name for name in names if name.endswith("data.pkl")), None)
            if pickled is None:
                raise ModelError("it is a zip file without a data.pkl", hint="Check the name.")
            _check_sizes(archive, path.stat().st_size, pickled)
            folder = pickled.removesuffix("data.pkl")
            order = "little"
            if f"{folder}byteorder" in names:
                order = archive.read(f"{folder}byteorder")[:8].decode("ascii", "replace").strip()
            data = archive.read(pickled)
            check_pickle(io.BytesIO(data), len(data))
            return _with_arrays(_TorchUnpickler(data, archive, folder, order).load())
    except ModelError:
        raise
    except Exception as error:  # a damaged archive can raise nearly anything
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"it can't be read as a PyTorch file ({reason[0]:.120})", hint=AGAIN
        ) from error


def _check_sizes(archive: zipfile.ZipFile, size: int, pickled: str) -> None:
    inside = sum(item.file_size for item in archive.infolist())
    if inside > 4 * size + (1 << 24) or archive.getinfo(pickled).file_size > MOST_PICKLE:
        raise ModelError(
            f"it is {size} bytes and unpacks to {inside}", hint="Don't trust this file."
        )


def _with_arrays(contents: Any) -> Any:
    """A mapping's pickled NumPy arrays as tensors, one level deep."""
    if isinstance(contents, dict) and not isinstance(contents, Inert):
        return {
            key: as_array(value) if isinstance(value, Inert) else value
            for key, value in contents.items()
        }
    return contents


def as_array(value: Inert) -> Any:
    """The tensor that a pickled NumPy array of floats stands for; the record itself otherwise."""
    state = getattr(value, "state", None)
    if not isinstance(state, tuple) or len(state) != 5:
        return value
    _, shape, dtype, fortran, data = state
    kind = dtype.args[0] if isinstance(dtype, Inert) and dtype.args else None
    if kind not in _ARRAYS or not isinstance(data, bytes) or fortran:
        return value
    try:
        return torch.from_numpy(np.frombuffer(data, kind).reshape(shape).copy())
    except (TypeError, ValueError):
        return value
