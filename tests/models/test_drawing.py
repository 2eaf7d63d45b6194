"""The encoder of sketches and masks: what it takes and gives."""

import numpy as np
import pytest
import torch

from toonify.checkpoints.loading import load_network, save_network
from toonify.errors import ModelError
from toonify.models.encoders.drawing import DrawingEncoder, mask_planes, sketch_planes


def tiny() -> DrawingEncoder:
    torch.manual_seed(0)
    return DrawingEncoder(w_dim=16, features=8, widths=(4, 4, 8, 8, 8)).eval()


def test_drawings_become_w_and_labels_that_files_keep(tmp_path):
    network = tiny()
    drawing = torch.rand(2, 20, 128, 128)
    w, labels = network(drawing)
    assert w.shape == (2, 16) and labels.shape == (2, 19, 32, 32)
    assert network.label(torch.zeros(2, 8, 32, 32)).shape == (2, 19, 64, 64)
    save_network(network, tmp_path / "d.safetensors")
    again = load_network("drawing", tmp_path / "d.safetensors", DrawingEncoder)
    assert torch.equal(again(drawing)[0], w)
    with pytest.raises(ModelError, match="stylemap"):
        load_network("stylemap", tmp_path / "d.safetensors", torch.nn.Module)


def test_pencil_is_as_black_as_pen_and_thin_lines_stay():
    paper = np.full((1024, 1024), 255, np.uint8)
    paper[::64] = paper[1::64] = 0  # a quarter of a row after shrinking
    pen = sketch_planes(paper)
    assert pen.shape == (20, 128, 128) and not pen[1:].any()
    assert pen[0].max() == 1
    pencil = 255 - (255 - paper) // 3
    assert np.abs(sketch_planes(pencil)[0] - pen[0]).max() < 0.1
    assert not sketch_planes(np.full((64, 64), 255, np.uint8)).any()
    assert not sketch_planes(np.full((64, 64), 200, np.uint8)).any()  # gray paper


def test_masks_are_one_hot():
    labels = np.random.default_rng(0).integers(0, 19, (256, 256)).astype(np.uint8)
    planes = mask_planes(labels)
    assert not planes[0].any() and np.array_equal(planes[1:].sum(0), np.ones((128, 128)))
