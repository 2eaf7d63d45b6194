"""Hair: tones cut along its flow, and single strands."""

from __future__ import annotations

import numpy as np

from toonify.portrait.fields import (
    Field,
    blur,
    f32,
    fill_from,
    signed_distance,
    smoothstep,
    to_rgb,
    weighted_mean,
    weighted_quantile,
)
from toonify.portrait.scene import Head
from toonify.portrait.shapes import cut, raster_mask
from toonify.portrait.strands import strand_lines, strand_strokes
from toonify.portrait.subject import LIP_LOWER, LIP_UPPER
from toonify.portrait.tones import paint_tones, stretch, tone_colors

TONES = (0.3, 0.82)  # shares of hair that are below shade and below highlights
DARK_STRANDS, LIGHT_STRANDS = 34, 8  # strokes on a full head of hair,
FULL = 60_000.0  # which is that many px² of a unit face
SURE = 0.6  # share of a beard that the parser is sure of, from which it is no stubble
STUBBLE = 17.0  # how much darker than skin a beard is, up to which it is a shade


def paint_beard(head: Head) -> None:
    """A beard is hair; stubble a shade."""
    u, beard = head.unit, head.parts.beard
    p = head.face.points
    if float(beard.sum()) < 200 * u * u:
        return
    lips = f32(raster_mask([np.vstack([p[list(LIP_UPPER)], p[list(LIP_LOWER)][::-1]])], head.size))
    mask = f32(beard * (1 - np.clip(blur(lips / 255, 1.0 * u), 0, 1)) * (1 - head.parts.cover))
    along = head.flow.average(mask)
    inside = f32(np.clip((mask - 0.55) * 3, 0, 1))
    color = weighted_mean(head.lab, inside)
    depth = float(head.palette.skin[0] - color[0])
    # a gray beard may be as light as skin, but the parser is sure of it
    sure = float((mask > 0.8).sum()) / max(float((mask > 0.5).sum()), 1.0)
    if depth < STUBBLE and sure < SURE:
        color[1:] *= head.style.saturation
        region = signed_distance(blur(smoothstep(along, 0.35, 0.65), 4 * u))
        rings = cut(region, area=300 * u * u)
        shade = 0.7 * float(smoothstep(depth, 3.0, 10.0))
        head.add(rings, to_rgb(color), opacity=shade, blur=head.style.softness * 0.5 * u)
        return
    region = signed_distance(blur(smoothstep(along, 0.35, 0.65), 1.8 * u))
    paint_hair(head, region, mask)


def paint_hair(head: Head, hair: Field, mask: Field | None = None) -> None:
    """Paint the region `hair` (a signed distance); `mask` (0..1) is where its colors are read."""
    lab, u, style = head.lab, head.unit, head.style
    mask = head.parts.hair if mask is None else mask
    inside = f32(np.clip((mask - 0.55) * 3, 0, 1))
    if float(inside.sum()) < 150 * u * u:
        return
    lum = lab[..., 0]
    filled = f32(lum * inside + fill_from(lum, inside, 4, 14) * (1 - inside))
    fine = blur(filled, 1.0)
    both = head.flow.average(np.dstack([fine, blur(filled, 1.3 * u) - blur(filled, 4.5 * u)]))
    # Light and shade on hair run along its strands: averaged along them twice, few large shapes
    # are left.
    tone = head.flow.average(blur(both[..., 0], 1.2 * u))
    tone = blur(f32(0.7 * tone + 0.3 * blur(tone, 9 * u)), 2 * u)
    whole = mask is head.parts.hair
    memory = head.memory.sub("hair" if whole else "beard")
    cuts = list(memory.average("cuts", weighted_quantile(tone, inside, TONES)))
    means, _ = tone_colors(lab, tone, inside, cuts, memory=memory)
    mid = memory.average("mid", weighted_mean(lab, inside))
    spread = float(means[-1][0] - means[0][0])
    # Flat light still wants shade to be seen: some 11 units of lightness between the ends.
    contrast = style.hair_contrast * max(1.0, 11 / max(spread, 4.0))
    colors = [stretch(m, mid, contrast, style.saturation) for m in means]
    # Gloss on dark hair is no gray hair: highlights keep within reach of the hair's own tone.
    own = float(means[1][0])
    colors[2][0] = min(colors[2][0], own + 9 + 0.4 * own)
    if mid[0] < style.spot_black:
        colors = [
            f32([5, 0, 0]),
            f32([5, 0, 0]),
            f32([max(colors[2][0], 30), *(colors[2][1:] * 0.8)]),
        ]
    if style.paper:
        colors = [f32([100 - (100 - c[0]) * 0.8, *(c[1:] * 0.95)]) for c in colors]
    paint_tones(
        head.add, hair, tone, cuts, colors, area=160 * u * u, softness=style.softness * 0.3 * u
    )
    dark = colors[0].copy()
    dark[0] = max(dark[0] * 0.6, 4)
    if whole:
        head.palette.hair_ink = to_rgb([min(dark[0], 22), mid[1] * 0.7, mid[2] * 0.6])
    if not style.strands:
        return
    detail = both[..., 1]
    scale = float(np.sqrt(weighted_mean((detail**2)[..., None], inside)[0])) + 0.15
    z = f32(detail / scale)
    light = colors[2].copy()
    light[0] = min(light[0] + 6, 97)
    share = min(1.0, float(inside.sum()) / (FULL * u * u))
    room = f32(np.minimum(hair, (0.5 - head.parts.cover) * 20))
    if memory.remembers:
        # traced lines would jump from frame to frame; what is cut moves with the hair
        level = np.minimum(np.minimum(room - 0.5, 4), (-z - 1.6) * 2)
        head.add(cut(f32(level), area=60 * u * u), to_rgb((dark + colors[0]) / 2))
        return
    black = float(colors[1][0]) < 8  # nothing darker is seen on it
    for strength, color, most, width in (
        (-z - 0.2, dark, 0 if black else DARK_STRANDS, 1.0),
        (z - (0.3 if black else 0.6), light, LIGHT_STRANDS * (2 if black else 1), 0.9),
    ):
        if not most:
            continue
        lines = strand_lines(f32(strength), room, head.flow, u, most=max(2, round(most * share)))
        for ring in strand_strokes(lines, head.pen * width):
            head.add([ring], to_rgb(color))
