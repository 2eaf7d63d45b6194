"""People on a canvas larger than their crop: what it cuts off is made up."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from toonify.faces.person import fill_from
from toonify.faces.types import RGB, Points, f32
from toonify.training.styleganex.cutouts import Cutout, CutoutSet
from toonify.training.styleganex.pixels import mix, u8
from toonify.training.styleganex.scenery import Look, scrambled
from toonify.utils.ramps import smoothstep

# The canvas around a crop, in crop sides
LEFT, TOP, RIGHT, BOTTOM = -0.6, -0.5, 1.6, 2.2
KEEP = 0.08  # over this height, in crop sides, the photographed body comes in below the chin


@dataclass(frozen=True, eq=False)
class Body:
    """A person on the canvas, with its opacity: as photographed, and without hair for the drawing
    to lie on."""

    seen: RGB
    opacity: Points
    bare: RGB
    bare_opacity: Points


def make_body(person: Cutout, look: Look, cutouts: CutoutSet, rng: np.random.Generator) -> Body:
    """The crop, and below it a body of some stuff, with long hair before it."""
    face, hair = look(person.face), f32(f32(person.hair) / 255)
    side = face.shape[0]
    top, _, left, _ = canvas_pads(side)
    rows = (np.arange(side) + 0.5) / side
    # below the chin, what hair hides is like what it leaves to be seen
    low = rows > person.chin - 0.12
    sure = f32((person.matte > 200) & (hair < 0.1) & low[:, None])
    bare = fill_from(face, sure) if sure.mean() > 0.004 else look(_cloth(cutouts, rng))
    bare = u8(mix(f32(face), f32(bare), f32(hair * low[:, None])[..., None]))
    matte = f32(f32(person.matte) / 255)
    bare_matte = matte.copy()
    shoulders = np.flatnonzero((matte[-1] > 0.5) & (hair[-1] < 0.5))
    if (hair[-1] > 0.5).mean() > 0.04:  # hair beside the shoulders is no body
        reach = round(0.06 * side)
        first, last = round(0.18 * side), round(0.82 * side)  # where hair hides them
        if len(shoulders) > 0.3 * side:
            first, last = max(shoulders[0] - reach, 0), shoulders[-1] + reach + 1
        outside = np.ones(side, bool)
        outside[first:last] = False
        gone = f32(cv2.GaussianBlur(f32(outside), (1, 0), side / 60).reshape(1, -1))
        bare_matte = f32(bare_matte * (1 - gone * (hair > 0.3)))
    seen_canvas, opacity = _canvas(face, matte)
    bare_canvas, bare_opacity = _canvas(bare, bare_matte)
    _dome(seen_canvas, opacity, top, rng.uniform(0.02, 0.16) * side)
    start = top + side - 1
    _widen(bare_canvas, bare_opacity, start, side, rng.uniform(0.2, 0.9))
    below = np.arange(len(bare_opacity) - start, dtype=np.float32)
    size = (bare_canvas.shape[1], len(below))
    stuff = cv2.resize(look(_cloth(cutouts, rng)), size, interpolation=cv2.INTER_LINEAR)
    share = np.clip(below / side / 0.12, 0, 1)[:, None, None] * rng.uniform(0.3, 1.0)
    bare_canvas[start:] = u8(mix(f32(bare_canvas[start:]), f32(stuff), share))
    # photographed: the same below the crop, and the hair that reaches the crop's end goes on
    seen_canvas[start + 1 :] = bare_canvas[start + 1 :]
    opacity[start + 1 :] = bare_opacity[start + 1 :]
    long = hair[-max(2, side // 40) :].mean(0)
    if (long > 0.5).mean() > 0.04:
        _hang(seen_canvas, opacity, face, long, start, left, rng)
    return Body(seen_canvas, opacity, bare_canvas, bare_opacity)


def _canvas(picture: RGB, matte: Points) -> tuple[RGB, Points]:
    """Both with room around them: replicated, but nothing above, and beside it only shoulders."""
    side = picture.shape[0]
    top, bottom, left, right = canvas_pads(side)
    whole = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_REPLICATE)
    opacity = f32(cv2.copyMakeBorder(matte, top, bottom, left, right, cv2.BORDER_REPLICATE))
    opacity[:top] = 0
    rows = (np.arange(len(opacity)) - top) / side
    aside = np.clip((rows - 0.7) / 0.15, 0, 1)[:, None]
    opacity[:, :left] *= aside
    opacity[:, -right:] *= aside
    return u8(whole), opacity


def _widen(picture: RGB, opacity: np.ndarray, start: int, side: int, slope: float) -> None:
    """Below the row `start` shoulders become wider."""
    below = np.arange(len(opacity) - start, dtype=np.float32)
    x = np.arange(opacity.shape[1], dtype=np.float32)
    center = opacity.shape[1] / 2
    across = center + (x[None] - center) / (1 + slope * below / side)[:, None]
    row = np.full_like(across, start)
    opacity[start:] = cv2.remap(opacity, f32(across), row, cv2.INTER_LINEAR)
    picture[start:] = cv2.remap(picture, f32(across), row, cv2.INTER_LINEAR)


def _hang(
    picture: RGB,
    opacity: np.ndarray,
    face: RGB,
    long: Points,
    start: int,
    left: int,
    rng: np.random.Generator,
) -> None:
    """Hair that goes on below the crop: what is above its end, mirrored, fading out."""
    side = face.shape[0]
    length = rng.uniform(0.05, 0.9) * side
    rows = min(len(picture) - start - 1, int(length * 1.3) + 1)
    below = np.arange(1, rows + 1, dtype=np.float32)
    bend = rng.uniform(-0.12, 0.12) * below + side * 0.015 * np.sin(below / side * 9)
    x = np.arange(side, dtype=np.float32)
    across = x[None] - bend[:, None]
    mirrored = np.abs((side - 1 - below) % (2 * side * 0.3) - side * 0.3) + side * 0.69
    row = np.repeat(f32(np.clip(mirrored, 0, side - 1))[:, None], side, axis=1)
    strands = f32(cv2.remap(face, f32(across), row, cv2.INTER_LINEAR))
    there = f32(cv2.remap(f32(long[None]), f32(across), np.zeros_like(row), cv2.INTER_LINEAR))
    ends = np.clip((length - below) / (0.25 * side), 0, 1)[:, None]
    share = f32(np.clip(1.6 * there * ends, 0, 1))
    part = np.s_[start + 1 : start + 1 + rows, left : left + side]
    picture[part] = u8(mix(f32(picture[part]), strands, share[..., None]))
    opacity[part] = np.maximum(opacity[part], share)


def _cloth(cutouts: CutoutSet, rng: np.random.Generator) -> RGB:
    """Some stuff."""
    if rng.random() < 0.6:
        return cutouts.background(int(rng.integers(1 << 30)))
    return scrambled(cutouts, rng)


def _dome(picture: RGB, opacity: np.ndarray, top: int, height: float) -> None:
    """Hair that the crop cuts off at its `top` row goes on above it, rounded."""
    x = np.arange(opacity.shape[1], dtype=np.float32)
    inside = np.flatnonzero(opacity[top] > 0.5)
    if not len(inside):
        opacity[:top] = 0
        return
    middle = float(inside.mean())
    above = (top - np.arange(top, dtype=np.float32)) / height
    narrow = np.sqrt(np.clip(1 - above**2, 1e-4, 1))
    across = middle + (x[None] - middle) / narrow[:, None]
    row = np.full_like(across, top)
    opacity[:top] = cv2.remap(opacity, f32(across), row, cv2.INTER_LINEAR)
    opacity[:top] *= (above < 1)[:, None]
    picture[:top] = cv2.remap(picture, f32(across), row, cv2.INTER_LINEAR)


def kept(person: Cutout) -> Points:
    """Where on the canvas the photographed body stays: 1 below the chin."""
    side = person.face.shape[0]
    top, bottom, left, right = canvas_pads(side)
    height, width = top + side + bottom, left + side + right
    rows = (np.arange(height) - top + 0.5) / side
    return f32(np.repeat(smoothstep(f32((rows - person.chin) / KEEP))[:, None], width, axis=1))


def inside_crop(person: Cutout) -> Points:
    """1 within the crop, softly 0 outside, on the canvas."""
    side = person.face.shape[0]
    edge = np.minimum(np.arange(side) + 0.5, side - np.arange(side) - 0.5) / (0.06 * side)
    ramp = smoothstep(f32(edge))
    square = np.outer(ramp, ramp)
    top, bottom, left, right = canvas_pads(side)
    constant = cv2.BORDER_CONSTANT
    return f32(cv2.copyMakeBorder(f32(square), top, bottom, left, right, constant, value=0))


def canvas_pads(side: int) -> tuple[int, int, int, int]:
    """Pixels of the canvas above, below, left and right of the crop."""
    above, below, left, right = (
        round(side * share) for share in (-TOP, BOTTOM - 1, -LEFT, RIGHT - 1)
    )
    return above, below, left, right
