"""Sketches of many hands, drawn by program over sampled faces.

What a drawer does differs more than any one filter: outlines alone or with shading, thin or bold,
broken or doubled, hair as strands, as an outline or as a black shape. So each sketch mixes two
sources of lines at random: differences of Gaussians of the picture (XDoG, Winnemöller et al., 2012)
and outlines of its labels and of the face mesh.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.faces.celeba import CELEBA
from toonify.faces.types import RGB, Points, f32

TURN, ZOOM, SHIFT = 8.0, 0.12, 0.06  # degrees, share, share of the side: how askew drawings are
# Lines of the face mesh, each drawn or left out
FACE_LINES: tuple[tuple[int, ...], ...] = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133),  # upper lids
    (263, 466, 388, 387, 386, 385, 384, 398, 362),
    (33, 7, 163, 144, 145, 153, 154, 155, 133),  # lower lids
    (263, 249, 390, 373, 374, 380, 381, 382, 362),
    (70, 63, 105, 66, 107),  # brows
    (300, 293, 334, 296, 336),
    (98, 97, 2, 326, 327),  # below the nose
    (48, 64, 98),
    (278, 294, 327),
    (61, 40, 37, 0, 267, 270, 291),  # lips
    (61, 91, 84, 17, 314, 321, 291),
    (61, 78, 81, 13, 311, 308, 291),
    (78, 88, 14, 318, 308),
)
NOSE_SIDES = ((168, 122, 196, 236, 198), (168, 351, 419, 456, 420))
JAW = (
    127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288,
    361, 323, 454, 356,
)  # fmt: skip
IRISES = ((33, 133), (263, 362))  # corners that they lie between
_BODY = tuple(CELEBA.index(part) for part in ("background", "clothes"))
_HAIR, _NOSE = CELEBA.index("hair"), CELEBA.index("nose")
_BROWS = CELEBA.index("left brow"), CELEBA.index("right brow")

Gray = NDArray[np.uint8]


def draw_sketch(
    face: RGB, labels: NDArray[np.uint8], points: Points, random: np.random.Generator
) -> Gray:
    """Dark lines on white, (H, W), over a face (H, W, 3) uint8.

    Args:
        labels: (h, w) of `CELEBA`, of any size.
        points: (468, 2) the face mesh, px of the face.

    Examples:
        >>> sketch = draw_sketch(face, labels, points, np.random.default_rng(0))
    """
    size = face.shape[0]
    large = enlarged(labels, size)
    manner = random.random()  # lines from the picture, from the parts, or from both
    ink = np.zeros((size, size), np.float32)
    if manner < 0.65:
        ink = _filtered(face, random)
        if random.random() < 0.7:
            ink[large == 0] = 0  # nothing behind the person
        if random.random() < 0.3:
            ink[np.isin(large, _BODY)] = 0
    if manner > 0.3:
        ink = np.maximum(ink, _outlined(large, points, random))
    if random.random() < 0.25:  # black hair and brows
        dark = np.isin(large, (_HAIR, *_BROWS)) & (
            cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) < random.uniform(40, 110)
        )
        ink = np.maximum(ink, cv2.GaussianBlur(dark.astype(np.float32), (0, 0), 1.0))
    elif random.random() < 0.3:
        ink = np.maximum(ink, np.isin(large, _BROWS) * np.float32(random.uniform(0.5, 1)))
    if random.random() < 0.3:
        ink = np.maximum(ink, _strokes(large, random))
    return _paper(ink, random)


def enlarged(labels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Labels at `size` px each way, or shrunk to them."""
    return np.asarray(cv2.resize(labels, (size, size), interpolation=cv2.INTER_NEAREST), np.uint8)


def _filtered(face: RGB, random: np.random.Generator) -> NDArray[np.float32]:
    """XDoG of random scale, threshold and hardness, 1 is ink."""
    gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    if random.random() < 0.5:  # as under even light
        gray = gray - cv2.GaussianBlur(gray, (0, 0), 24) + 0.5
    sigma = random.uniform(0.7, 2.2)
    fine = cv2.GaussianBlur(gray, (0, 0), sigma)
    edge = fine - random.uniform(0.95, 1.0) * cv2.GaussianBlur(gray, (0, 0), 1.6 * sigma)
    hardness, threshold = random.uniform(25, 120), np.quantile(edge, random.uniform(0.04, 0.16))
    return np.asarray(-np.tanh(np.minimum(hardness * (edge - threshold), 0)), np.float32)


