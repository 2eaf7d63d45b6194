"""From a parser's coarse labels to soft maps as sharp as the picture.

Labels come at a quarter of the drawing's resolution; colors seen where they are sure decide where
they are not, and a guided filter puts their borders where the picture has them.
"""

from __future__ import annotations

import cv2
import numpy as np

from toonify.faces.parsing import LABELS
from toonify.portrait.fields import Field, Lab, blur, f32, guided, remove_small, smoothstep, to_lab
from toonify.portrait.shapes import ellipse, raster_mask
from toonify.portrait.subject import (
    CHEEKS,
    LIP_LOWER,
    LIP_UPPER,
    OVAL,
    RGB,
    UNDER_NOSE,
    FaceGeometry,
    Parts,
)
from toonify.utils.channels import largest, softmax, total

ALIKE = 20.0  # CIELAB units between the colors of one person's hair
_INDEX = {name: i for i, name in enumerate(LABELS)}
# What the labels are grouped into where colors decide: what is behind, hair, skin, clothes
_GROUPS = (
    ("background", "person"),
    ("hair", "beard"),
    ("skin", "ear", "neck", "brow", "eye", "lips", "mouth", "glasses", "sunglasses"),
    ("clothes",),
    ("headwear",),
    ("hand",),
    ("object",),
)


def build_parts(rgb: RGB, geometry: FaceGeometry, matte: Field, labels: Field) -> Parts:
    """Maps of one person in a window.

    Args:
        rgb: (H, W, 3) uint8, the window.
        geometry: the face, px of the window.
        matte: (H, W) 0..1, where people are.
        labels: (h, w, 17) probabilities of `LABELS` over the same window, h, w about half of it.
    """
    height, width = rgb.shape[:2]
    lab = to_lab(rgb)
    small = (labels.shape[1], labels.shape[0])
    lab_small = f32(cv2.resize(lab, small, interpolation=cv2.INTER_AREA))
    fine = cv2.resize(matte, small, interpolation=cv2.INTER_AREA).clip(0.02, 0.98)
    p = labels.copy()
    behind = [_INDEX["background"]]
    for i in range(p.shape[2]):
        if i in behind:
            p[..., i] *= (1 - fine) ** 0.5
        elif LABELS[i] not in ("person", "object", "hand"):
            p[..., i] *= fine**0.5
    oval = _oval(geometry, small, width)
    skin_ids = [_INDEX[name] for name in _GROUPS[2]]
    p[..., skin_ids] *= (1 + 0.8 * oval)[..., None]
    p /= total(p)[..., None] + 1e-6
    groups = np.stack([total(p[..., [_INDEX[n] for n in names]]) for names in _GROUPS], -1)
    groups = f32(_by_color(lab_small, groups, geometry.unit * small[0] / width))
    within = np.zeros_like(p)
    for k, names in enumerate(_GROUPS):
        ids = [_INDEX[n] for n in names]
        own = p[..., ids]
        within[..., ids] = groups[..., k : k + 1] * own / (total(own)[..., None] + 1e-6)
    guide = blur(lab[..., 0] / 100, 0.8)
    radius = max(2, int(6 * geometry.unit))

    def sharp(*names: str) -> Field:
        low = total(within[..., [_INDEX[n] for n in names]])
        up = cv2.resize(f32(low), (width, height), interpolation=cv2.INTER_LINEAR)
        return f32(np.clip(guided(guide, f32(up), radius, 4e-4), 0, 1))

    def coarse(*names: str) -> Field:
        low = total(labels[..., [_INDEX[n] for n in names]])
        return f32(cv2.resize(f32(low), (width, height), interpolation=cv2.INTER_LINEAR))

    u2 = geometry.unit**2
    away = sharp("background", "person")
    frames = _whole(coarse("glasses"), 550 * u2)
    lenses = _dark_lenses(lab, geometry, coarse("sunglasses"))
    lenses = remove_small(lenses, 900 * u2, 100 * u2)  # a dark speck is no lens
    cover = _cover(geometry, coarse("hand"), coarse("object"))
    hair = _own_hair(remove_small(sharp("hair"), 500 * u2, 250 * u2), lab, geometry)
    skin = sharp(*_GROUPS[2])
    beard = coarse("beard")
    beard = f32(np.maximum(beard, _moustache(lab, geometry, beard)))
    person = f32(np.clip(1 - away, 0, 1))
    return Parts(
        person=remove_small(person, 1500 * u2, 800 * u2),
        hair=hair,
        skin=remove_small(f32(np.maximum(skin, np.minimum(beard, 1 - hair))), 400 * u2, 400 * u2),
        neck=sharp("neck"),
        clothes=sharp("clothes"),
        beard=beard,
        glasses=f32(np.minimum(frames, 1 - lenses)),
        lenses=lenses,
        headwear=sharp("headwear"),
        cover=cover,
    )


