"""dlib's face descriptor from the files of face-api: a JSON manifest and 8-bit weights."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toonify.checkpoints.download import obtain
from toonify.errors import ModelError
from toonify.models.identity import Identity

MANIFEST = "face_recognition_model-weights_manifest.json"
WEIGHTS = "face_recognition_model.bin"
_HINT = "Get it again: toonify models pull face-identity."
_UNITS = (
    *("conv32_1", "conv32_2", "conv32_3"),
    *("conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    *("conv128_down", "conv128_1", "conv128_2"),
    *("conv256_down", "conv256_1", "conv256_2", "conv256_down_out"),
)


def load_identity(
    path: str | os.PathLike[str] | None = None,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    offline: bool = False,
) -> Identity:
    """The face descriptor, frozen.

    Args:
        path: folder of the two files; None for the registry's, from the cache (see `obtain`).

    Raises:
        ModelError: files that are missing, cut short or of another network; or nothing could
            deliver them.
    """
    if path is None:
        path = obtain("face-identity", offline=offline)
    folder = Path(path)
    network = Identity(dtype=dtype)
    try:
        network.load_state_dict(_renamed(_read(folder)))
    except OSError as error:
        raise ModelError(
            f"no face descriptor in {folder} ({error.strerror or error})", hint=_HINT
        ) from error
    except Exception as error:  # damaged files can raise nearly anything
        raise ModelError(f"{folder} holds no face descriptor ({error})", hint=_HINT) from error
    return network.to(device)


def _read(folder: Path) -> dict[str, Tensor]:
    """Every tensor of the manifest; quantized ones are byte · scale + min."""
    (group,) = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    data = (folder / WEIGHTS).read_bytes()
    tensors, offset = {}, 0
    for weight in group["weights"]:
        count, quantized = math.prod(weight["shape"]), weight.get("quantization")
        if quantized is None:
            values = np.frombuffer(data, "<f4", count, offset).copy()
        else:
            values = np.frombuffer(data, np.uint8, count, offset).astype(np.float32)
            values = values * np.float32(quantized["scale"]) + np.float32(quantized["min"])
        tensors[weight["name"]] = torch.from_numpy(values.reshape(weight["shape"]))
        offset += count if quantized else 4 * count
    if offset != len(data):
        raise ValueError(f"{len(data)} bytes instead of {offset}")
    return tensors


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """tfjs names and HWIO kernels → `Identity`'s state dict."""
    places = {"stem": "conv32_down"} | {
        f"units.{i}.{conv}": f"{unit}/{conv}"
        for i, unit in enumerate(_UNITS)
        for conv in ("conv1", "conv2")
    }
    state = {"head.weight": tensors["fc"].T.contiguous()}
    for ours, theirs in places.items():
        state[f"{ours}.conv.weight"] = tensors[f"{theirs}/conv/filters"].permute(3, 2, 0, 1)
        state[f"{ours}.conv.bias"] = tensors[f"{theirs}/conv/bias"]
        state[f"{ours}.scale"] = tensors[f"{theirs}/scale/weights"]
        state[f"{ours}.shift"] = tensors[f"{theirs}/scale/biases"]
    return state
