"""Frames put together from cutouts: people anywhere, upright or tilted, of several sizes, before
their own or other backgrounds, now and then with something before their faces."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from toonify.faces.types import RGB, Points, f32
from toonify.training.styleganex.bodies import canvas_pads, inside_crop, kept, make_body
from toonify.training.styleganex.cutouts import RGBA, CutoutSet
from toonify.training.styleganex.pixels import mix, u8
from toonify.training.styleganex.scenery import occluder, other_background, random_look

CROP = 192  # px of a frame, the usual side of a face's FFHQ crop: eyes about 48 px apart


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What frames look like.

    Attributes:
        size: side of a frame, px.
        scale: target px a frame px.
        crop: smallest and largest side of an FFHQ crop within a frame, px, about `CROP`.
        tilt: largest turn in the picture's plane, degrees.
        crowd: share of frames with two people.
        empty: share of those without any.
        elsewhere: share before another background.
        occluded: share with something in front.
    """

    size: int = 224
    scale: int = 2
    crop: tuple[float, float] = (120.0, 270.0)
    tilt: float = 25.0
    crowd: float = 0.12
    empty: float = 0.04
    elsewhere: float = 0.5
    occluded: float = 0.15


@dataclass(frozen=True, eq=False)
class ComposedFrame:
    """A frame before and after.

    Attributes:
        source: (S, S, 3) uint8.
        target: (S·scale, S·scale, 3) uint8, the same with drawn heads.
        drawn: (S·scale, S·scale) 1 where drawings lie, seen or hidden, 0 elsewhere.
        matte: the same where the frame is not to stay: drawn and seen, or somebody's head or hair.
        character: number of the character.
    """

    source: RGB
    target: RGB
    drawn: Points
    matte: Points
    character: int


def compose(
    cutouts: CutoutSet, first: int, others: list[int], scene: Scene, seed: int
) -> ComposedFrame:
    """One frame.

    Args:
        first: number of the drawing.
        others: numbers that a second person, of the same character, may be taken from.
        seed: decides everything else.
    """
    rng = np.random.default_rng(seed)
    side = scene.size * scene.scale
    main = cutouts[first]
    people = [main]
    if rng.random() < scene.empty:
        people = []
    elif others and rng.random() < scene.crowd:
        people.append(cutouts[int(rng.choice(others))])
    places = [_place(rng, scene, number, len(people)) for number in range(len(people))]
    own = len(people) == 1 and rng.random() >= scene.elsewhere
    look = random_look(rng)
    if own:
        clean = _background(look(main.fill), places[0], side)
    else:
        clean = other_background(cutouts, rng, look, side)
    before, after = f32(clean), f32(clean)
    drawn = np.zeros((side, side), np.float32)
    gone = drawn.copy()  # what there was of people above their chins, and their hair
    for person, place in zip(people, places, strict=True):
        body = make_body(person, look, cutouts, rng)
        onto = _from_canvas(place, person.face.shape[0])
        opacity, bare_opacity = body.opacity, f32(body.bare_opacity * kept(person))
        if own:  # the crop as it is, hair by hair
            opacity = np.maximum(opacity, inside_crop(person))
        before = _laid(before, body.seen, opacity, onto)
        if person.back is not None:
            after, _ = _over(after, person.back, person.margin, place)
        after = _laid(after, body.bare, bare_opacity, onto)
        after, share = _over(after, person.head, person.margin, place)
        drawn = np.maximum(drawn, share)
        bald = _inside(f32(np.clip(body.opacity - bare_opacity, 0, 1)), person.face.shape[0])
        gone = np.maximum(gone, cv2.warpAffine(bald, onto, (side, side)))
    seen = drawn
    if places and rng.random() < scene.occluded:
        picture, mask = occluder(cutouts, rng, places[0], side)
        before, after = f32(mix(before, picture, mask)), f32(mix(after, picture, mask))
        seen, gone = f32(drawn * (1 - mask[..., 0])), f32(gone * (1 - mask[..., 0]))
    size = (scene.size, scene.size)
    source = cv2.resize(u8(before), size, interpolation=cv2.INTER_AREA)
    matte = f32(np.maximum(seen, gone))
    return ComposedFrame(_camera(u8(source), rng), u8(after), drawn, matte, main.character)


