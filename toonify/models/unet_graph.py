"""The U-Net of `models/unet.py` as two ONNX models, which need no torch: as exact in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from toonify.errors import ModelError
from toonify.models.graph_runtimes import GraphRuntime, prepared
from toonify.utils.onnx import Graph

Array = NDArray[np.float32]


class GraphUNet:
    """Photographs (H, W, 3) float32 in [-1, 1] → drawings of the same size, about [-1, 1].

    Args:
        weights: the state of a `UNet`.
        widths, depths: of the network; see `UNet`.
        runtime: what computes; see `models/graph_runtimes.py`.

    Raises:
        ModelError: weights are missing, too many, or of other shapes.
        UsageError: the runtime isn't available.
    """

    def __init__(
        self,
        weights: Mapping[str, Array],
        *,
        widths: Sequence[int],
        depths: Sequence[int],
        runtime: GraphRuntime = "opencv",
    ) -> None:
        self.widths, self.depths = tuple(widths), tuple(depths)
        wanted = shapes(self.widths, self.depths)
        found = {name: value.shape for name, value in weights.items()}
        if found != wanted:
            wrong = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
            raise ModelError(f"its tensors do not fit its configuration: {', '.join(wrong[:3])}")
        self._context = {name: weights[name] for name in wanted if name.startswith("context.")}
        self._encode = prepared(*self._encoding(weights), runtime)
        self._decode = prepared(*self._decoding(weights), runtime)

    @property
    def stride(self) -> int:
        """What heights and widths are padded to a multiple of."""
        return int(2 ** len(self.widths))

    def __call__(self, photo: Array) -> Array:
        """Draw a photograph."""
        height, width = photo.shape[:2]
        edges = ((0, -height % self.stride), (0, -width % self.stride), (0, 0))
        padded = np.pad(photo, edges, mode="edge")
        rows, columns = padded.shape[0] // 2, padded.shape[1] // 2
        # four neighbors a pixel of half the size, as torch's pixel_unshuffle orders them
        split = padded.reshape(rows, 2, columns, 2, 3).transpose(4, 1, 3, 0, 2)
        planes = np.ascontiguousarray(split, np.float32).reshape(1, 12, rows, columns)
        *levels, deepest = self._encode({"photo": planes})
        levels.append(self._with_context(deepest))
        (drawn,) = self._decode({f"level{number}": level for number, level in enumerate(levels)})
        joined = drawn.reshape(3, 2, 2, rows, columns).transpose(3, 1, 4, 2, 0)
        return joined.reshape(padded.shape)[:height, :width]

    def _with_context(self, x: Array) -> Array:
        """Features (1, C, H, W) with what the whole picture tells."""
        read, write = (
            (self._context[f"context.{layer}.weight"], self._context[f"context.{layer}.bias"])
            for layer in ("read", "write")
        )
        seen = np.maximum(read[0] @ x.mean((0, 2, 3)) + read[1], 0)
        return np.asarray(x + (write[0] @ seen + write[1])[:, None, None], np.float32)

    def _encoding(self, weights: Mapping[str, Array]) -> tuple[bytes, list[str]]:
        """A model, and the names of its outputs."""
        graph = Graph({"photo": 12})
        build = _Layers(graph, weights)
        x = graph.node("Relu", build.convolution("from_rgb", "photo"))
        levels = []
        for level, depth in enumerate(self.depths):
            x = build.blocks(f"encoder.{level}", depth, x)
            if level < len(self.depths) - 1:
                levels.append(x)
                x = graph.node("Relu", build.convolution(f"down.{level}", x, stride=2))
        outputs = [*levels, x]
        return graph.model(outputs), outputs

    def _decoding(self, weights: Mapping[str, Array]) -> tuple[bytes, list[str]]:
        """A model, and the name of its output."""
        graph = Graph({f"level{number}": width for number, width in enumerate(self.widths)})
        build = _Layers(graph, weights)
        last = len(self.widths) - 1
        twice = graph.constant(np.asarray([1, 1, 2, 2], np.float32))
        x = f"level{last}"
        for level in reversed(range(last)):
            x = build.convolution(f"up.{level}", x)
            how = {"mode": "nearest", "nearest_mode": "floor"}
            x = graph.node(
                "Resize", x, "", twice, coordinate_transformation_mode="asymmetric", **how
            )
            x = graph.node("Relu", graph.node("Add", x, f"level{level}"))
            x = build.blocks(f"decoder.{level}", self.depths[level], x)
        outputs = [build.convolution("to_rgb", x)]
        return graph.model(outputs), outputs


class _Layers:
    """Nodes of a graph from the weights of their layers."""

    def __init__(self, graph: Graph, weights: Mapping[str, Array]) -> None:
        self._graph, self._weights = graph, weights

    def convolution(self, layer: str, x: str, *, stride: int = 1) -> str:
        weight = self._weights[f"{layer}.weight"]
        size, side = weight.shape[2], weight.shape[2] // 2
        constants = (
            self._graph.constant(weight),
            self._graph.constant(self._weights[f"{layer}.bias"]),
        )
        return self._graph.node(
            "Conv",
            x,
            *constants,
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[side] * 4,
            dilations=[1, 1],
            group=1,
        )

    def blocks(self, name: str, depth: int, x: str) -> str:
        for block in range(depth):
            inner = self._graph.node("Relu", self.convolution(f"{name}.{block}.conv1", x))
            inner = self.convolution(f"{name}.{block}.conv2", inner)
            x = self._graph.node("Relu", self._graph.node("Add", x, inner))
        return x


def shapes(widths: Sequence[int], depths: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """What a U-Net's state holds: name → shape."""
    layers: dict[str, tuple[int, ...]] = {
        "from_rgb": (widths[0], 12, 3, 3),
        "to_rgb": (12, widths[0], 3, 3),
        "context.read": (widths[-1], widths[-1]),
        "context.write": (widths[-1], widths[-1]),
    }
    for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        deepest = level == len(widths) - 1
        for side in ("encoder",) if deepest else ("encoder", "decoder"):
            for block in range(depth):
                for part in ("conv1", "conv2"):
                    layers[f"{side}.{level}.{block}.{part}"] = (width, width, 3, 3)
        if not deepest:
            layers[f"down.{level}"] = (widths[level + 1], width, 3, 3)
            layers[f"up.{level}"] = (width, widths[level + 1], 1, 1)
    weights = {f"{layer}.weight": shape for layer, shape in layers.items()}
    return weights | {f"{layer}.bias": shape[:1] for layer, shape in layers.items()}
