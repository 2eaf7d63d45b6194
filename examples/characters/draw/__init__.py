"""Cartoon characters drawn by program: six of a cast, any pose, same arguments same pixels.

Examples:
    >>> picture = draw("mina", Pose(yaw=20, smile=0.8))   # (512, 512, 3) uint8 RGB
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .canvas import Array, Canvas
from .cast import CAST, Character
from .face import draw_brow, draw_cheeks, draw_eye, draw_nose
from .head import Head, draw_ears, draw_neck, draw_skin, frame_center, hair_shadow
from .likeness import Likeness, with_likeness
from .mouth import Mouth, draw_mouth
from .pose import EYE_X, EYE_Y, MOUTH_Y, Pose, View, random_pose, similarity

__all__ = ["NAMES", "Likeness", "Pose", "draw", "landmarks", "random_pose"]

Part = Literal["whole", "head", "back"]

NAMES: tuple[str, ...] = tuple(CAST)
NECK_FADE = (0.87, 0.97)  # height of the body where a neck without clothes begins to fade, and ends


def _view(name: str, pose: Pose) -> tuple[Head, View]:
    if name not in CAST:
        raise ValueError(f"no character called {name!r}; the cast is {', '.join(NAMES)}")
    style = CAST[name].style
    return Head(style, pose), View(pose, frame_center(style))


def _landmarks(head: Head, view: View) -> Array:
    style = head.style
    nose = head.surface([[0.0, style.nose_y]])
    nose[:, 2] += style.nose_z
    points = np.concatenate(
        [
            head.surface([[-EYE_X, EYE_Y], [EYE_X, EYE_Y]]),
            nose,
            head.surface(Mouth(head).corners),
        ]
    )
    return view.head(points)


def landmarks(name: str, pose: Pose) -> Array:
    """(5, 2) places in 0..1 of the un-anchored drawing.

    Eye center left and right in the image, nose tip, mouth corner left and right.
    """
    return _landmarks(*_view(name, pose))


def _anchor_points(head: Head, view: View) -> Array:
    return view.head(head.surface([[-EYE_X, EYE_Y], [EYE_X, EYE_Y], [0.0, MOUTH_Y]]))


@lru_cache(maxsize=16)
def _background(name: str, kind: str, size: int) -> NDArray[np.float32]:
    """(size, size, 3) gradient."""
    angle = 0.35
    if kind == "signature":
        top, low = (np.array(c, np.float32) for c in CAST[name].style.back)
    elif kind.startswith("random:") and kind[7:].isdigit():
        rng = np.random.default_rng([77, int(kind[7:])])
        top = rng.uniform(20, 255, 3).astype(np.float32)
        low = top if rng.random() < 0.4 else rng.uniform(20, 255, 3).astype(np.float32)
        angle = float(rng.uniform(0, 2 * np.pi))
    else:
        raise ValueError(f'background is "signature" or "random:SEED" with a number, not {kind!r}')
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size - 0.5
    t = np.clip(0.5 + x * np.sin(angle) + y * np.cos(angle), 0, 1)[..., None]
    t = t * t * (3 - 2 * t)
    return top + (low - top) * t


def draw(
    name: str,
    pose: Pose,
    *,
    size: int = 512,
    background: str = "signature",
    anchors: ArrayLike | None = None,
    with_alpha: bool = False,
    part: Part = "whole",
    likeness: Likeness | None = None,
) -> NDArray[np.uint8]:
    """Draw a character.

    Args:
        name: one of NAMES.
        pose: what the head does.
        size: width and height in pixels.
        background: "signature" (the character's own gradient) or "random:SEED".
        anchors: (3, 2) places in 0..1 for the left eye, the right eye and the mouth's center; the
            whole drawing is moved, turned and scaled to come nearest to them (least squares).
        with_alpha: return RGBA with the background left out.
        part: "head" leaves out clothes and what hangs behind the body, and lets the neck fade out,
            to lie on a photographed body; "back" is the hair behind that body.
        likeness: what of a person is drawn in the character's manner.

    Returns:
        (size, size, 3) uint8 RGB, or (size, size, 4) with straight alpha.

    Raises:
        ValueError: unknown name or background, or anchors of another shape.
    """
    head, view = _view(name, pose)
    character = CAST[name] if likeness is None else with_likeness(name, likeness)
    if likeness is not None:
        head = Head(character.style, pose)
    style = character.style
    matrix = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    if anchors is not None:
        target = np.asarray(anchors, np.float64)
        if target.shape != (3, 2):
            raise ValueError(f"anchors must be (3, 2), not {target.shape}")
        matrix = similarity(_anchor_points(head, view), target)
    factor = 2 if size >= 768 else 3 if size >= 384 else 4
    pixels = size * factor
    view.place(matrix, pixels)
    canvas = Canvas(pixels, pixels * float(np.hypot(*matrix[:, 0])))

    if part != "head":
        character.back(canvas, view, style)
    if part != "back":
        _draw_front(canvas, view, head, character, part)
    small = cv2.resize(canvas.image, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    alpha = small[..., 3:] / 255.0
    if with_alpha:
        color = small[..., :3] / np.maximum(alpha, 1e-6)
        out = np.concatenate([np.minimum(color, 255.0), small[..., 3:]], -1)
        return np.round(out).astype(np.uint8)
    return np.round(small[..., :3] + _background(name, background, size) * (1 - alpha)).astype(
        np.uint8
    )


def _draw_front(canvas: Canvas, view: View, head: Head, character: Character, part: Part) -> None:
    """Everything in front of the hair that hangs behind."""
    style, contour = head.style, head.contour(view)
    hair = character.front(view, style)
    if part == "whole":
        draw_neck(canvas, view, style, contour)
        character.clothes(canvas, view, style)
    else:
        neck = Canvas(canvas.pixels, canvas.unit)
        draw_neck(neck, view, style, contour)
        canvas.lay(neck, view.below(NECK_FADE, canvas.pixels))
    draw_ears(canvas, view, style)
    character.behind(canvas, view, head)
    face = draw_skin(canvas, view, style, contour)
    hair_shadow(canvas, view, style, face, hair.mask(canvas))
    draw_cheeks(canvas, view, head, face)
    character.under(canvas, view, head)
    draw_mouth(canvas, view, head)
    character.over(canvas, view, head)
    draw_nose(canvas, view, head)
    for side in (-1, 1):
        draw_eye(canvas, view, head, side, face)
    hair.render(canvas, view)
    for side in (-1, 1):
        draw_brow(canvas, view, head, side)
    character.extras(canvas, view, head)
