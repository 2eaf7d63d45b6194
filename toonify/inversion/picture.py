"""A loss curve as a picture, without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from toonify.inversion.frames import RGB

WIDTH, HEIGHT, MARGIN = 640, 360, 48
INK, LINE, GRID = (40, 40, 40), (30, 100, 200), (220, 220, 220)


def loss_curve(losses: Sequence[float], title: str) -> RGB:
    """(360, 640, 3) uint8: losses over steps, from 0 up."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(12)
    values = np.nan_to_num(np.asarray(losses, dtype=np.float64))
    top = max(float(values.max(initial=0)), 1e-6)
    left, right, low, high = MARGIN, WIDTH - 16, HEIGHT - 32, 32
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = low + (high - low) * share
        draw.line([(left, y), (right, y)], fill=GRID)
        draw.text((4, y - 7), f"{top * share:.3f}", fill=INK, font=font)
    x = np.linspace(left, right, max(len(values), 2))[: len(values)]
    points = list(zip(x.tolist(), (low + (high - low) * values / top).tolist(), strict=True))
    if len(points) > 1:
        draw.line(points, fill=LINE, width=2)
    draw.text((left, 8), title, fill=INK, font=font)
    draw.text((right - 70, low + 8), f"{len(values)} steps", fill=INK, font=font)
    return np.asarray(picture, np.uint8)
