"""Drawings as PDF by ReportLab: the paths of `to_svg` on one page. Takes the extra `pdf`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from toonify.errors import ModelError
from toonify.portrait.backgrounds import Background
from toonify.portrait.paths import Path, fit_shapes
from toonify.portrait.shapes import Drawing, Shape, bounds, raster_mask

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

RGB = NDArray[np.uint8]
POINTS = 0.75  # a px, as in CSS
EVEN_ODD = 0  # ReportLab's FILL_EVEN_ODD


def to_pdf(
    drawing: Drawing,
    *,
    background: Background = "draw",
    photo: RGB | None = None,
    size: tuple[int, int] | None = None,
) -> bytes:
    """A drawing as a PDF document of one page.

    PDF knows no blur: soft shapes are images with an opacity mask, all others are paths.

    Args:
        background, photo, size: as in `to_svg`.

    Raises:
        ModelError: ReportLab is not installed.
        ValueError: "keep" without a photograph, or an unknown background.
    """
    try:
        from reportlab.pdfgen.canvas import Canvas
    except ImportError as error:
        raise ModelError(
            "writing PDF takes ReportLab", hint="Install it: pip install 'toonify-toolkit[pdf]'."
        ) from error
    width, height = drawing.width, drawing.height
    shown = size or (width, height)
    file = io.BytesIO()
    page = Canvas(file, pagesize=(shown[0] * POINTS, shown[1] * POINTS), invariant=1)
    page.translate(0, shown[1] * POINTS)
    page.scale(shown[0] * POINTS / width, -shown[1] * POINTS / height)
    shapes = drawing.shapes
    if background == "draw":
        _ground(page, drawing.ground, width, height)
    else:
        shapes = [shape for shape in shapes if shape.layer == "person"]
        if background == "keep":
            if photo is None:
                raise ValueError("a kept background takes the photograph")
            _image(page, photo, (0, 0, width, height))
        elif not isinstance(background, str):
            _ground(page, np.asarray(background, np.float32) / 255, width, height)
        elif background != "transparent":
            raise ValueError(f"there is no background {background!r}")
        (people,) = fit_shapes([drawing.silhouette])
        page.clipPath(_path(page, people), stroke=0, fill=0, fillMode=EVEN_ODD)
    outlines = fit_shapes([shape.rings for shape in shapes])
    clips = fit_shapes([shape.clip or [] for shape in shapes])
    for shape, outline, clip in zip(shapes, outlines, clips, strict=True):
        page.saveState()
        if shape.clip is not None:
            page.clipPath(_path(page, clip), stroke=0, fill=0, fillMode=EVEN_ODD)
        if shape.blur:
            _soft(page, shape, width, height)
        elif outline:
            page.setFillColorRGB(*_rgb(shape.color), alpha=shape.opacity)
            page.drawPath(_path(page, outline), stroke=0, fill=1, fillMode=EVEN_ODD)
        page.restoreState()
    page.showPage()
    page.save()
    return file.getvalue()


def _ground(page: Canvas, color: ArrayLike, width: int, height: int) -> None:
    page.setFillColorRGB(*_rgb(color))
    page.rect(0, 0, width, height, stroke=0, fill=1)


def _path(page: Canvas, paths: Sequence[Path]) -> Any:
    result = page.beginPath()
    for path in paths:
        # a drawing's px have their centers at integers
        nodes, controls = (path.nodes + 0.5).tolist(), (path.controls + 0.5).tolist()
        result.moveTo(*nodes[0])
        for index, (arms, straight) in enumerate(zip(controls, path.straight, strict=True)):
            end = nodes[(index + 1) % len(nodes)]
            if straight:
                result.lineTo(*end)
            else:
                result.curveTo(*arms[0], *arms[1], *end)
        result.close()
    return result


def _soft(page: Canvas, shape: Shape, width: int, height: int) -> None:
    """A blurred shape, within the page."""
    low_x, low_y, high_x, high_y = (float(v) for v in bounds(shape))
    x0, y0 = max(int(low_x), 0), max(int(low_y), 0)
    x1, y1 = min(int(np.ceil(high_x)) + 1, width), min(int(np.ceil(high_y)) + 1, height)
    if x1 <= x0 or y1 <= y0:
        return
    zoom = 2 if shape.blur < 2 else 1
    margin = int(np.ceil(3 * shape.blur))  # beyond the page there is blurred shape too
    around = (x1 - x0 + 2 * margin, y1 - y0 + 2 * margin)
    origin = np.array([x0 - margin, y0 - margin]) * zoom
    mask = raster_mask(shape.rings, (around[0] * zoom, around[1] * zoom), zoom, origin)
    mask = cv2.GaussianBlur(mask, (0, 0), shape.blur * zoom).astype(np.uint8)
    inner = slice(margin * zoom, -margin * zoom)
    opacity = np.rint(mask[inner, inner] * shape.opacity).astype(np.uint8)
    color = np.rint(np.array(_rgb(shape.color)) * 255).astype(np.uint8)
    picture = np.dstack([np.broadcast_to(color, (*opacity.shape, 3)), opacity])
    _image(page, picture, (x0, y0, x1 - x0, y1 - y0))


def _image(page: Canvas, picture: RGB, box: tuple[int, int, int, int]) -> None:
    from reportlab.lib.utils import ImageReader

    flipped = Image.fromarray(np.ascontiguousarray(picture[::-1]))  # the page's y runs down
    page.drawImage(ImageReader(flipped), *box, mask="auto")


def _rgb(color: ArrayLike) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in np.clip(np.asarray(color, np.float64), 0, 1))
    return red, green, blue
