"""Edits of w+, and pictures of a row of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from toonify.errors import UsageError
from toonify.inversion.frames import RGB
from toonify.utils.atomic import write_bytes, writing
from toonify.utils.marks import stamp

GAP = 4  # white pixels between the pictures of a strip
LABEL = 20  # px of the line above a labeled row


def layer_range(text: str | None, num_ws: int, default: str = "") -> range:
    """Entries of w+ as the command line names them: "4", "0-6" or "8-" (to the last).

    Raises:
        UsageError: not such a range, or outside the generator's.
    """
    given, text = text, str(text or default or "0-")
    first, dash, last = text.partition("-")
    if first.isdigit() and (last.isdigit() or not last):
        start = int(first)
        stop = (int(last) if last else num_ws - 1) if dash else start
        if start <= stop < num_ws:
            return range(start, stop + 1)
    wrong = f"`layers` {text!r} is no range of layers" if given else "`layers` is needed here"
    middle = num_ws // 2
    raise UsageError(wrong, hint=f"Give one within 0-{num_ws - 1}, such as {middle}-.")


def moved(w_plus: Tensor, direction: Tensor, strength: float, layers: range) -> Tensor:
    """w+ (B, L, D) with these entries moved along a direction (D,) or (L, D)."""
    step = strength * direction.to(w_plus).expand(w_plus.shape[1:])
    edited = w_plus.clone()
    edited[:, layers.start : layers.stop] += step[layers.start : layers.stop]
    return edited


def mixed(w_plus: Tensor, other: Tensor, layers: range) -> Tensor:
    """w+ (B, L, D) with these entries of another."""
    edited = w_plus.clone()
    edited[:, layers.start : layers.stop] = other[:, layers.start : layers.stop].to(w_plus)
    return edited


def strip(pictures: Sequence[RGB]) -> RGB:
    """Pictures of one size (H, W, 3) side by side, white between them."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    return np.concatenate(parts, axis=1)


def labeled(picture: RGB, text: str) -> RGB:
    """A picture with a line of black text on white above it."""
    page = Image.new("RGB", (picture.shape[1], picture.shape[0] + LABEL), "white")
    page.paste(Image.fromarray(picture), (0, LABEL))
    ImageDraw.Draw(page).text((4, 3), text, fill="black", font=ImageFont.load_default(13))
    return np.asarray(page, np.uint8)


def write_animation(path: Path, pictures: Sequence[RGB], *, milliseconds: int = 80) -> None:
    """Write a GIF that goes through the pictures and back, for ever; whole or not at all.

    Raises:
        InputError: it can't be written.
    """
    frames = [Image.fromarray(picture) for picture in (*pictures, *pictures[-2:0:-1])]
    data = io.BytesIO()
    frames[0].save(
        data,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=milliseconds,
        loop=0,
    )
    with writing(path, hint="Choose another `output`."):
        write_bytes(path, stamp(data.getvalue(), path.name, {"kind": "picture"}))