def _dark_lenses(lab: Lab, geometry: FaceGeometry, lenses: Field) -> Field:
    """Sunglasses. Where the parser sees some dark glass but not all of it, darkness decides."""
    p, u, size = geometry.points, geometry.unit, (lab.shape[1], lab.shape[0])
    cheeks = raster_mask([p[list(ring)] for ring in CHEEKS], size) > 0
    if not cheeks.any():
        return lenses
    base = float(np.percentile(lab[..., 0][cheeks], 60))
    lum = blur(lab[..., 0], 2 * u)
    dark = smoothstep((base - lum) / max(base, 15.0), 0.22, 0.4)
    zones = [
        raster_mask(
            [
                ellipse(
                    (eye.upper[0] + eye.upper[-1]) / 2 + geometry.down * 6 * u,
                    38 * u,
                    26 * u,
                    np.deg2rad(geometry.roll),
                )
            ],
            size,
        )
        for eye in geometry.eyes
    ]
    both = np.maximum(*zones) > 128
    seen_share = float(lenses[both].mean()) if both.any() else 0.0
    if not 0.04 < seen_share < 0.3 or float(dark[both].mean()) < 0.79:
        return lenses
    reach = cv2.dilate(np.maximum(*zones), np.ones((int(8 * u) | 1,) * 2, np.uint8))
    hole = np.ones((int(15 * u) | 1,) * 2, np.uint8)
    seen = f32(cv2.morphologyEx(f32(dark * (f32(reach) / 255)), cv2.MORPH_CLOSE, hole))
    return f32(np.maximum(lenses, blur(seen, 1.5 * u)))


def _moustache(lab: Lab, geometry: FaceGeometry, beard: Field) -> Field:
    """What is much darker than the cheeks between nose and lips, too thin for the parser's grid.

    Shade is dark there too: the parser (`beard`) has to see a little of it, though never half.
    """
    p, size = geometry.points, (lab.shape[1], lab.shape[0])
    cheeks = raster_mask([p[list(ring)] for ring in CHEEKS], size) > 0
    hull = cv2.convexHull(p[list(UNDER_NOSE)]).reshape(-1, 2)
    zone = f32(raster_mask([f32(hull)], size)) / 255
    lips = raster_mask([f32(np.vstack([p[list(LIP_UPPER)], p[list(LIP_LOWER)][::-1]]))], size)
    inner = (zone > 0.5) & (lips == 0)
    if not cheeks.any() or int(inner.sum()) < 20:
        return f32(np.zeros(lab.shape[:2]))
    seen = float(np.percentile(beard[inner], 90))
    base = float(np.percentile(lab[..., 0][cheeks], 60))
    dark = (base - blur(lab[..., 0], 1.2 * geometry.unit)) / max(base, 15.0)
    # in profile it fills a small part of the zone
    most = 55 + 25 * float(smoothstep(seen, 0.08, 0.16))
    much = float(smoothstep(np.percentile(dark[inner], most), 0.2, 0.36))
    much *= float(smoothstep(seen, 0.015, 0.05))
    return f32(smoothstep(dark, 0.2, 0.4) * blur(zone, 3 * geometry.unit) * much)


def _whole(frames: Field, area: float) -> Field:
    """Frames of glasses, if `area` px² of them are sure; without, wrinkles are no glasses."""
    sure = float((frames > 0.7).sum())
    return f32(frames * smoothstep(sure / area, 0.8, 1.3))


def _own_hair(hair: Field, lab: Lab, geometry: FaceGeometry) -> Field:
    """Hair without a neighbor's: of what hangs together, only what grows at this face, or has the
    color of what does and is no speck."""
    count, labels = cv2.connectedComponents((hair > 0.5).astype(np.uint8))
    if count <= 2:
        return hair
    u, p = geometry.unit, geometry.points[list(OVAL)]
    upper = p[(p - geometry.points[1]) @ geometry.down < 0]  # above the tip of the nose
    size = (hair.shape[1], hair.shape[0])
    zone = raster_mask([f32(cv2.convexHull(upper).reshape(-1, 2))], size)
    reach = int(24 * u) | 1
    near = cv2.dilate(zone, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))) > 128
    touching = np.bincount(labels[near], minlength=count)
    own = touching > 60 * u * u
    own[0] = False
    if not own[1:].any():
        return hair
    size_of = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    colors = np.stack(
        [np.bincount(labels.ravel(), lab[..., i].ravel(), count) / size_of for i in range(3)], 1
    )
    main = colors[int(np.argmax(np.where(own, size_of, 0)))]
    alike = np.linalg.norm(colors - main, axis=1) < ALIKE
    keep = own | (alike & (size_of > 3000 * u * u))
    keep[0] = True
    return f32(np.where(keep[labels], hair, np.minimum(hair, 0.3)))


