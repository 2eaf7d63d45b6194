"""Skin: one family of flat tones in the person's own color, and the marks on it."""

from __future__ import annotations

import cv2
import numpy as np

from toonify.portrait.fields import (
    Field,
    blur,
    f32,
    fill_from,
    remove_small,
    signed_distance,
    smoothstep,
    to_rgb,
    weighted_mean,
    weighted_quantile,
)
from toonify.portrait.lines import outline
from toonify.portrait.scene import Head, Palette
from toonify.portrait.shapes import cut, ellipse
from toonify.portrait.subject import BROWS, LIP_LOWER, LIP_UPPER, NOSE_WING
from toonify.portrait.tones import paint_tones, stretch, tone_colors, tone_cuts

SHADE = (5.0, 11.0)  # sigmas, in px of a unit face, that light and shade are smoothed with
RELIEF = (2.0, 11.0)  # sigmas between which the planes of a face show
PLANES = 1.6  # how much they count beside light and shade
FOREHEAD = 0.6  # of the relief, above the brows
MARK = 6.0  # how much darker than around it a mark is, at least,
CORE = 16.0  # and how much more where it is drawn in its own color


def feature_mask(head: Head, grow: float = 1.0, *, nose: bool = True) -> Field:
    """1 over eyes, brows, lips and (`nose`) nostrils, where the skin's own tone can't be read."""
    p, u = head.face.points, head.unit
    mask = np.zeros(head.lab.shape[:2], np.uint8)

    def ring(points: Field, width: float, *, closed: bool = True) -> None:
        q = np.rint(points).astype(np.int32)
        if closed:
            cv2.fillPoly(mask, [q], 255)
        cv2.polylines(mask, [q], closed, 255, max(1, int(width * grow * u)))

    for eye, (upper, lower) in zip(head.face.eyes, BROWS, strict=True):
        ring(np.vstack([eye.upper, eye.lower[::-1]]), 10)
        ring(np.vstack([p[list(upper)], p[list(lower)][::-1]]), 8)
    ring(np.vstack([p[list(LIP_UPPER)], p[list(LIP_LOWER)][::-1]]), 6)
    for wing in NOSE_WING if nose else ():
        ring(p[list(wing)], 10, closed=False)
    return f32(f32(mask) / 255)