def _outlined(
    labels: NDArray[np.uint8], points: Points, random: np.random.Generator
) -> NDArray[np.float32]:
    """Outlines of parts and lines of the face mesh, each left out now and then."""
    size = labels.shape[0]
    ink = np.zeros((size, size), np.uint8)
    width = int(random.integers(1, 4))
    smooth = random.uniform(1.0, 2.5)
    for label in np.unique(labels):
        if label == 0 or random.random() < (0.5 if label == _NOSE else 0.12):
            continue
        soft = cv2.GaussianBlur((labels == label).astype(np.float32), (0, 0), smooth)
        outlines, _ = cv2.findContours(
            (soft > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(ink, [o for o in outlines if len(o) > 12], -1, 255, width, cv2.LINE_AA)
    ink[[0, 1, -2, -1]] = 0  # pictures end there, parts don't
    ink[:, [0, 1, -2, -1]] = 0
    moved = points + random.normal(0, 0.6, points.shape)
    lines: list[tuple[int, ...]] = [line for line in FACE_LINES if random.random() < 0.8]
    if random.random() < 0.5:
        lines.append(NOSE_SIDES[int(random.integers(2))])
    if random.random() < 0.4:
        lines.append(JAW)
    for line in lines:
        path = np.round(moved[list(line)] * 16).astype(np.int32)
        cv2.polylines(ink, [path], False, 255, width, cv2.LINE_AA, 4)
    if random.random() < 0.7:
        for one, other in IRISES:
            center, reach = moved[[one, other]].mean(0), np.linalg.norm(moved[one] - moved[other])
            at = (round(float(center[0]) * 16), round(float(center[1]) * 16))
            radius = round(float(reach) * random.uniform(0.1, 0.2) * 16)
            filled = -1 if random.random() < 0.6 else 1
            cv2.circle(ink, at, radius, 255, filled, cv2.LINE_AA, 4)
    return f32(ink) / np.float32(255)


def _strokes(labels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.float32]:
    """Hatching of the clothes, the hair or the background."""
    size = labels.shape[0]
    ink = np.zeros((size, size), np.uint8)
    part = random.choice([0, _HAIR, _BODY[1]])
    angle, gap = random.uniform(0, np.pi), int(random.integers(6, 20))
    along = np.array([np.cos(angle), np.sin(angle)]) * size * 1.5
    across = np.array([-np.sin(angle), np.cos(angle)])
    for step in range(-size, size, gap):
        middle = np.array([size / 2, size / 2]) + across * (step + random.normal(0, gap / 6))
        ends = [tuple(int(v) for v in np.round(middle + side * along)) for side in (-1, 1)]
        cv2.line(ink, ends[0], ends[1], 255, int(random.integers(1, 3)), cv2.LINE_AA)
    ink[labels != part] = 0
    return f32(ink) / np.float32(255)


def _paper(ink: NDArray[np.float32], random: np.random.Generator) -> Gray:
    """Ink on paper: thinned, spread or broken, pale or black, on shaded paper."""
    kind = random.random()
    if kind < 0.15:
        ink = f32(cv2.dilate(ink, np.ones((2, 2), np.uint8)))
    elif kind < 0.25:
        ink = f32(cv2.GaussianBlur(ink, (0, 0), random.uniform(0.6, 1.6)))
    if random.random() < 0.3:  # broken lines
        holes = f32(cv2.resize(f32(random.random((24, 24))), ink.shape[::-1]))
        ink = ink * np.clip((holes - 0.25) * 8, 0, 1)
    paper = np.ones_like(ink)
    if random.random() < 0.2:
        shade = random.uniform(0.8, 1, (2, 2)).astype(np.float32)
        paper = f32(cv2.resize(shade, ink.shape[::-1]))
        paper = paper + random.normal(0, 0.02, ink.shape).astype(np.float32)
    drawn = paper * (1 - ink * random.uniform(0.6, 1))
    return np.clip(np.rint(255 * drawn), 0, 255).astype(np.uint8)


def coarsened(labels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Labels (H, W) as people paint them: rounder, now and then without nose, brows or ears."""
    painted = labels.copy()
    if random.random() < 0.5:
        painted = np.asarray(cv2.medianBlur(painted, int(random.choice([3, 5]))), np.uint8)
    for part, instead in (
        ("nose", "skin"), ("left brow", "skin"), ("right brow", "skin"), ("left ear", "hair"),
        ("right ear", "hair"), ("clothes", "background"), ("neck", "background"),
    ):  # fmt: skip
        if random.random() < 0.05:
            painted[painted == CELEBA.index(part)] = CELEBA.index(instead)
    return np.asarray(painted, np.uint8)


def askew(size: int, random: np.random.Generator) -> NDArray[np.float64]:
    """(2, 3) that moves a drawing of `size` px within its frame, as drawings aren't aligned."""
    zoom = float(np.exp(random.normal(0, ZOOM / 2)))
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), random.normal(0, TURN / 2), zoom)
    shift = random.normal(0, SHIFT / 2, (2, 1)) * size
    return np.asarray(matrix, np.float64) + np.hstack([np.zeros((2, 2)), shift])
