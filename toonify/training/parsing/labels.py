"""Labels (256, 256) of a sampled face: from its activations, its picture, the mesh, a matte.

Parts come from activations at 64×64; colors of what is sure tell what the rest is, and a guided
filter (He et al. 2013) lays the borders on the picture's. Brows, eyes and lips come from the mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.faces.parsing import LABELS
from toonify.faces.types import RGB, Points, f32
from toonify.training.parsing.activations import PARTS

SIDE = 256
IGNORED = 255  # label of pixels that training leaves out
Labels = NDArray[np.uint8]

OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
OUTER_LIPS = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
)  # fmt: skip
INNER_LIPS = (
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95,
)  # fmt: skip
BROWS = (
    (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
)
EYES = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
JAW = (
    234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361,
    323, 454, 425, 326, 2, 97, 205,
)  # fmt: skip
JAW_BORDER = 21  # of these the first lie on the jaw
UPPER_LIP = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 322, 391, 393, 164, 167, 165, 92)

_I = {name: i for i, name in enumerate(LABELS)}
_ORDER = [_I[part] for part in PARTS]
_GROUPS = ((0,), (1,), (2, 3, 4), (5,))  # parts that share colors
_COLORS = (8, 6, 6, 6)  # colors kept of each group


@dataclass(frozen=True)
class Known:
    """What is known of a whole face, by eye or by a classifier.

    Attributes:
        beard: 0 none … 1 full; stubble about 0.3.
        moustache: probability.
        headwear: whether there is any.
        bald: whether the skull shows, if partly.
    """

    beard: float = 0.0
    moustache: float = 0.0
    headwear: bool = False
    bald: bool = False


def refine(rgb: RGB, coarse: Points, mesh: Points, matte: Points) -> Points:
    """(64, 64, 6) probabilities of `PARTS` → (256, 256, 6) along the picture's borders.

    Args:
        rgb: (256, 256, 3). mesh: (468, 2) px. matte: (256, 256) opacity of people.
    """
    parts = f32(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)).clip(1e-3, 1)
    opacity = matte.clip(0.02, 0.98)
    parts[..., 0] *= (1 - opacity) ** 0.7
    parts[..., 1:] *= (opacity**0.7)[..., None]
    face = mesh[list(OVAL)]
    parts[..., 2] *= 1 + 1.2 * _blurred(_polygon(face), 4)
    up = _up(mesh)
    rise = (face - mesh[[70, 300]].mean(0)) @ up
    tall = face + up * np.clip(rise, 0, None)[:, None] * 0.75  # with the whole forehead
    parts[..., 2] *= np.where(_blurred(_polygon(tall), 4) < 0.05, 0.12, 1)
    parts /= parts.sum(-1, keepdims=True)
    lab = _lab(_smooth(rgb, 30))
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    seen = f32(np.dstack([lab, x, y]))
    groups = np.stack([parts[..., list(group)].sum(-1) for group in _GROUPS], -1)
    scores = []
    for i, count in enumerate(_COLORS):
        sure = cv2.erode((groups[..., i] > 0.82).astype(np.uint8), np.ones((5, 5))) > 0
        scores.append(_likeness(seen, sure, count))
    color = np.stack(scores, -1)
    color = np.maximum(color - color.max(-1, keepdims=True), -6)
    both = np.log(groups + 0.012) * 1.15 + 0.5 * color
    both = np.exp(both - both.max(-1, keepdims=True))
    both /= both.sum(-1, keepdims=True)
    fine = np.zeros_like(parts)
    for i, group in enumerate(_GROUPS):
        share = parts[..., list(group)]
        fine[..., list(group)] = (
            both[..., i : i + 1] * share / (share.sum(-1, keepdims=True) + 1e-6)
        )
    light = f32(lab[..., 0] / 100)
    fine = np.stack([_guided(light, fine[..., i], 4, 6e-4) for i in range(len(PARTS))], -1)
    fine = fine.clip(0, 1)
    return f32(fine / (fine.sum(-1, keepdims=True) + 1e-6))


def label_parts(rgb: RGB, parts: Points, mesh: Points) -> Labels:
    """The likeliest of (256, 256, 6), without specks, and brows, eyes, lips from the mesh."""
    labels = np.array(_ORDER, np.uint8)[parts.argmax(-1)]
    for name in ("skin", "hair", "clothes", "background"):
        for piece, area in _pieces(labels == _I[name]):
            if area < 80:
                others = parts[piece].mean(0)
                others[_ORDER.index(_I[name])] = 0
                labels[piece] = _ORDER[int(others.argmax())]
    light = _lab(rgb)[..., 0]
    for brow in BROWS:
        outline = mesh[list(brow)]
        outline = outline.mean(0) + (outline - outline.mean(0)) * [1.06, 1.25]
        zone = _polygon(outline)
        around = (cv2.dilate(zone, np.ones((9, 9))) - zone > 0.5) & (labels == _I["skin"])
        inside = zone > 0.3
        if inside.sum() < 5:
            continue
        base = np.median(light[around]) if around.sum() > 10 else np.median(light)
        least = max(4.0, 0.35 * float(base - np.percentile(light[inside], 15)))
        on_head = np.isin(labels, (_I["skin"], _I["hair"]))
        labels[inside & (base - light > least) & on_head] = _I["brow"]
    person = labels != _I["background"]
    for eye in EYES:
        labels[(_polygon(mesh[list(eye)]) > 0.5) & person] = _I["eye"]
    labels[(_polygon(mesh[list(OUTER_LIPS)]) > 0.5) & person] = _I["lips"]
    labels[(_polygon(mesh[list(INNER_LIPS)]) > 0.5) & (labels == _I["lips"])] = _I["mouth"]
    return labels


def add_known(
    labels: Labels, rgb: RGB, mesh: Points, matte: Points, weak: Points, known: Known
) -> Labels:
    """Labels with headwear, bald heads and beards, as far as they are `known`.

    Args:
        weak: (64, 64, 2) probabilities of beard and headwear at each point of a face that has
            them, from `toonify.training.parsing.weak`.
    """
    labels = labels.copy()
    lab = _blurred(_lab(_smooth(rgb, 25)), 1.0)
    light = f32(_lab(rgb)[..., 0] / 100)
    beard, hat = (
        _guided(light, f32(cv2.resize(f32(weak[..., i]), (SIDE, SIDE))), 3, 8e-4) for i in (0, 1)
    )
    size = float(np.linalg.norm(mesh[10] - mesh[152]))
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    height = (np.dstack([x, y]) - mesh[[33, 263]].mean(0)) @ _up(mesh) / size  # above the eyes
    if known.headwear:
        _add_headwear(labels, hat, matte, height)
    if known.bald:
        _bare_skull(labels, lab, height)
    _add_beard(labels, lab, light, mesh, beard, known)
    return labels


def mark_others(labels: Labels, rgb: RGB, mesh: Points) -> Labels:
    """Labels where what does not hang together with the face is another person, or `IGNORED` if
    small, as are hands taken for clothes."""
    labels = labels.copy()
    own = _polygon(mesh[list(OVAL)]) > 0.5
    for piece, area in _pieces(labels != _I["background"]):
        if not (piece & own).any():
            bare = np.isin(labels[piece], (_I["skin"], _I["hair"])).mean()
            labels[piece] = _I["person"] if area > 400 and bare > 0.3 else IGNORED
    lab = _blurred(_lab(_smooth(rgb, 25)), 1.0)
    skin, clothes = labels == _I["skin"], labels == _I["clothes"]
    if skin.sum() > 200 and clothes.sum() > 200:
        as_skin = _away(lab, skin, 0.8, (5, 2.5, 2.5))
        as_clothes = _away(lab, clothes, 0.8, (5, 2.5, 2.5))
        alike = clothes & (as_skin < as_clothes - 2) & (as_skin < as_skin[skin].mean() + 6)
        alike = cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5))) > 0
        labels[alike] = IGNORED
    return labels


def _add_headwear(labels: Labels, hat: Points, matte: Points, height: Points) -> None:
    soft = np.isin(labels, (_I["hair"], _I["ear"], _I["clothes"]))
    top = (height > 0.18) & (soft | np.isin(labels, (_I["background"], _I["skin"])))
    found = (hat > 0.5) & (top | (soft & (height > -0.6))) & (matte > 0.24)
    found &= (labels != _I["skin"]) | (height > 0.3)
    found = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))) > 0
    for piece, area in _pieces(found):
        if area > 150 and height[piece].max() > 0.25:
            labels[piece] = _I["headwear"]
    for piece, area in _pieces(labels != _I["headwear"]):
        if area < 120:
            labels[piece] = _I["headwear"]


def _bare_skull(labels: Labels, lab: Points, height: Points) -> None:
    """What was taken for hair but has the forehead's color, or shines, is skin."""
    skin = (labels == _I["skin"]) & (height > -0.1)
    hair = (labels == _I["hair"]) & (height < 0.12)
    if hair.sum() < 60:
        hair = labels == _I["brow"]
    if skin.sum() < 100 or hair.sum() < 20:
        return
    as_skin, as_hair = _away(lab, skin, 1.0, (5, 3, 3)), _away(lab, hair, 0.8, (5, 3, 3))
    likelier = f32((as_hair - as_skin) / 2)
    shines = lab[..., 0] > np.median(lab[skin][:, 0])
    likelier = f32(np.where(shines, np.maximum(likelier, 1), likelier))
    likelier = _blurred(f32(np.clip(likelier, -4, 4)), 2.0)
    labels[(labels == _I["hair"]) & (height > 0.05) & (likelier > 0)] = _I["skin"]
    for piece, area in _pieces(labels == _I["hair"]):
        if area < 150:
            labels[piece] = _I["skin"]