def _cover(geometry: FaceGeometry, hand: Field, thing: Field) -> Field:
    """What stands before the face: only where it is sure, reaches the face, and comes from outside
    of it, as hands do; a patch of hand within a cheek is light and shade."""
    u = geometry.unit
    size = (hand.shape[1], hand.shape[0])
    oval = raster_mask([geometry.points[list(OVAL)]], size)
    grown = cv2.dilate(oval, np.ones((int(9 * u) | 1, int(9 * u) | 1), np.uint8))
    found = np.maximum(smoothstep(hand, 0.35, 0.8), smoothstep(thing, 0.25, 0.6))
    sure = remove_small(f32(found), 600 * u * u, 600 * u * u)
    _, labels = cv2.connectedComponents((sure > 0.5).astype(np.uint8))
    keep = np.zeros(int(labels.max()) + 1, bool)
    for i in range(1, len(keep)):
        own = labels == i
        inside = float((oval[own] > 0).mean())
        is_thing = float(thing[own].mean()) > float(hand[own].mean())
        most = 1.01 if is_thing else 0.85
        enough = int(own.sum()) > 1200 * u * u
        keep[i] = enough and 0.03 < inside < most and bool((grown[own] > 0).any())
    return f32(np.where(keep[labels], sure, 0))


def _oval(geometry: FaceGeometry, size: tuple[int, int], width: int) -> Field:
    scale = size[0] / width
    ring = (geometry.points[list(OVAL)] + 0.5) * np.float32(scale) - 0.5
    return blur(f32(raster_mask([f32(ring)], size)) / 255, 4 * geometry.unit)


def _by_color(lab: Lab, groups: Field, unit: float) -> Field:
    """Posterior of the groups (h, w, K): what labels say, and what colors seen where labels are
    sure say, both in moderation."""
    smooth = np.dstack([blur(lab[..., i], 1.0) for i in range(3)])
    height, width = lab.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    features = np.dstack([smooth, x * 12, y * 12]).astype(np.float32)
    features -= features.mean((0, 1))  # squares stay small
    terms = np.concatenate([features**2, features], -1).reshape(height * width, -1)
    scores = []
    size = max(3, int(4 * unit)) | 1
    for k in range(groups.shape[2]):
        sure = cv2.erode((groups[..., k] > 0.8).astype(np.uint8), np.ones((size, size), np.uint8))
        scores.append(_log_likelihood(features, terms, sure > 0, 6 if k else 8))
    lowest = np.full((height, width), -14.0, np.float32)
    stack = np.stack([lowest if s is None else s for s in scores], -1)
    seen = np.array([s is not None for s in scores])
    stack = stack - largest(stack)[..., None]
    stack = np.maximum(stack, -6)
    stack[..., ~seen] = -2.5  # nothing is known of its colors
    log = np.log(groups + 0.01) * 1.25 + 0.45 * stack
    return softmax(f32(log))


def _log_likelihood(features: Field, terms: Field, seeds: np.ndarray, count: int) -> Field | None:
    """Under a mixture of Gaussians fitted to `features` (h, w, C) at the seeds.

    Args:
        terms: (h·w, 2 C), squares of the features and themselves, which a Gaussian's exponent is
            linear in.
    """
    seen = features[seeds]
    if len(seen) < 60:
        return None
    seen = seen[np.random.default_rng(0).permutation(len(seen))[:1500]]
    cv2.setRNGSeed(0)
    count = min(count, max(1, len(seen) // 40))
    rule = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 12, 1.0)
    _, label, centers = cv2.kmeans(
        f32(seen), count, np.empty(0, np.int32), rule, 1, cv2.KMEANS_PP_CENTERS
    )
    label = label.ravel()
    slopes, offsets = [], []
    for k in range(count):
        own = seen[label == k]
        if len(own) < 5:
            continue
        spread = own.std(0) + f32([4, 2.5, 2.5, 0.8, 0.8])
        inverse = spread**-2
        slopes.append(np.concatenate([-0.5 * inverse, centers[k] * inverse]))
        offsets.append(
            np.log(len(own) / len(seen))
            - np.log(spread).sum()
            - 0.5 * (centers[k] ** 2 * inverse).sum()
        )
    best = (terms @ f32(slopes).T + f32(offsets)).max(1)
    return f32(np.maximum(best, best.max() - 14)).reshape(features.shape[:2])
