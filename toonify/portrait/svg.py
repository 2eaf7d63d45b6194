"""Drawings as SVG: a path a shape, in groups by layer."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toonify.media.images import encode_image
from toonify.portrait.backgrounds import Background
from toonify.portrait.paths import Path, fit_shapes
from toonify.portrait.shapes import Drawing, Ring, Shape

RGB = NDArray[np.uint8]


def to_svg(
    drawing: Drawing,
    *,
    background: Background = "draw",
    photo: RGB | None = None,
    size: tuple[int, int] | None = None,
) -> str:
    """A drawing as an SVG document.

    Shapes are paths of cubic Bézier curves with one decimal, in groups whose ids are the layers
    ("background", "person"). Soft shapes carry a blur filter, shapes seen through others a clip
    path.

    Args:
        background: "draw", "keep" (the photograph, embedded), "transparent", or an RGB color.
        photo: (H, W, 3) uint8, for "keep".
        size: (width, height) that it is shown at, px; the drawing's own by default.

    Raises:
        ValueError: "keep" without a photograph, or an unknown background.
    """
    width, height = drawing.width, drawing.height
    shown = size or (width, height)
    shapes = drawing.shapes
    if background == "draw":
        behind = (
            f'<rect id="ground" width="{width}" height="{height}" fill="{_hex(drawing.ground)}"/>'
        )
    else:
        shapes = [shape for shape in shapes if shape.layer == "person"]
        behind = _behind(background, photo, width, height)
    outlines = path_data([shape.rings for shape in shapes])
    definitions = _Definitions(width, height)
    body = []
    names: dict[str, int] = {}
    for layer, members in groupby(
        zip(shapes, outlines, strict=True), key=lambda pair: pair[0].layer
    ):
        names[layer] = names.get(layer, 0) + 1
        name = layer if names[layer] == 1 else f"{layer}-{names[layer]}"
        paths = [_element(shape, outline, definitions) for shape, outline in members if outline]
        body.append("\n".join([f'<g id="{name}">', *paths, "</g>"]))
    if background != "draw":
        through = definitions.clip(drawing.silhouette)
        body = [f'<g id="people" clip-path="url(#{through})">', *body, "</g>"]
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{shown[0]}" height="{shown[1]}"'
            f' viewBox="0 0 {width} {height}" fill-rule="evenodd">',
            *definitions.lines(),
            *([behind] if behind else []),
            *body,
            "</svg>\n",
        ]
    )


def _behind(background: Background, photo: RGB | None, width: int, height: int) -> str:
    if background == "transparent":
        return ""
    if background == "keep":
        if photo is None:
            raise ValueError("a kept background takes the photograph")
        data = base64.b64encode(encode_image(photo, "jpg", quality=92)).decode()
        return (
            f'<image id="photo" width="{width}" height="{height}" preserveAspectRatio="none"'
            f' href="data:image/jpeg;base64,{data}"/>'
        )
    if isinstance(background, str):
        raise ValueError(f"there is no background {background!r}")
    return _rectangle(np.asarray(background, np.float32) / 255, width, height)


def _rectangle(color: ArrayLike, width: int, height: int) -> str:
    return f'<rect id="ground" width="{width}" height="{height}" fill="{_hex(color)}"/>'


class _Definitions:
    """Clip paths and filters; equal ones are written once."""

    def __init__(self, width: int, height: int) -> None:
        self._size = (width, height)
        self._clips: dict[bytes, tuple[str, Sequence[Ring]]] = {}
        self._filters: dict[str, str] = {}  # sigma -> id

    def clip(self, rings: Sequence[Ring]) -> str:
        name = f"clip-{len(self._clips) + 1}"
        return self._clips.setdefault(b"".join(map(bytes, rings)), (name, rings))[0]

    def blur(self, sigma: float) -> str:
        return self._filters.setdefault(_number(max(sigma, 0.1)), f"blur-{len(self._filters) + 1}")

    def lines(self) -> list[str]:
        if not self._clips and not self._filters:
            return []
        lines = ["<defs>"]
        names = [name for name, _ in self._clips.values()]
        outlines = path_data([rings for _, rings in self._clips.values()])
        for name, data in zip(names, outlines, strict=True):
            lines.append(f'<clipPath id="{name}"><path clip-rule="evenodd" d="{data}"/></clipPath>')
        width, height = self._size
        for sigma, name in self._filters.items():
            margin = int(np.ceil(3 * float(sigma))) + 1
            lines.append(
                f'<filter id="{name}" filterUnits="userSpaceOnUse" x="{-margin}" y="{-margin}"'
                f' width="{width + 2 * margin}" height="{height + 2 * margin}"'
                f' color-interpolation-filters="sRGB">'
                f'<feGaussianBlur stdDeviation="{sigma}"/></filter>'
            )
        return [*lines, "</defs>"]


def _element(shape: Shape, data: str, definitions: _Definitions) -> str:
    attributes = [f'fill="{_hex(shape.color)}"']
    if shape.opacity < 0.999:
        attributes.append(f'opacity="{shape.opacity:.3g}"')
    if shape.blur:
        attributes.append(f'filter="url(#{definitions.blur(shape.blur)})"')
    if shape.clip is not None:
        attributes.append(f'clip-path="url(#{definitions.clip(shape.clip)})"')
    return f'<path {" ".join(attributes)} d="{data}"/>'


def path_data(shapes: Sequence[Sequence[Ring]]) -> list[str]:
    """The `d` of an SVG path for each shape's rings (px of a drawing), with one decimal; empty
    where they enclose nothing."""
    return ["".join(_data(path) for path in paths) for paths in fit_shapes(shapes)]


def _data(path: Path) -> str:
    # A drawing's px have their centers at integers, SVG's at halves. Steps are between rounded
    # places, so that nothing adds up.
    nodes = np.rint((path.nodes + 0.5) * 10).astype(int)
    controls = np.rint((path.controls + 0.5) * 10).astype(int)
    parts = ["M" + _pair(nodes[0])]
    before = ""
    for index, (node, arms, straight) in enumerate(
        zip(nodes, controls, path.straight, strict=True)
    ):
        end = nodes[(index + 1) % len(nodes)]
        if straight:
            if index == len(nodes) - 1 or not (end - node).any():
                continue  # z draws the last one
            kind, steps = "l", [end - node]
        else:
            kind, steps = "c", [arms[0] - node, arms[1] - node, end - node]
        text = _joined([_pair(step) for step in steps])
        if kind == before and not text.startswith("-"):
            text = " " + text
        parts.append(text if kind == before else kind + text)
        before = kind
    if len(parts) == 1:
        return ""
    return "".join(parts) + "z"


def _pair(tenths: NDArray[np.int_]) -> str:
    return _joined([_tenths(int(value)) for value in tenths])


def _joined(numbers: Sequence[str]) -> str:
    """Numbers side by side; a minus sign separates as well as a space."""
    return "".join(
        text if index == 0 or text.startswith("-") else " " + text
        for index, text in enumerate(numbers)
    )


def _tenths(value: int) -> str:
    whole, rest = divmod(abs(value), 10)
    sign = "-" if value < 0 else ""
    if not rest:
        return f"{sign}{whole}" if whole else "0"
    return f"{sign}{whole or ''}.{rest}"


def _number(value: float) -> str:
    return _tenths(round(value * 10))


def _hex(color: ArrayLike) -> str:
    red, green, blue = np.rint(np.clip(np.asarray(color, np.float64), 0, 1) * 255).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"
