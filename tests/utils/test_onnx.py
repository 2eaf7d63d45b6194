"""Models written by hand are what OpenCV reads."""

import cv2
import numpy as np

from toonify.utils.onnx import Graph


def test_a_model_computes_what_its_nodes_say():
    graph = Graph({"x": 2, "y": 3})
    weight = np.random.default_rng(0).normal(size=(3, 2, 1, 1)).astype(np.float32)
    bias = np.float32([0.5, -0.5, 300])
    given = (graph.constant(weight), graph.constant(bias))
    mixed = graph.node("Conv", "x", *given, kernel_shape=[1, 1], pads=[0] * 4, strides=[1, 1])
    out = graph.node("Relu", graph.node("Add", mixed, "y"))
    network = cv2.dnn.readNetFromONNX(np.frombuffer(graph.model([out]), np.uint8))
    for size in ((4, 6), (130, 7)):  # any size
        x, y = (np.random.default_rng(c).normal(size=(1, c, *size)) for c in (2, 3))
        network.setInput(np.float32(x), "x")
        network.setInput(np.float32(y), "y")
        wanted = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], x) + bias[:, None, None] + y
        assert np.allclose(network.forward(), np.maximum(wanted, 0), atol=1e-4)


def test_large_numbers_and_words():
    from toonify.utils.onnx import _varint

    assert _varint(0) == b"\0" and _varint(127) == b"\x7f" and _varint(300) == b"\xac\x02"