def paint_skin(head: Head, skin: Field, oval: Field) -> None:
    """Paint the region `skin` (a signed distance) in tones of the person's own color."""
    lab, u, style, parts = head.lab, head.unit, head.style, head.parts
    memory = head.memory.sub("skin")
    features = feature_mask(head)
    clean = np.clip(parts.skin * 2 - 1, 0, 1) * (1 - features) * np.clip(1 - parts.hair * 2, 0, 1)
    clean = clean * np.clip(1 - parts.beard * 1.5, 0, 1)
    clean = clean * np.clip(1 - (parts.glasses + parts.lenses) * 2, 0, 1)
    clean = f32(cv2.erode(f32(clean), np.ones((3, 3))))
    if float(clean.sum()) < 200 * u * u:
        clean = f32(np.clip(parts.skin, 0, 1))
    # Thin dark things (frames, wrinkles, single hairs) and glints are no shade.
    width = max(3, int(11 * u)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    lum = blur(lab[..., 0], 0.8 * u)
    lum = f32(
        cv2.morphologyEx(cv2.morphologyEx(lum, cv2.MORPH_CLOSE, kernel), cv2.MORPH_OPEN, kernel)
    )
    shade = fill_from(lum, clean, 4 * u, 14 * u)
    fine, coarse = SHADE
    shade = f32(0.5 * blur(shade, fine * u) + 0.5 * blur(shade, coarse * u))
    shade = f32(shade + PLANES * relief_of(head, skin, oval))
    face = f32(clean * oval)
    if float(face.sum()) < 300 * u * u:
        face = clean
    weight = f32(face + 0.3 * clean)
    cuts = tone_cuts(shade, weight, style.skin_tones, 6.0, memory=memory)
    means, shares = tone_colors(lab, shade, clean, cuts, memory=memory)
    base = natural(means[int(np.argmax(shares))])
    colors = []
    for color in means:
        c = stretch(color, base, style.skin_contrast)
        # One hue a person: shade is deeper, not another color.
        c[1:] = 0.3 * c[1:] + 0.7 * base[1:] * (1 + (base[0] - c[0]) * 0.012)
        c[1:] *= style.saturation
        c[0] += 1.8  # lines and folds, drawn over it, take that much away again
        colors.append(c)
    if style.halftone:
        paint_tones(
            head.add, skin, shade, [], [colors[-1] if len(colors) < 2 else colors[1]], area=0
        )
        screen(head, skin, shade, cuts, colors)
    else:
        paint_tones(
            head.add, skin, shade, cuts, colors, area=420 * u * u, softness=style.softness * u
        )
    drawn = f32(base).copy()
    drawn[1:] *= style.saturation
    ink = f32([np.clip(base[0] * 0.26, 6, 20), base[1] * 0.35 + 5, base[2] * 0.35 + 3])
    fold = f32([max(base[0] - 19, 9), base[1] * 1.15 + 4, base[2] * 1.1 + 2])
    head.palette = Palette(drawn, to_rgb(ink), to_rgb(fold))
    if style.blush:
        paint_blush(head, base)


def natural(color: Field) -> Field:
    """A skin color as one would paint it: colored light is taken back by a third, pallor gets a
    little blood. The lightness stays what it is, on every skin."""
    out = f32(color).copy()
    chroma = float(np.hypot(out[1], out[2]))
    hue = float(np.degrees(np.arctan2(out[2], out[1])))
    wanted = float(np.clip(hue, 42, 62))
    hue += (wanted - hue) * 0.6 if -30 < hue < 140 else 0
    chroma = float(np.clip(chroma, 13, 40 + 0.4 * max(chroma - 40, 0)))
    out[1], out[2] = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    return out


def screen(head: Head, skin: Field, shade: Field, cuts: list[float], colors: list[Field]) -> None:
    """Shade as dots on a grid turned by 45 degrees, larger where it is darker."""
    if not cuts:
        return
    pitch = head.style.halftone * head.unit**0.7
    height, width = shade.shape
    yy, xx = np.mgrid[:height, :width].astype(np.float32)
    ox, oy = head.offset
    a = (xx + ox + yy + oy) * np.float32(np.pi / pitch * 0.70711 * 1.41421)
    b = (xx + ox - yy - oy) * np.float32(np.pi / pitch * 0.70711 * 1.41421)
    grid = (np.cos(a) + np.cos(b)) / 4 + 0.5
    spread = max(6.0, float(colors[-1][0] - colors[0][0]))
    dark = np.clip((cuts[0] + 2 - shade) / spread, 0, 1)
    amount = np.where(shade < cuts[0] + 2, 0.28 + 0.55 * dark, 0)
    level = np.minimum(f32((blur(amount, 0.6) - 1 + grid) * 10), skin - 1.5)
    head.add(cut(level, area=2), to_rgb(colors[0] - f32([6, -3, -2])))


def relief_of(head: Head, skin: Field, oval: Field) -> Field:
    """The planes of a face, which make it that person's: how much lighter than around it a px is,
    on a scale of its own for hard and flat light."""
    lab, u, parts = head.lab, head.unit, head.parts
    clean = np.clip(parts.skin * 2 - 1, 0, 1) * (1 - feature_mask(head, 0.5, nose=False))
    clean = clean * np.clip(1 - parts.hair * 2, 0, 1) * np.clip(1 - parts.beard * 1.5, 0, 1)
    clean = f32(clean * np.clip(1 - (parts.glasses + parts.lenses) * 2, 0, 1))
    lum = fill_from(blur(lab[..., 0], 0.8 * u), clean, 2.5 * u, 9 * u)
    fine, coarse = RELIEF
    relief = head.flow.average(blur(lum, fine * u)) - blur(lum, coarse * u)
    off = np.minimum((skin - 3 * u) / (4 * u), (0.35 - np.maximum(parts.hair, parts.cover)) * 8)
    off = np.minimum(off, (0.3 - np.maximum(parts.lenses, parts.beard)) * 8)
    off = np.clip(np.minimum(off, (blur(oval, 2 * u) - 0.4) * 8), 0, 1)
    return f32(relief * off * _forehead(head))


def _forehead(head: Head) -> Field:
    """1, but `FOREHEAD` above the brows, which tells little of a person, and much of a lamp."""
    brows = head.face.points[[i for upper, _ in BROWS for i in upper]].mean(0)
    yy, xx = np.mgrid[: head.size[1], : head.size[0]].astype(np.float32)
    below = (xx - brows[0]) * head.face.down[0] + (yy - brows[1]) * head.face.down[1]
    return f32(FOREHEAD + (1 - FOREHEAD) * smoothstep(below, -16 * head.unit, 0))


def paint_blush(head: Head, base: Field) -> None:
    """A warm spot on each cheek that is seen."""
    p, u = head.face.points, head.unit
    warm = f32([base[0] - 4, base[1] + 14, base[2] + 3])
    for index, side in ((50, -1), (280, 1)):
        if side * head.face.yaw > 30:
            continue
        ring = ellipse(
            p[index] + head.face.down * 5 * u, 17 * u, 11 * u, np.deg2rad(head.face.roll)
        )
        head.add([ring], to_rgb(warm), opacity=head.style.blush, blur=7 * u)


def paint_marks(head: Head, skin: Field) -> None:
    """What the photograph shows on skin beyond shade: moles, folds, frames of glasses."""
    lab, u, parts = head.lab, head.unit, head.parts
    lum = blur(lab[..., 0], 0.9 * u)
    width = max(5, int(15 * u)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    dark = f32(cv2.morphologyEx(lum, cv2.MORPH_CLOSE, kernel)) - lum
    dark = head.flow.average(dark)
    base = float(head.palette.skin[0])
    seen = dark * _forehead(head)
    features = blur(feature_mask(head, 0.9), 1.5 * u)
    least = MARK + 0.07 * base
    frames = smoothstep(blur(parts.glasses, 1.5 * u), 0.12, 0.5)
    off = np.minimum(skin - 3 * u, (0.35 - np.maximum(parts.hair, parts.cover)) * 20)
    off = np.minimum(off, (0.3 - parts.lenses) * 20)
    level = seen - least - 40 * smoothstep(features, 0.25, 0.7)
    level = np.minimum(level, np.minimum(off, (0.4 - parts.beard) * 20))
    level = np.minimum(level, (0.3 - frames) * 20)
    if (level > 0).any():
        skin_color = head.palette.skin
        depth = float(np.clip(0.3 * base, 8, 19))  # a step on dark skin is a smaller one
        fold = to_rgb([max(base - depth, 5), skin_color[1] + 4, skin_color[2] + 2])
        head.add(cut(f32(level), area=22 * u * u), fold, opacity=0.75)
        # Moles and the depth of a fold in their own color; the rest of a fold is shade.
        core = f32(np.minimum(level, seen - least - CORE))
        if (core > 0).any():
            color = weighted_mean(lab, f32(core > 0))
            # a fold is deep, not black: lashes and brows alone are
            color[0] = max(min(float(color[0]) - 4, base - 16), 0.5 * base)
            head.add(cut(core, area=14 * u * u), to_rgb(color))
    paint_frames(head, dark, lum, frames, off)


def paint_frames(head: Head, dark: Field, lum: Field, frames: Field, off: Field) -> None:
    """Frames of glasses where the parser sees them, dark ones and bright ones."""
    u, lab = head.unit, head.lab
    if float(frames.sum()) < 60 * u * u or has_lenses(head):
        return
    width = max(5, int(15 * u)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    bright = head.flow.average(lum - f32(cv2.morphologyEx(lum, cv2.MORPH_OPEN, kernel)))
    ridge_dark, ridge_bright = (float((r * frames).sum()) for r in (dark, bright))
    ridge = dark if ridge_dark > 0.6 * ridge_bright else bright
    level = f32(np.minimum(ridge - 4.5 - 14 * (1 - frames), off + 6))
    rings = cut(level, area=16 * u * u)
    if not rings:
        return
    # The frame's own color is seen in its middle; towards its edges it mixes with skin.
    ridges = ridge[level > 0]
    middle = (level > 0) & (ridge >= np.percentile(ridges, 70))
    color = weighted_mean(lab, f32(middle))
    base = float(head.palette.skin[0])
    color[0] = (
        min(float(color[0]) - 3, base - 14) if ridge is dark else max(float(color[0]), base + 8)
    )
    head.add(rings, to_rgb(np.clip(color, [3, -90, -90], [97, 90, 90])))


def has_lenses(head: Head) -> bool:
    """Whether there are sunglasses."""
    return float(head.parts.lenses.sum()) >= 1500 * head.unit**2


def paint_rims(head: Head) -> None:
    """Frames of sunglasses as one dark shape, which lenses lie on."""
    u, lab, lenses = head.unit, head.lab, head.parts.lenses
    width = max(3, int(6 * u)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    both = np.maximum(lenses, smoothstep(head.parts.glasses, 0.3, 0.6))
    both = f32(cv2.morphologyEx(f32(both), cv2.MORPH_CLOSE, kernel))
    both = remove_small(both, 0, 1200 * u * u)  # glass that the parser takes for skin
    lum = blur(lab[..., 0], 1.0 * u)
    inside = f32((both > 0.5) & (lenses < 0.5))
    if float(inside.sum()) < 60 * u * u:
        return
    level = float(weighted_quantile(lum, inside, [0.35])[0])
    color = weighted_mean(lab, f32(inside * (lum <= level)))
    color[0] = min(float(color[0]), 0.6 * float(head.palette.skin[0]))
    region = signed_distance(blur(smoothstep(both, 0.3, 0.7), 1.4 * u))
    head.add(cut(region, area=60 * u * u), to_rgb(color))


def paint_lenses(head: Head) -> None:
    """Sunglasses: dark glass in two tones, with its frame."""
    u, lab, lenses = head.unit, head.lab, head.parts.lenses
    if not has_lenses(head):
        return
    paint_rims(head)
    region = signed_distance(blur(smoothstep(lenses, 0.3, 0.7), 1.6 * u))
    inside = f32(np.clip(lenses * 2 - 1, 0, 1))
    tone = blur(lab[..., 0], 3.5 * u)  # what glass mirrors is shown by a few shapes
    memory = head.memory.sub("lenses")
    cuts = list(memory.average("cuts", weighted_quantile(tone, inside, [0.55, 0.9])))
    colors, _ = tone_colors(lab, tone, inside, cuts, memory=memory)
    colors[0][0] = min(colors[0][0], 26)
    colors[1][0] = min(colors[1][0], colors[0][0] + 16)
    colors[2][0] = min(colors[2][0], colors[1][0] + 24)
    paint_tones(head.add, region, tone, cuts, colors, area=140 * u * u, min_distance=2 * u)
    head.add(cut(outline(region, max(head.pen, 2.0 * u))), to_rgb([8, 2, 2]))
