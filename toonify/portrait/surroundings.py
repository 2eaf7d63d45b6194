"""All that is no head: background, clothes, hands and things, as flat colors and lines."""

from __future__ import annotations

import cv2
import numpy as np

from toonify.portrait.fields import (
    Field,
    Lab,
    Streamlines,
    blur,
    f32,
    fill_from,
    signed_distance,
    smoothstep,
    to_rgb,
    weighted_mean,
)
from toonify.portrait.lines import outline
from toonify.portrait.memory import NO_MEMORY, Steady
from toonify.portrait.regions import even_out
from toonify.portrait.scene import Head
from toonify.portrait.shapes import Drawing, cut
from toonify.portrait.styles import Style
from toonify.portrait.tones import flat_colors, paint_flat, stretch


def simplify(lab: Lab, amount: float, known: Field) -> tuple[Lab, float, Field]:
    """The picture reduced, with detail gone and edges kept (bilateral filtering).

    Args:
        amount: about the size in px of what disappears.
        known: (H, W) 0..1, where its colors count; elsewhere they go on from there.

    Returns:
        the smaller picture, how many px of the picture one of its px is wide, and `known` reduced.
    """
    height, width = lab.shape[:2]
    step = max(1.0, amount / 2.0)
    size = (max(int(width / step), 16), max(int(height / step), 16))
    small = f32(cv2.resize(lab, size, interpolation=cv2.INTER_AREA))
    known = f32(cv2.resize(known, size, interpolation=cv2.INTER_AREA))
    if float(known.min()) < 0.5:
        sure = f32(cv2.erode(known, np.ones((5, 5), np.uint8)) > 0.9)
        sure = sure if sure.any() else known
        filled = np.dstack([fill_from(small[..., i], sure, 3.0, 16.0) for i in range(3)])
        small = f32(small + (filled - small) * smoothstep(1 - sure, 0.0, 1.0)[..., None])
    for _ in range(3):
        small = f32(cv2.bilateralFilter(small, 7, 9.0, 3.0))
    return small, width / size[0], known


def paint_background(
    drawing: Drawing,
    lab: Lab,
    person: Field,
    style: Style,
    flow: Streamlines,
    memory: Steady = NO_MEMORY,
) -> None:
    """Flat colors, a little quieter than the photograph's, so that people stand out."""
    height, width = lab.shape[:2]
    peopled = float(person.mean()) > 0.05
    detail = max(width, height) / (133 if peopled else 240)
    outside = f32(np.clip(1 - person * 1.6, 0, 1))
    crowded = float(outside.mean()) < 0.02
    if crowded:
        outside = f32(np.ones_like(outside))
    # The person's colors must not leak into what is around.
    smooth, step, outside = simplify(lab, detail, outside)
    area = detail * detail * (12 if peopled else 7) / (step * step)
    # A wall in passing light is one color: first regions, then their colors.
    _, first = flat_colors(smooth, outside, 12)
    even = memory.average("even", even_out(smooth, first, area=area), share=0.4)
    count = style.colors + (0 if peopled else 6)
    colors, labels = flat_colors(even, outside, count, memory=memory)
    mean = memory.average("mean", weighted_mean(smooth, outside))
    quiet = style.quiet if peopled else style.quiet * 0.3

    def mute(color: Field) -> Field:
        out = f32(mean + (color - mean) * (1 - 0.45 * quiet))
        out[0] = out[0] * (1 - 0.3 * quiet) + 78 * 0.3 * quiet
        out[1:] *= style.saturation * (1 - 0.25 * quiet)
        if style.paper:
            out[0] = 100 - (100 - out[0]) * 0.2
            out[1:] *= 0.6
        return f32(np.clip(out, [3, -90, -90], [98, 90, 90]))

    muted = [mute(c) for c in colors]
    drawing.ground = to_rgb(muted[0])
    paint_flat(
        lambda rings, color: drawing.add(
            [(ring + 0.5) * step - 0.5 for ring in rings],
            color,
            layer="background",
            blur=style.softness * detail * (0.25 if peopled else 0.06),
        ),
        labels,
        muted,
        None,
        smooth=1.1,
        area=area,
    )
    if style.line:
        lines = edge_lines(blur(lab[..., 0], detail * 0.3), detail, flow)
        level = np.minimum(lines, (0.12 - blur(person, detail)) * 8)
        dark = f32(mean * [0.35, 0.5, 0.5])
        drawing.add(
            cut(level, area=detail * detail * 2),
            to_rgb(dark),
            opacity=0.75 - 0.9 * quiet,
            layer="background",
        )


