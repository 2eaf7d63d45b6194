"""ONNX models of a few operations, written without the package of that name.

Only what the reader of OpenCV needs: nodes, their attributes and float32 constants, in protobuf's
wire format (https://protobuf.dev/programming-guides/encoding; field numbers as in onnx.proto3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

OPSET = 13
FLOAT = 1  # TensorProto.DataType
Attribute = int | str | Sequence[int]


class Graph:
    """A graph under construction; values go by their names.

    Args:
        inputs: name → channels, of (1, C, H, W) each.

    Examples:
        >>> graph = Graph({"x": 3})
        >>> graph.node("Relu", "x")
        'v0'
        >>> data = graph.model(["v0"])
    """

    def __init__(self, inputs: Mapping[str, int]) -> None:
        self._inputs = dict(inputs)
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def constant(self, values: NDArray[np.float32]) -> str:
        """A float32 array of any shape."""
        name = f"c{len(self._constants)}"
        data = np.ascontiguousarray(values, "<f4")
        dims = b"".join(_number(1, size) for size in data.shape)
        tensor = dims + _number(2, FLOAT) + _text(8, name) + _bytes(9, data.tobytes())
        self._constants.append(tensor)
        return name

    def node(self, operation: str, *inputs: str, **attributes: Attribute) -> str:
        """One operation's result."""
        name = f"v{len(self._nodes)}"
        given = b"".join(_text(1, value) for value in inputs)
        encoded = b"".join(_bytes(5, _attribute(*item)) for item in attributes.items())
        self._nodes.append(given + _text(2, name) + _text(3, name) + _text(4, operation) + encoded)
        return name

    def model(self, outputs: Iterable[str]) -> bytes:
        """The whole model, of any height and width."""
        graph = (
            b"".join(_bytes(1, node) for node in self._nodes)
            + _text(2, "graph")
            + b"".join(_bytes(5, constant) for constant in self._constants)
            + b"".join(_bytes(11, _picture(*item)) for item in self._inputs.items())
            + b"".join(_bytes(12, _picture(name, None)) for name in outputs)
        )
        opset = _text(1, "") + _number(2, OPSET)
        return _number(1, 7) + _bytes(8, opset) + _bytes(7, graph)


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, 3)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    return _text(1, name) + b"".join(_number(8, item) for item in value) + _number(20, 7)


def _picture(name: str, channels: int | None) -> bytes:
    """A value (1, C, H, W)."""
    sides = [
        _number(1, 1),
        _text(2, f"{name}_channels") if channels is None else _number(1, channels),
        *(_text(2, f"{name}_{side}") for side in ("height", "width")),
    ]
    shape = b"".join(_bytes(1, side) for side in sides)
    tensor = _number(1, FLOAT) + _bytes(2, shape)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode("utf-8"))


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
