"""Models written by hand are what OpenCV reads."""

import cv2
import numpy as np
import pytest

from toonify.utils.onnx import Graph, read_convolutions


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


def test_convolutions_are_read_again():
    graph = Graph({"x": 2})
    random = np.random.default_rng(0)
    layers = [
        (random.normal(size=(3, 2, 3, 3)).astype(np.float32), np.float32([1, 2, 3])),
        (random.normal(size=(200, 3, 1, 1)).astype(np.float32), np.zeros(200, np.float32)),
    ]
    x = "x"
    for weight, bias in layers:
        graph.constant(np.ones(5, np.float32))
        given = (graph.constant(weight), graph.constant(bias))
        x = graph.node("Relu", graph.node("Conv", x, *given, kernel_shape=list(weight.shape[2:])))
    data = graph.model([x])
    found = read_convolutions(data)
    for (weight, bias), (read, offset) in zip(layers, found, strict=True):
        np.testing.assert_array_equal(weight, read)
        np.testing.assert_array_equal(bias, offset)


@pytest.mark.parametrize("cut", [1, 7, 40, 200])
def test_what_is_no_model_is_refused(cut):
    graph = Graph({"x": 2})
    given = (graph.constant(np.ones((3, 2, 3, 3), np.float32)), graph.constant(np.ones(3, "f4")))
    data = graph.model([graph.node("Conv", "x", *given, kernel_shape=[3, 3])])
    for damaged in (data[:-cut], data[cut:], bytes(cut), b"\xff" * cut):
        with pytest.raises(ValueError, match=r"model|whole|unpack|convolution"):
            read_convolutions(damaged)
    graph = Graph({"x": 2, "w": 3})
    loose = graph.model([graph.node("Conv", "x", "w", "w", kernel_shape=[3, 3])])
    with pytest.raises(ValueError, match="without constant weights"):
        read_convolutions(loose)
    assert read_convolutions(Graph({"x": 2}).model([])) == []