def edge_lines(luminance: Field, scale: float, flow: Streamlines) -> Field:
    """Level set of dark lines where a smoothed picture has edges and valleys.

    Flow-based difference of Gaussians (Kang et al., 2007).
    """
    sigma = max(scale * 0.35, 0.9)
    difference = blur(luminance, sigma) - 0.98 * blur(luminance, sigma * 1.6)
    coherent = flow.average(difference)
    return f32((-0.35 - coherent) * 2)


def silhouette(person: Field) -> Field:
    """Level set (H, W) of where people are: px from their outline, positive inside."""
    return signed_distance(blur(smoothstep(person, 0.3, 0.7), 1.6))


def paint_people(
    drawing: Drawing,
    lab: Lab,
    person: Field,
    heads: list[Head],
    style: Style,
    flow: Streamlines,
    unit: float,
    memory: Steady = NO_MEMORY,
) -> None:
    """Bodies: clothes, hands and what people hold, in flat colors with lines along their folds."""
    if float(person.mean()) < 0.004:
        return
    distance = silhouette(person)
    rings = cut(distance, area=200 * unit * unit)
    drawing.silhouette.extend(rings)
    owned = np.zeros(person.shape, np.float32)
    for head in heads:
        mine = np.maximum(head.parts.hair, head.parts.skin)
        matrix = f32([[head.scale, 0, head.offset[0]], [0, head.scale, head.offset[1]]])
        size = (person.shape[1], person.shape[0])
        np.maximum(owned, cv2.warpAffine(mine, matrix, size, flags=cv2.INTER_LINEAR), out=owned)
    weight = f32(np.clip(person * 2 - 1, 0, 1) * np.clip(1 - owned * 1.5, 0, 1))
    if float(weight.sum()) < 300:
        drawing.add(rings, to_rgb([30, 2, 2]))
        return
    stack = np.dstack([blur(lab[..., i], 1.1 if i == 0 else 2.2) for i in range(3)])
    smooth = flow.average(stack)
    smooth = np.dstack([blur(smooth[..., i], 0.8) for i in range(3)])
    colors, labels = flat_colors(smooth, weight, style.colors, memory=memory)
    mean = memory.average("mean", weighted_mean(lab, weight))
    painted = []
    for color in colors:
        c = stretch(color, mean, style.contrast, style.saturation)
        if style.spot_black and c[0] < style.spot_black:
            c = f32([5, 0, 0])
        if style.paper:
            c = f32([100 - (100 - c[0]) * 0.75, *(c[1:] * 0.9)])
        painted.append(c)
    drawing.add(rings, to_rgb(painted[0]))
    paint_flat(
        lambda shape, color: drawing.add(
            shape, color, clip=rings if style.softness else None, blur=style.softness * 0.4 * unit
        ),
        labels,
        painted,
        distance,
        smooth=1.5,
        area=45 * unit * unit,
    )
    if style.line:
        ink = to_rgb([max(5.0, float(painted[0][0]) * 0.5), mean[1] * 0.4, mean[2] * 0.4])
        folds = edge_lines(lab[..., 0], 4.5 * unit, flow)
        inside = np.minimum(distance - 2, (0.35 - owned) * 8)
        drawing.add(cut(np.minimum(folds - 0.9, inside), area=26 * unit), ink)
        away = np.clip(1 - owned * 2.5, 0, 1)
        width = style.line * unit**0.6 * away
        drawing.add(cut(f32(width / 2 - np.abs(distance)), area=10 * unit), ink)


def paint_cover(head: Head) -> None:
    """Hands, microphones and cups before a face, painted over it again."""
    u, style, cover = head.unit, head.style, head.parts.cover
    weight = f32(np.clip(cover * 2 - 1, 0, 1))
    if float(weight.sum()) < 300 * u * u:
        return
    # Its colors are seen inside; at its rim they mix with what is behind.
    side = int(7 * u) | 1
    inside = f32(cv2.erode(weight, np.ones((side, side), np.uint8)))
    weight = inside if float(inside.sum()) > 150 * u * u else weight
    region = signed_distance(blur(smoothstep(cover, 0.35, 0.65), 1.6 * u))
    smooth = head.flow.average(
        np.dstack([blur(head.lab[..., i], 1.1 if i == 0 else 2.2) for i in range(3)])
    )
    colors, labels = flat_colors(smooth, weight, 4, memory=head.memory.sub("cover"))
    mean = weighted_mean(head.lab, weight)
    painted = [stretch(c, mean, style.contrast * 0.9, style.saturation) for c in colors]
    head.add(cut(region), to_rgb(painted[0]))
    paint_flat(head.add, labels, painted, region, smooth=1.8, area=60 * u * u)
    if style.line:
        # in the thing's own dark: a black microphone has no brown rim
        own = to_rgb(f32(painted[0]) * f32([0.45, 0.6, 0.6]))
        head.add(cut(outline(region, head.pen)), own)
