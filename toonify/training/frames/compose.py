"""Frames put together from cutouts: people anywhere, upright or tilted, of several sizes, before
their own or other backgrounds, now and then with something before their faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from toonify.faces.types import RGB, Points, f32
from toonify.training.frames.cutouts import RGBA, Cutout, CutoutSet

# The canvas around a crop, in crop sides: what is beyond the crop is made up
LEFT, TOP, RIGHT, BOTTOM = -0.6, -0.5, 1.6, 2.2
Look = Callable[[RGB], RGB]
KEEP = 0.08  # over this height, in crop sides, the photographed body comes in below the chin


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What frames look like.

    Attributes:
        size: side of a frame, px.
        scale: target px a frame px.
        crop: smallest and largest side of an FFHQ crop within a frame, px (256 has the eyes about
            64 px apart).
        tilt: largest turn in the picture's plane, degrees.
        crowd: share of frames with two people.
        empty: share of those without any.
        elsewhere: share before another background.
        occluded: share with something in front.
    """

    size: int = 256
    scale: int = 2
    crop: tuple[float, float] = (150.0, 380.0)
    tilt: float = 25.0
    crowd: float = 0.12
    empty: float = 0.04
    elsewhere: float = 0.5
    occluded: float = 0.15


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame before and after.

    Attributes:
        source: (S, S, 3) uint8.
        target: (S·scale, S·scale, 3) uint8, the same with drawn heads.
        weight: (S·scale, S·scale) 1 where the drawing is, 0 elsewhere.
        character: number of the character.
    """

    source: RGB
    target: RGB
    weight: Points
    character: int


def compose(cutouts: CutoutSet, first: int, others: list[int], scene: Scene, seed: int) -> Frame:
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
    look = _look(rng)
    if own:
        clean = _background(look(main.fill), places[0], side)
    else:
        clean = _other_background(cutouts, rng, look, side)
    before, after = f32(clean), f32(clean)
    drawn = np.zeros((side, side), np.float32)
    for person, place in zip(people, places, strict=True):
        body, opacity = _body(person, look, cutouts, rng)
        onto = _from_canvas(place, person.face.shape[0])
        layer = f32(cv2.warpAffine(body, onto, (side, side), flags=cv2.INTER_CUBIC))
        matte = f32(cv2.warpAffine(opacity, onto, (side, side)))[..., None]
        if own:  # the crop as it is, hair by hair
            inside = cv2.warpAffine(_inside(person), onto, (side, side))[..., None]
            before = f32(_mix(before, layer, np.maximum(matte, inside)))
        else:
            before = f32(_mix(before, layer, matte))
        keep = f32(cv2.warpAffine(_kept(person), onto, (side, side)))[..., None]
        if person.back is not None:
            after, _ = _over(after, person.back, person.margin, place, side)
        after = f32(_mix(after, layer, matte * keep))
        after, share = _over(after, person.head, person.margin, place, side)
        drawn = np.maximum(drawn, share)
    if places and rng.random() < scene.occluded:
        picture, mask = _occluder(cutouts, rng, places[0], side)
        before, after = f32(_mix(before, picture, mask)), f32(_mix(after, picture, mask))
    size = (scene.size, scene.size)
    source = cv2.resize(_u8(before), size, interpolation=cv2.INTER_AREA)
    return Frame(_camera(_u8(source), rng), _u8(after), drawn, main.character)


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


def _look(rng: np.random.Generator) -> Look:
    """Exposure, contrast and colour of a scene, as a function of pictures."""
    gain = np.exp(rng.uniform(-0.18, 0.18, 3) + rng.uniform(-0.35, 0.25))
    gamma = np.exp(rng.uniform(-0.35, 0.35))
    grey = rng.uniform(0, 0.5) if rng.random() < 0.3 else 0.0
    levels = np.linspace(0, 1, 256)[:, None] ** gamma * gain
    table = np.clip(np.rint(levels * 255), 0, 255).astype(np.uint8)[None]

    def look(rgb: RGB) -> RGB:
        seen = cv2.LUT(rgb, table)
        if grey:
            plain = cv2.cvtColor(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            seen = cv2.addWeighted(plain, grey, seen, 1 - grey, 0)
        return np.asarray(seen, np.uint8)

    return look


def _body(
    person: Cutout, look: Look, cutouts: CutoutSet, rng: np.random.Generator
) -> tuple[RGB, Points]:
    """The person on the canvas: the crop, and below it a body of some stuff; with its opacity."""
    face, matte = look(person.face), person.matte
    side = face.shape[0]
    top, bottom, left, right = _pads(side)
    picture = _u8(cv2.copyMakeBorder(face, top, bottom, left, right, cv2.BORDER_REPLICATE))
    opacity = f32(cv2.copyMakeBorder(matte, top, bottom, left, right, cv2.BORDER_REPLICATE))
    opacity = f32(opacity / 255)
    _dome(picture, opacity, top, rng.uniform(0.02, 0.16) * side)
    rows = (np.arange(len(opacity)) - top) / side
    # at the sides only shoulders go on
    aside = np.clip((rows - 0.7) / 0.15, 0, 1)[:, None]
    opacity[:, :left] *= aside
    opacity[:, -right:] *= aside
    # below, shoulders widen and clothes have a pattern
    start = top + side - 1
    below = np.arange(len(opacity) - start, dtype=np.float32)
    x = np.arange(opacity.shape[1], dtype=np.float32)
    centre = opacity.shape[1] / 2
    widen = 1 + rng.uniform(0.2, 0.9) * below / side
    across = centre + (x[None] - centre) / widen[:, None]
    row = np.full_like(across, start)
    opacity[start:] = cv2.remap(opacity, f32(across), f32(row), cv2.INTER_LINEAR)
    picture[start:] = cv2.remap(picture, f32(across), f32(row), cv2.INTER_LINEAR)
    plain = rng.random() < 0.6
    cloth = look(
        cutouts.background(int(rng.integers(1 << 30))) if plain else _scrambled(cutouts, rng)
    )
    stuff = cv2.resize(cloth, (picture.shape[1], len(below)), interpolation=cv2.INTER_LINEAR)
    share = np.clip(below / side / 0.12, 0, 1)[:, None, None] * rng.uniform(0.3, 1.0)
    picture[start:] = _u8(_mix(f32(picture[start:]), f32(stuff), share))
    return _u8(picture), opacity


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


def _kept(person: Cutout) -> Points:
    """Where on the canvas the photographed body stays: 1 below the chin."""
    side = person.face.shape[0]
    height, width = round(side * (BOTTOM - TOP)), round(side * (RIGHT - LEFT))
    rows = (np.arange(height) + 0.5) / side + TOP
    return f32(np.repeat(_smooth((rows - person.chin) / KEEP)[:, None], width, axis=1))


def _inside(person: Cutout) -> Points:
    """1 within the crop, softly 0 outside, on the canvas."""
    side = person.face.shape[0]
    ramp = _smooth(np.minimum(np.arange(side) + 0.5, side - np.arange(side) - 0.5) / (0.06 * side))
    square = np.outer(ramp, ramp)
    top, bottom, left, right = _pads(side)
    constant = cv2.BORDER_CONSTANT
    return f32(cv2.copyMakeBorder(f32(square), top, bottom, left, right, constant, value=0))


def _pads(side: int) -> tuple[int, int, int, int]:
    """Pixels of the canvas above, below, left and right of the crop."""
    above, below, left, right = (
        round(side * share) for share in (-TOP, BOTTOM - 1, -LEFT, RIGHT - 1)
    )
    return above, below, left, right


def _from_canvas(place: Points, side: int) -> Points:
    """(2, 3): canvas px → target px."""
    return _then(place, [[1 / side, 0, LEFT + 0.5 / side], [0, 1 / side, TOP + 0.5 / side]])


def _then(place: Points, first: ArrayLike) -> Points:
    whole = np.vstack([f32(place), [0, 0, 1]]) @ np.vstack([f32(first), [0, 0, 1]])
    whole[:2, 2] -= 0.5  # pixel centres at integers
    return f32(whole[:2])


def _over(
    below: Points, drawing: RGBA, margin: float, place: Points, side: int
) -> tuple[Points, Points]:
    """A drawing laid over a picture, and where it is."""
    k = (1 + 2 * margin) / drawing.shape[0]
    onto = _then(place, [[k, 0, 0.5 * k - margin], [0, k, 0.5 * k - margin]])
    zoom = float(np.hypot(onto[0, 0], onto[1, 0]))
    if zoom < 0.6:  # averaged first, so that lines don't alias
        small = max(8, round(drawing.shape[0] * zoom * 1.2))
        drawing = np.asarray(cv2.resize(drawing, (small, small), interpolation=cv2.INTER_AREA))
        return _over(below, drawing, margin, place, side)
    alpha = cv2.merge([drawing[..., 3]] * 3)
    colours = cv2.multiply(np.ascontiguousarray(drawing[..., :3]), alpha, scale=1 / 255)
    premultiplied = cv2.merge([*cv2.split(colours), drawing[..., 3]])
    layer = f32(cv2.warpAffine(premultiplied, onto, (side, side), flags=cv2.INTER_LINEAR))
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


def _other_background(cutouts: CutoutSet, rng: np.random.Generator, look: Look, side: int) -> RGB:
    """Another crop's background or picture, or things made of lines, patches and noise."""
    kind = rng.random()
    if kind < 0.55:
        number = int(rng.integers(1 << 30))
        picture = cutouts.background(number) if kind < 0.4 else _scrambled(cutouts, rng)
        turned = np.rot90(picture, int(rng.integers(4)))
        picture = look(np.ascontiguousarray(turned[:, :: 1 if rng.random() < 0.5 else -1]))
        zoom = float(np.exp(rng.uniform(0, 1.2)))
        crop = max(16, round(picture.shape[0] / zoom))
        top, left = (int(rng.integers(picture.shape[0] - crop + 1)) for _ in "yx")
        part = picture[top : top + crop, left : left + crop]
        return _u8(cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC))
    return _made_up(rng, side)