def _add_beard(
    labels: Labels, lab: Points, light: Points, mesh: Points, beard: Points, known: Known
) -> None:
    jaw = mesh[list(JAW)].copy()
    jaw[:JAW_BORDER] = mesh[1] + (jaw[:JAW_BORDER] - mesh[1]) * 1.18
    inside = _polygon(jaw) > 0.5
    zone = inside & np.isin(labels, [_I[name] for name in ("skin", "hair", "neck", "clothes")])
    skin = (labels == _I["skin"]) & ~inside
    core = zone & (beard > 0.8) & (cv2.erode(inside.astype(np.uint8), np.ones((5, 5))) > 0)
    if known.beard > 0.18 and skin.sum() > 200 and core.sum() > 150:
        dark = core & (light < np.percentile(light[core], 60))
        as_skin = _away(lab, skin, 0.8, (4, 2.5, 2.5))
        as_beard = _away(lab, dark, 0.8, (4, 2.5, 2.5))
        odds = np.log(beard.clip(0.02, 0.98) / (1 - beard.clip(0.02, 0.98)))
        odds = 0.8 * odds + 0.9 * np.clip((as_skin - as_beard) / 2, -4, 4)
        beard = _guided(light, _blurred(f32(1 / (1 + np.exp(-odds))), 1.2), 3, 8e-4)
    if known.beard > 0.42:
        labels[zone & (beard > 0.5)] = _I["beard"]
        return
    if known.beard > 0.18:  # stubble is neither
        labels[zone & (beard > 0.5) & np.isin(labels, (_I["skin"], _I["neck"]))] = IGNORED
    if known.moustache > 0.45:
        lip = _polygon(mesh[list(UPPER_LIP)]) > 0.5
        cheeks = np.median(light[labels == _I["skin"]]) if (labels == _I["skin"]).any() else 0
        hairy = lip & (labels == _I["skin"]) & (light < cheeks - 0.07)
        labels[hairy] = _I["beard"] if known.moustache > 0.6 else IGNORED


