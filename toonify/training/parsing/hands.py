"""Hands, microphones, cups, telephones and face masks before a face, with exact masks."""

from __future__ import annotations

import math

import cv2
import numpy as np

from toonify.faces.parsing import LABELS
from toonify.faces.types import RGB, Points, f32
from toonify.training.parsing.fabric import fabric, put, rounded

HAND, CLOTHES, OBJECT = (LABELS.index(name) for name in ("hand", "clothes", "object"))
MASK_OUTLINE = (
    6, 122, 118, 123, 137, 177, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397,
    401, 366, 352, 347, 351,
)  # fmt: skip


def draw_hand(
    rgb: RGB, points3d: Points, labels: np.ndarray, source: RGB, rng: np.random.Generator
) -> tuple[RGB, np.ndarray]:
    """A hand at the face (S, S, 3) → picture and new labels (S, S) uint8."""
    side = rgb.shape[0]
    points = points3d[:, :2]
    size = float(np.linalg.norm(points3d[454] - points3d[234]))
    # fingers point to somewhere of the face, the arm comes from below or beside
    goal = points[int(rng.choice([152, 0, 50, 280, 127, 356, 172, 397, 10, 1]))]
    goal = goal + rng.normal(0, 0.12, 2) * size
    angle = rng.normal(0, 0.75) + (math.pi if rng.random() < 0.06 else 0)
    toward = np.array([math.sin(angle), -math.cos(angle)])
    across = np.array([-toward[1], toward[0]]) * rng.choice([-1, 1])
    palm = goal - toward * size * rng.uniform(0.15, 0.6)
    scale = size * rng.uniform(0.38, 0.55)
    skin = labels == LABELS.index("skin")
    tone = np.median(rgb[skin], axis=0) if skin.sum() > 50 else np.array([170, 125, 105])
    tone = f32(tone * rng.uniform(0.8, 1.25) + rng.normal(0, 6, 3))
    limbs: list[tuple[np.ndarray, np.ndarray]] = []
    fist = rng.random() < 0.3
    spread = rng.uniform(0.0, 0.22)
    for number in range(4):
        offset = (number - 1.5) / 1.5
        start = palm + toward * scale * (0.42 - 0.06 * offset**2) + across * scale * 0.4 * offset
        length = scale * (0.95 - 0.14 * abs(offset - 0.3)) * (rng.uniform(0.3, 0.5) if fist else 1)
        lean = offset * spread + rng.normal(0, 0.04)
        curl = rng.normal(0, 0.2)
        joints = [start]
        for joint in range(3):
            way = toward * math.cos(lean + curl * joint) + across * math.sin(lean + curl * joint)
            joints.append(joints[-1] + way * length * (0.42, 0.32, 0.26)[joint])
        limbs.append((np.array(joints), scale * np.array([0.27, 0.25, 0.23, 0.19])))
    lean = rng.uniform(0.4, 1.2)
    way = toward * math.cos(lean) - across * math.sin(lean)
    start = palm - across * scale * 0.36 - toward * scale * 0.15
    thumb = np.array(
        [start, start + way * scale * 0.4, start + (way + toward * 0.4) * scale * 0.62]
    )
    limbs.append((thumb, scale * np.array([0.33, 0.28, 0.22])))
    wrist = palm - toward * scale * 0.55
    bend = rng.normal(0, 0.35)
    back = -toward * math.cos(bend) + across * math.sin(bend)
    arm = np.array([wrist, wrist + back * scale * 1.2, wrist + back * side])
    hand = np.zeros((side, side), np.float32)
    colors = np.zeros((side, side, 3), np.float32) + tone
    forearm = _limb(side, arm, scale * np.array([0.62, 0.72, 0.95]))
    shade = _body(forearm, scale * 0.4)
    for at in np.linspace(-0.35, 0.35, 4):
        part = _limb(
            side,
            np.array(
                [
                    wrist + across * scale * at * 0.8,
                    palm + toward * scale * 0.4 + across * scale * at,
                ]
            ),
            scale * np.array([0.4, 0.36]),
        )
        hand = np.maximum(hand, part)
    shade = np.where(hand > 0.5, _body(hand, scale * 0.4), shade)
    hand = np.maximum(hand, forearm)
    for line, widths in limbs:  # each before the last, with its own edge
        part = _limb(side, line, widths)
        edge = np.clip(cv2.GaussianBlur(part, (0, 0), 1.2) - part, 0, 1)
        shade = shade * (1 - rng.uniform(0.3, 0.9) * edge)
        shade = np.where(part > 0.5, _body(part, float(widths[0]) / 2), shade)
        hand = np.maximum(hand, part)
        if rng.random() < 0.4:  # a nail
            cv2.circle(
                colors,
                _px(line[-1]),
                max(int(widths[-1] * 0.3), 1),
                (tone * 1.12 + 12).tolist(),
                -1,
            )
    noise = cv2.resize(
        f32(rng.normal(1, 0.035, (48, 48))), (side, side), interpolation=cv2.INTER_CUBIC
    )
    red = np.clip(shade, 0.3, 1.1)[..., None] ** f32([0.75, 1.0, 1.1])
    colors = cv2.GaussianBlur(colors, (0, 0), 0.8) * red * noise[..., None]
    out = put(f32(rgb), hand, f32(np.clip(colors, 0, 255)), rng, shadow=rng.uniform(0.15, 0.6))
    names = np.where(hand > 0.5, HAND, labels).astype(np.uint8)
    if rng.random() < 0.6:  # a sleeve
        cuff = wrist + back * scale * rng.uniform(0.0, 1.0)
        sleeve = _limb(side, np.array([cuff, wrist + back * side]), scale * np.array([0.85, 1.4]))
        y, x = np.mgrid[:side, :side].astype(np.float32)
        sleeve = f32(sleeve * ((np.dstack([x, y]) - f32(cuff)) @ f32(back) > 0))
        stuff = fabric(side, source, rng) * rounded(sleeve, rng, reach=scale * 0.4)[..., None]
        out = put(out, sleeve, f32(np.clip(stuff, 0, 255)), rng, shadow=0.2)
        names[sleeve > 0.5] = CLOTHES
    return np.clip(np.rint(out), 0, 255).astype(np.uint8), names