def _scrambled(cutouts: CutoutSet, rng: np.random.Generator) -> RGB:
    """Pieces of pictures beside each other: detail of every kind, and no face."""
    picture = cutouts.texture(int(rng.integers(1 << 30)))
    half = picture.shape[0] // 4
    out = np.empty_like(picture)
    for row in range(4):
        for column in range(4):
            other = cutouts.texture(int(rng.integers(1 << 30)))
            y, x = (int(rng.integers(picture.shape[0] - half + 1)) for _ in "yx")
            patch = np.rot90(other[y : y + half, x : x + half], int(rng.integers(4)))
            out[row * half : (row + 1) * half, column * half : (column + 1) * half] = patch
    return out


def _made_up(rng: np.random.Generator, side: int) -> RGB:
    grid = rng.uniform(0, 255, (int(rng.integers(1, 5)), int(rng.integers(1, 5)), 3))
    picture = f32(cv2.resize(f32(grid), (side, side), interpolation=cv2.INTER_CUBIC))
    for octave in range(2, 8):
        channels = 3 if rng.random() < 0.3 else 1
        noise = rng.normal(0, rng.uniform(0, 14), (2**octave, 2**octave, channels))
        noise = np.broadcast_to(noise, (*noise.shape[:2], 3))
        picture += f32(cv2.resize(f32(noise), (side, side), interpolation=cv2.INTER_CUBIC))
    drawn = _u8(picture)
    for _ in range(int(rng.integers(0, 9))):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        a, b = (tuple(int(v) for v in rng.integers(-side // 4, side * 5 // 4, 2)) for _ in "ab")
        if rng.random() < 0.5:
            cv2.line(drawn, a, b, colour, int(rng.integers(1, side // 12)), cv2.LINE_AA)
        else:
            cv2.rectangle(drawn, a, b, colour, -1 if rng.random() < 0.6 else 3)
    return drawn


def _occluder(
    cutouts: CutoutSet, rng: np.random.Generator, place: Points, side: int
) -> tuple[Points, Points]:
    """Something in front of a face: a bar, a ball or a shape with a pattern, and where it is."""
    crop = float(np.hypot(place[0, 0], place[1, 0]))
    at = place[:, :2] @ rng.uniform(0.1, 0.95, 2) + place[:, 2]
    mask = np.zeros((side, side), np.uint8)
    kind = rng.random()
    if kind < 0.4:  # a finger, a microphone, a strap
        angle = rng.uniform(0, 2 * np.pi)
        end = at + crop * rng.uniform(0.4, 1.5) * np.array([np.cos(angle), np.sin(angle)])
        width = max(2, round(crop * rng.uniform(0.03, 0.16)))
        cv2.line(mask, _point(at), _point(end), 255, width, cv2.LINE_AA)
    elif kind < 0.7:
        axes = (crop * rng.uniform(0.05, 0.22, 2)).astype(int) + 1
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(mask, _point(at), (int(axes[0]), int(axes[1])), turn, 0, 360, 255, -1)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
        radii = crop * rng.uniform(0.05, 0.28, 7)
        points = at + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 255, cv2.LINE_AA)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.6, crop * 0.004))
    texture = cutouts.texture(int(rng.integers(1 << 30)))
    part = texture[int(rng.integers(128)) :, int(rng.integers(128)) :][:96, :96]
    picture = f32(cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC))
    return picture, f32(f32(soft)[..., None] / 255)


def _point(at: np.ndarray) -> tuple[int, int]:
    return int(at[0]), int(at[1])


def _camera(source: RGB, rng: np.random.Generator) -> RGB:
    """Blur, noise and compression, sometimes."""
    if rng.random() < 0.25:
        source = _u8(cv2.GaussianBlur(source, (0, 0), rng.uniform(0.4, 1.3)))
    if rng.random() < 0.4:
        source = _u8(source + rng.normal(0, rng.uniform(1, 7), source.shape))
    if rng.random() < 0.35:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 90))]
        _, packed = cv2.imencode(".jpg", source, quality)
        source = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return source


def _mix(below: Points, above: Points, share: ArrayLike) -> Points:
    return f32(below + (above - below) * f32(share))


def _smooth(x: ArrayLike) -> Points:
    y = np.clip(f32(x), 0, 1)
    return f32(y * y * (3 - 2 * y))


def _u8(image: ArrayLike) -> RGB:
    values = np.asarray(image)
    return np.asarray(cv2.add(values, np.zeros(1), dtype=cv2.CV_8U), np.uint8)  # saturates
