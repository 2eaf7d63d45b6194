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
from toonify.portrait.subject import LIP_LOWER, LIP_UPPER
from toonify.portrait.tones import paint_tones, stretch, tone_colors


def paint_beard(head: Head) -> None:
    """A beard is hair; stubble a shade."""
    u, beard = head.unit, head.parts.beard
    p = head.face.points
    if float(beard.sum()) < 200 * u * u:
        return
    lips = f32(raster_mask([np.vstack([p[list(LIP_UPPER)], p[list(LIP_LOWER)][::-1]])], head.size))
    mask = f32(beard * (1 - np.clip(blur(lips / 255, 1.0 * u), 0, 1)) * (1 - head.parts.cover))
    along = head.flow.average(mask)
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
    both = head.flow.average(np.dstack([fine, fine - blur(filled, 2.6)]))
    tone = f32(0.75 * both[..., 0] + 0.25 * blur(both[..., 0], 9 * u))
    tone = blur(tone, max(1.0, 1.8 * u))
    memory = head.memory.sub("hair" if mask is head.parts.hair else "beard")
    cuts = list(memory.average("cuts", weighted_quantile(tone, inside, [0.16, 0.45, 0.8])))
    means, _ = tone_colors(lab, tone, inside, cuts, memory=memory)
    mid = memory.average("mid", weighted_mean(lab, inside))
    spread = float(means[3][0] - means[0][0])
    # Flat light still wants strands to be seen: some 14 units of lightness between the ends.
    contrast = style.hair_contrast * max(1.0, 14 / max(spread, 4.0)) * 1.1
    colors = [stretch(m, mid, contrast, style.saturation) for m in means]
    # Gloss on dark hair is no gray hair: highlights keep within reach of the hair's own tone.
    own = float(means[1][0])
    colors[3][0] = min(colors[3][0], own + 12 + 0.45 * own)
    colors[2][0] = min(colors[2][0], own + 8 + 0.3 * own)
    if mid[0] < style.spot_black:
        colors = [
            f32([5, 0, 0]),
            f32([5, 0, 0]),
            f32([5, 0, 0]),
            f32([max(colors[3][0], 30), *(colors[3][1:] * 0.8)]),
        ]
    if style.paper:
        colors = [f32([100 - (100 - c[0]) * 0.8, *(c[1:] * 0.95)]) for c in colors]
    paint_tones(
        head.add, hair, tone, cuts, colors, area=45 * u * u, softness=style.softness * 0.3 * u
    )
    dark = colors[0].copy()
    dark[0] = max(dark[0] * 0.6, 4)
    if mask is head.parts.hair:
        head.palette.hair_ink = to_rgb([min(dark[0], 22), mid[1] * 0.7, mid[2] * 0.6])
    if not style.strands:
        return
    detail = both[..., 1]
    scale = float(np.sqrt(weighted_mean((detail**2)[..., None], inside)[0])) + 0.15
    z = detail / scale
    edge = np.minimum(hair - 0.5, 4)
    head.add(cut(f32(np.minimum(edge, (-z - 1.5) * 2)), area=28 * u * u), to_rgb(dark))
    light = colors[3].copy()
    light[0] = min(light[0] + 6, 97)
    head.add(cut(f32(np.minimum(edge - 1, (z - 2.0) * 2)), area=28 * u * u), to_rgb(light))
