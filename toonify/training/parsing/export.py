"""The parsing network as an ONNX file for OpenCV."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

from toonify.models.parsing import ParsingNetwork

OUTPUTS = ("labels", "attributes")
_LARGE = 1000  # numbers; below, weights stay float32


def export_onnx(network: ParsingNetwork, path: Path, *, side: int = 256) -> None:
    """Write the network for pictures of `side` px; large weights as float16.

    Raises:
        ImportError: the package `onnx` is not installed (`pip install toonify-toolkit[train]`).
    """
    import onnx
    from onnx import numpy_helper

    temporary = path.with_name(f".{path.name}.tmp")
    network = network.eval().cpu().float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # the exporter built on torch.export writes operators that OpenCV 4.10 does not know
        torch.onnx.export(
            network,
            (torch.rand(1, 3, side, side),),
            str(temporary),
            input_names=["rgb"],
            output_names=list(OUTPUTS),
            opset_version=13,
            dynamo=False,
        )
    model = onnx.load(str(temporary))
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > _LARGE:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))
    onnx.save(model, str(temporary))
    temporary.replace(path)
