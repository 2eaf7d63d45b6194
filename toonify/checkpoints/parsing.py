"""The parsing network from the ONNX file that ships."""

from __future__ import annotations

from pathlib import Path

import torch

from toonify.errors import ModelError
from toonify.models.parsing import ParsingNetwork
from toonify.utils.onnx import read_convolutions


def load_parsing(path: Path) -> ParsingNetwork:
    """A network that gives what the file gives; its norms are folded, so it can't be trained.

    Raises:
        ModelError: the file is not there, or is of another network.
    """
    hint = "Install toonify again."
    if not path.is_file():
        raise ModelError(f"no parsing network at {path}", hint=hint)
    try:
        found = read_convolutions(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"{path} is no parsing network ({error})", hint=hint) from error
    if len(found) < 2:
        raise ModelError(f"{path} is no parsing network", hint=hint)
    labels, attributes = (len(bias) for _, bias in found[-2:])
    network = ParsingNetwork(labels=labels, attributes=attributes).folded()
    layers = network.convolutions()
    if [tuple(layer.weight.shape) for layer in layers] != [weight.shape for weight, _ in found]:
        raise ModelError(f"{path} is another network than this parser", hint=hint)
    with torch.no_grad():
        for layer, (weight, bias) in zip(layers, found, strict=True):
            assert layer.bias is not None
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
    return network.eval()