def _up(mesh: Points) -> Points:
    """Unit vector (2,) from the chin to the forehead."""
    up = mesh[10] - mesh[152]
    return f32(up / (np.linalg.norm(up) + 1e-6))


def _polygon(outline: np.ndarray) -> Points:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(mask, [np.round(np.asarray(outline) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return f32(mask / np.float32(255))


def _pieces(mask: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Connected pieces of a mask (S, S) bool, each with its area in pixels."""
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return [(numbers == i, int(stats[i, cv2.CC_STAT_AREA])) for i in range(1, count)]


def _smooth(rgb: RGB, color: float) -> RGB:
    return np.asarray(cv2.bilateralFilter(rgb, 5, color, 3), np.uint8)


def _lab(rgb: RGB) -> Points:
    return f32(cv2.cvtColor(f32(rgb) / 255, cv2.COLOR_RGB2LAB))


def _blurred(values: Points, sigma: float) -> Points:
    return f32(cv2.GaussianBlur(values, (0, 0), sigma))


def _guided(guide: Points, values: Points, radius: int, eps: float) -> Points:
    size = (2 * radius + 1, 2 * radius + 1)
    mean_g, mean_v = cv2.blur(guide, size), cv2.blur(values, size)
    covariance = cv2.blur(guide * values, size) - mean_g * mean_v
    a = covariance / (cv2.blur(guide * guide, size) - mean_g * mean_g + eps)
    return f32(cv2.blur(a, size) * guide + cv2.blur(mean_v - a * mean_g, size))


def _away(lab: Points, where: np.ndarray, share: float, least: tuple[float, ...]) -> Points:
    """-2 log likelihood (S, S) under one color: median and spread of those `where`."""
    own = lab[where]
    spread = own.std(0) * share + f32(least)
    return f32((((lab - np.median(own, 0)) / spread) ** 2).sum(-1) + 2 * np.log(spread).sum())


def _likeness(seen: Points, where: np.ndarray, count: int) -> Points:
    """Log likelihood (S, S) under `count` colors and places found `where`; flat with too few."""
    own = seen[where]
    if len(own) < 60:
        return f32(np.full(seen.shape[:2], -14))
    own = own[np.random.default_rng(0).permutation(len(own))[:3000]]
    cv2.setRNGSeed(0)
    count = min(count, max(1, len(own) // 40))
    rule = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 20, 1.0)
    empty = np.empty(0, np.int32)
    _, numbers, centers = cv2.kmeans(own, count, empty, rule, 1, cv2.KMEANS_PP_CENTERS)
    best = np.full(seen.shape[:2], -np.inf, np.float32)
    for i in range(count):
        members = own[numbers.ravel() == i]
        if len(members) < 5:
            continue
        spread = members.std(0) + f32([4, 2.5, 2.5, 0.06, 0.06])
        score = np.log(len(members) / len(own)) - np.log(spread).sum()
        score = score - 0.5 * (((seen - centers[i]) / spread) ** 2).sum(-1)
        best = np.maximum(best, f32(score))
    return np.maximum(best, best.max() - 14)