def draw_object(
    rgb: RGB, points3d: Points, labels: np.ndarray, source: RGB, rng: np.random.Generator
) -> tuple[RGB, np.ndarray]:
    """A thing before the face, at times held by a hand → picture and new labels (S, S) uint8."""
    side = rgb.shape[0]
    points = points3d[:, :2]
    size = float(np.linalg.norm(points3d[454] - points3d[234]))
    kind = rng.random()
    shape = f32(np.zeros((side, side)))
    reach = 0.1 * size
    tip, way, ball = points[13], np.array([0.0, 1.0]), 0.16 * size
    if kind < 0.35:  # a microphone
        tip = points[int(rng.choice([13, 17, 152, 61, 291]))] + rng.normal(0, 0.12, 2) * size
        angle = rng.normal(0, 0.7)
        way = np.array([math.sin(angle), math.cos(angle)])
        ball = size * rng.uniform(0.13, 0.2)
        shape = _limb(side, np.array([tip, tip + way * ball * 0.5]), np.array([2.0, 2.0]) * ball)
        handle = np.array([tip + way * ball, tip + way * side])
        shape = np.maximum(shape, _limb(side, handle, ball * np.array([1.5, 1.0])))
        reach = ball
    elif kind < 0.7:  # a telephone, a book, a plate
        center = points[int(rng.choice([152, 50, 280, 234, 454, 13]))]
        center = center + rng.normal(0, 0.25, 2) * size
        half = size * np.array([rng.uniform(0.12, 0.45), rng.uniform(0.2, 0.6)])
        box = (
            (float(center[0]), float(center[1])),
            (2 * half[0], 2 * half[1]),
            rng.uniform(-60, 60),
        )
        layer = np.zeros((side, side), np.uint8)
        cv2.fillPoly(layer, [(cv2.boxPoints(box) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        shape = f32(layer / np.float32(255))
    else:  # a surgical mask
        outline = points[list(MASK_OUTLINE)]
        outline = outline.mean(0) + (outline - outline.mean(0)) * rng.uniform(0.92, 1.06)
        layer = np.zeros((side, side), np.uint8)
        cv2.fillPoly(layer, [(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        shape = f32(layer / np.float32(255))
        reach = 0.3 * size
    colors = fabric(side, source, rng, folds=0.2)
    if kind < 0.35 and rng.random() < 0.8:
        y, x = np.mgrid[:side, :side].astype(np.float32)
        pitch = 6.3 / rng.uniform(2.2, 4.5)  # the basket's wires
        wires = np.sin(x * pitch) * np.sin(y * pitch + 0.3)
        metal = f32(rng.uniform(10, 150) + rng.normal(0, 5, 3))
        round_head = _limb(side, np.array([tip, tip + way]), np.array([2.0, 2.0]) * ball)[..., None]
        basket = metal * (1 + 0.4 * wires)[..., None]
        colors = basket * round_head + (1 - round_head) * f32(rng.uniform(5, 60) * np.ones(3))
    if kind >= 0.7 and rng.random() < 0.7:
        white = np.array([[205, 225, 235], [235, 235, 235], [40, 40, 45]])[rng.integers(3)]
        colors = colors * 0 + f32(white)
    colors = colors * rounded(shape, rng, reach=reach)[..., None]
    out = put(f32(rgb), shape, f32(np.clip(colors, 0, 255)), rng, shadow=rng.uniform(0.1, 0.5))
    result = np.clip(np.rint(out), 0, 255).astype(np.uint8)
    return result, np.where(shape > 0.5, OBJECT, labels).astype(np.uint8)


def _limb(side: int, line: np.ndarray, widths: np.ndarray) -> Points:
    """A tapered, rounded stroke (S, S) in 0..1 through the points (n, 2) with widths (n,)."""
    mask = np.zeros((side, side), np.uint8)
    steps = np.linspace(0, len(line) - 1, 8 * len(line))
    at = np.stack([np.interp(steps, range(len(line)), line[:, i]) for i in (0, 1)], 1)
    wide = np.interp(steps, range(len(line)), widths)
    for here, after, a, b in zip(at, at[1:], wide, wide[1:], strict=False):
        if np.abs(here).max() > 4 * side or np.abs(after).max() > 4 * side:
            continue
        way = after - here
        normal = np.array([-way[1], way[0]]) / max(float(np.linalg.norm(way)), 1e-6) / 2
        quad = np.array(
            [here + normal * a, after + normal * b, after - normal * b, here - normal * a]
        )
        cv2.fillConvexPoly(mask, np.round(quad * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
        cv2.circle(mask, _px(here * 16), int(a * 8), 255, -1, cv2.LINE_AA, 4)
    cv2.circle(mask, _px(at[-1] * 16), int(wide[-1] * 8), 255, -1, cv2.LINE_AA, 4)
    return f32(mask / np.float32(255))


def _body(mask: Points, radius: float) -> Points:
    """Shading of something round: 1 in the middle, darker at its borders."""
    distance = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    return f32(0.78 + 0.27 * np.sqrt(np.clip(distance / max(radius, 1), 0, 1)))


def _px(point: np.ndarray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
