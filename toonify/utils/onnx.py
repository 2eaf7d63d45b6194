"""ONNX models of a few operations, written, and their weights read, without the package of that
name.

Only what the reader of OpenCV needs is written: nodes, their attributes and float32 constants, in
protobuf's wire format (https://protobuf.dev/programming-guides/encoding; field numbers as in
onnx.proto3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

OPSET = 13
FLOAT, HALF = 1, 10  # TensorProto.DataType
Array = NDArray[np.float32]
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


def read_convolutions(data: bytes) -> list[tuple[Array, Array]]:
    """Weights (O, I, h, w) and biases (O,) of a model's convolutions, float32, in their order.

    Raises:
        ValueError: it is no such model, or one of its convolutions has no constant weights.
    """
    try:
        (graph,) = [value for field, value in _fields(data) if field == 7]
        parts = list(_fields(_part(graph)))
        constants = dict(_tensor(_part(value)) for field, value in parts if field == 5)
        nodes = [list(_fields(_part(value))) for field, value in parts if field == 1]
    except (IndexError, UnicodeDecodeError, TypeError) as error:
        raise ValueError("no ONNX model") from error
    found = []
    for node in nodes:
        inputs = [_part(value).decode() for field, value in node if field == 1]
        outputs = [_part(value).decode() for field, value in node if field == 2]
        operation = b"".join(_part(value) for field, value in node if field == 4)
        if operation == b"Identity" and inputs[0] in constants:  # equal ones are stored once
            constants[outputs[0]] = constants[inputs[0]]
        if operation == b"Conv":
            if len(inputs) != 3 or not constants.keys() >= set(inputs[1:]):
                raise ValueError("a convolution without constant weights")
            found.append((constants[inputs[1]], constants[inputs[2]]))
    return found


def _part(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise TypeError("a number where bytes belong")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """A message's fields: numbers, and values of a length of their own."""
    at = 0
    while at < len(data):
        key, at = _number_at(data, at)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _number_at(data, at)
            yield field, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None and kind == 2:
            size, at = _number_at(data, at)
        if size is None or at + size > len(data):
            raise ValueError("no ONNX model")
        yield field, data[at : at + size]
        at += size


def _number_at(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("no ONNX model")


def _tensor(data: bytes) -> tuple[str, Array]:
    """Name and values of a constant in float32 or float16."""
    shape: list[int] = []
    name, kind, raw = "", FLOAT, b""
    for field, value in _fields(data):
        if field == 1:
            shape += [value] if isinstance(value, int) else _numbers(value)
        elif field == 2 and isinstance(value, int):
            kind = value
        elif field == 8:
            name = _part(value).decode()
        elif field in (4, 9):  # single floats, or all of them as they lie in memory
            raw += _part(value)
    if kind not in (FLOAT, HALF):
        return name, np.zeros(0, np.float32)
    values = np.frombuffer(raw, "<f4" if kind == FLOAT else "<f2").astype(np.float32)
    if values.size != math.prod(shape):
        raise ValueError(f"the constant {name} is not whole")
    return name, values.reshape(shape)


def _numbers(data: bytes) -> list[int]:
    """Packed ones."""
    found, at = [], 0
    while at < len(data):
        number, at = _number_at(data, at)
        found.append(number)
    return found
