"""The compact generator's published weights, read out of OpenVINO IR files without OpenVINO.

The IR's constants are taken in their order in the graph: a modulation's weight and bias are
followed by the layer's scale, a depthwise kernel by its pointwise one and the noise map.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toonify.checkpoints.budget import building
from toonify.errors import ModelError
from toonify.models.generators.mobile import MobileGenerator, mobile_from_folded

MAPPING, SYNTHESIS = "MappingNetwork", "SynthesisNetwork"
_AVERAGE_SAMPLES = 10_000

_FLOATS = {"f32": np.float32, "f16": np.float16}
_RENAMED = {
    "m.input.input": "const",
    "m.conv1.bias": "conv1.bias",
}


def load_mobile(folder: Path) -> MobileGenerator:
    """MobileStyleGAN from `MappingNetwork` and `SynthesisNetwork` (.xml and .bin each).

    The average latent is not in the files: it is taken over 10,000 seeded samples.

    Raises:
        ModelError: files missing, damaged, or of another network.
    """
    try:
        tensors = _mapping(folder) | _synthesis(folder)
        tensors["w_mean"] = torch.zeros(tensors["mapping.0.weight"].shape[1])
        with building(tensors):
            generator = mobile_from_folded(tensors)
    except ModelError:
        raise
    except Exception as error:  # damaged files can raise nearly anything
        raise ModelError(
            f"{folder} does not hold the compact generator's OpenVINO files ({error})",
            hint="Run: toonify models pull ffhq-mobile.",
        ) from error
    seeded = torch.Generator().manual_seed(0)
    with torch.no_grad():
        z = torch.randn(_AVERAGE_SAMPLES, generator.w_dim, generator=seeded)
        generator.get_buffer("w_avg").copy_(generator.mapping(z).mean(dim=0))
    return generator.eval()


def _constants(folder: Path, network: str) -> Iterator[tuple[str, Tensor]]:
    """(name, float32 value) of each floating-point constant, in graph order."""
    root = ElementTree.parse(folder / f"{network}.xml").getroot()
    data = (folder / f"{network}.bin").read_bytes()
    for layer in root.iter("layer"):
        about = layer.find("data")
        if layer.get("type") != "Const" or about is None:
            continue
        kind = _FLOATS.get(about.get("element_type", ""))
        if kind is None:
            continue
        shape = [int(side) for side in about.get("shape", "").split(",") if side.strip()]
        count = math.prod(shape)
        if min(shape, default=1) < 0 or count > len(data):
            raise ValueError(f"a constant of shape {shape}")
        array = np.frombuffer(data, kind, count=count, offset=int(about.get("offset", 0)))
        yield layer.get("name", ""), torch.from_numpy(array.reshape(shape).astype(np.float32))


def _mapping(folder: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    linear = -1
    for _, value in _constants(folder, MAPPING):
        if value.ndim == 2 and value.numel() > 1:
            linear += 1
            tensors[f"mapping.{linear}.weight"] = value
        elif value.ndim == 1 and value.numel() > 1:
            tensors[f"mapping.{linear}.bias"] = value
    return tensors


def _synthesis(folder: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    modulation = ""  # whose scale comes next
    layer = "conv1"  # whose kernel and noise come next
    for name, value in _constants(folder, SYNTHESIS):
        own = _own_name(name)
        if own.endswith("modulation.weight"):
            tensors[own] = value
            modulation = own.removesuffix(".weight")
        elif own.endswith("modulation.bias"):
            tensors[own] = value.flatten()
        elif value.shape == (1, 1, 1, 1):
            for part in ("weight", "bias"):
                tensors[f"{modulation}.{part}"] *= value.item()
        elif own.endswith(".depthwise"):
            tensors[own] = value.flatten(0, 1)
            layer = own.removesuffix(".depthwise")
        elif own.endswith("_copy"):
            kernel = "pointwise" if value.shape[-1] == 1 else "weight"
            tensors[f"{layer}.{kernel}"] = value
        elif value.ndim == 4 and value.shape[:2] == (1, 1) and value.shape[-1] >= 4:
            tensors[f"{layer}.noise"] = value
        elif own.endswith(".bias"):
            tensors[own] = value.flatten()
        elif own in ("const", "to_img.weight"):
            tensors[own] = value
    return tensors


def _own_name(name: str) -> str:
    """m.layers.3.conv1.conv.weight_dw → blocks.3.conv1.depthwise."""
    name = _RENAMED.get(name, name).removeprefix("m.")
    name = re.sub(r"^layers\.\d+\.to_img\.", "to_img.", name)
    name = re.sub(r"^layers\.", "blocks.", name)
    return name.replace(".conv.", ".").replace(".weight_dw", ".depthwise")