def _place(rng: np.random.Generator, scene: Scene, number: int, count: int) -> Points:
    """(2, 3): crop, 0..1 across and down, → target px."""
    low, high = np.log(scene.crop)
    crop = float(np.exp(rng.uniform(low, high))) * (0.7 if count > 1 else 1.0)
    angle = np.radians(np.clip(rng.normal(0, 0.4 * scene.tilt), -scene.tilt, scene.tilt))
    reach = 0.3 if crop < scene.size else 0.2
    x, y = 0.5 + rng.uniform(-reach, reach), 0.5 + rng.uniform(-reach, reach)
    if count > 1:
        x = 0.5 + (0.28 if number else -0.28) + rng.uniform(-0.08, 0.08)
    linear = crop * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = scene.size * np.array([x, y]) - linear @ [0.5, 0.5]
    return f32(scene.scale * np.concatenate([linear, shift[:, None]], axis=1))


def _from_canvas(place: Points, side: int) -> Points:
    """(2, 3): canvas px → target px."""
    top, _, left, _ = canvas_pads(side)
    return _then(place, [[1 / side, 0, (0.5 - left) / side], [0, 1 / side, (0.5 - top) / side]])


def _inside(canvas: Points, side: int) -> Points:
    """Without what lies left and right of the crop: shoulders that are no part of the picture."""
    _, _, left, _ = canvas_pads(side)
    canvas[:, :left] = canvas[:, left + side :] = 0
    return canvas


def _then(place: Points, first: ArrayLike) -> Points:
    whole = np.vstack([f32(place), [0, 0, 1]]) @ np.vstack([f32(first), [0, 0, 1]])
    whole[:2, 2] -= 0.5  # pixel centers at integers
    return f32(whole[:2])


def _laid(below: Points, picture: RGB, opacity: Points, onto: Points) -> Points:
    """A canvas laid over a picture."""
    size = (below.shape[1], below.shape[0])
    layer = f32(cv2.warpAffine(picture, onto, size, flags=cv2.INTER_CUBIC))
    return mix(below, layer, f32(cv2.warpAffine(opacity, onto, size))[..., None])


def _over(below: Points, drawing: RGBA, margin: float, place: Points) -> tuple[Points, Points]:
    """A drawing laid over a picture, and where it is."""
    alpha = cv2.merge([drawing[..., 3]] * 3)
    colors = cv2.multiply(np.ascontiguousarray(drawing[..., :3]), alpha, scale=1 / 255)
    whole = np.asarray(cv2.merge([*cv2.split(colors), drawing[..., 3]]), np.uint8)
    return _over_premultiplied(below, whole, margin, place)


def _over_premultiplied(
    below: Points, drawing: RGBA, margin: float, place: Points
) -> tuple[Points, Points]:
    side, k = below.shape[0], (1 + 2 * margin) / drawing.shape[0]
    onto = _then(place, [[k, 0, 0.5 * k - margin], [0, k, 0.5 * k - margin]])
    zoom = float(np.hypot(onto[0, 0], onto[1, 0]))
    if zoom < 0.6:  # averaged first, so that lines don't alias
        small = max(8, round(drawing.shape[0] * zoom * 1.2))
        drawing = np.asarray(cv2.resize(drawing, (small, small), interpolation=cv2.INTER_AREA))
        return _over_premultiplied(below, drawing, margin, place)
    layer = f32(cv2.warpAffine(drawing, onto, (side, side), flags=cv2.INTER_LINEAR))
    share = layer[..., 3:] / 255
    return f32(below * (1 - share) + layer[..., :3]), f32(share[..., 0])


def _background(fill: RGB, place: Points, side: int) -> RGB:
    onto = _then(place, [[1 / fill.shape[1], 0, 0.5 / fill.shape[1]],
                         [0, 1 / fill.shape[0], 0.5 / fill.shape[0]]])  # fmt: skip
    return np.asarray(
        cv2.warpAffine(
            fill, onto, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
    )


def _camera(source: RGB, rng: np.random.Generator) -> RGB:
    """Blur, noise and compression, sometimes."""
    if rng.random() < 0.25:
        source = u8(cv2.GaussianBlur(source, (0, 0), rng.uniform(0.4, 1.3)))
    if rng.random() < 0.4:
        source = u8(source + rng.normal(0, rng.uniform(1, 7), source.shape))
    if rng.random() < 0.35:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 90))]
        _, packed = cv2.imencode(".jpg", source, quality)
        source = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return source
