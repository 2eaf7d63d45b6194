"""The parsing network: sizes, and that exporting changes nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from toonify.models.parsing import ParsingNetwork
from toonify.training.parsing.export import OUTPUTS, export_onnx

TINY = (4, 6, 8, 8, 8)


def tiny() -> ParsingNetwork:
    torch.manual_seed(0)
    network = ParsingNetwork(labels=5, attributes=3, widths=TINY)
    for module in network.modules():  # statistics that folding has to take along
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("height,width", [(64, 64), (64, 96)])
def test_labels_come_at_half_the_size(height: int, width: int) -> None:
    labels, attributes = tiny()(torch.rand(2, 3, height, width))
    assert labels.shape == (2, 5, height // 2, width // 2)
    assert attributes.shape == (2, 3)


def test_opencv_computes_what_torch_does(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    network = tiny()
    export_onnx(network, tmp_path / "tiny.onnx", side=64)
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.onnx"]
    rgb = torch.rand(1, 3, 64, 64)
    run = cv2.dnn.readNetFromONNX(str(tmp_path / "tiny.onnx"))
    run.setInput(rgb.numpy())
    with torch.no_grad():
        wanted = network(rgb)
    for got, want in zip(run.forward(list(OUTPUTS)), wanted, strict=True):
        np.testing.assert_allclose(got, want.numpy(), atol=2e-3)
