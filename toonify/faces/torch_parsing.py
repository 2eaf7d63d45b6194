"""The parsing network in torch on the processor, for what has loaded torch anyway: half the time
in bfloat16, where the processor has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from toonify.checkpoints.parsing import load_parsing
from toonify.faces.parsing import FILE
from toonify.faces.types import Points


class TorchParsing:
    """What `FaceParser` takes as its network; threads may share it.

    Args:
        weights: the ONNX file; the default bundle's by default.
        dtype: what it computes in.

    Raises:
        ModelError: the file is not there, or is no such network.

    Examples:
        >>> parser = FaceParser(network=TorchParsing(dtype=torch.bfloat16))
    """

    def __init__(self, weights: Path = FILE, *, dtype: torch.dtype = torch.float32) -> None:
        network = load_parsing(weights).to(dtype)
        self._dtype, self._network = dtype, network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, planes: Points) -> tuple[Points, Points]:
        """(1, 3, S, S) in 0..1 → logits of labels (1, 17, S/2, S/2) and of attributes (1, 7)."""
        x = torch.from_numpy(np.ascontiguousarray(planes)).to(self._dtype)
        labels, attributes = self._network(x.contiguous(memory_format=torch.channels_last))
        return labels.float().numpy(), attributes.float().numpy()
