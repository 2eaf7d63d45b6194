"""The portrait program: picture, meshes and parts in, a drawing of flat shapes out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toonify.portrait.features import paint_brows, paint_eyes, paint_mouth, paint_nose
from toonify.portrait.fields import (
    Field,
    Streamlines,
    blur,
    f32,
    signed_distance,
    smoothstep,
    to_lab,
)
from toonify.portrait.hair import paint_beard, paint_hair
from toonify.portrait.lines import paint_head_lines
from toonify.portrait.memory import NO_MEMORY, Steady
from toonify.portrait.scene import Head
from toonify.portrait.shapes import Drawing, cut, raster_mask, spline
from toonify.portrait.skin import paint_lenses, paint_marks, paint_skin
from toonify.portrait.styles import Style
from toonify.portrait.subject import OVAL, RGB, Subject
from toonify.portrait.surroundings import (
    paint_background,
    paint_cover,
    paint_people,
    silhouette,
)

OUTLINE = 1.5  # px of a picture 640 px long: half of what lines are wide


def draw_picture(
    rgb: RGB,
    person: Field,
    subjects: Sequence[Subject],
    style: Style,
    *,
    memory: Steady = NO_MEMORY,
) -> Drawing:
    """Draw a whole picture (H, W, 3) uint8.

    Args:
        person: (H, W) 0..1, where anybody is.
        subjects: the heads in it; nearer (larger) ones are drawn over farther ones.
        memory: of a clip.
    """
    lab = to_lab(rgb)
    height, width = lab.shape[:2]
    drawing = Drawing(width, height, f32([0.5, 0.5, 0.5]))
    flow = Streamlines(lab[..., 0], sigma=1.2, spread=5.0, reach=14)
    heads = []
    for subject in sorted(subjects, key=lambda one: one.face.unit * one.scale):
        own = to_lab(subject.rgb)
        own_flow = Streamlines(own[..., 0], sigma=1.2, spread=5.0, reach=24)
        heads.append(
            Head(
                own,
                own_flow,
                subject.face,
                subject.parts,
                style,
                drawing,
                subject.offset,
                subject.scale,
                subject.memory,
            )
        )
    unit = heads[-1].unit * heads[-1].scale if heads else max(width, height) / 640
    paint_background(drawing, lab, person, style, flow, memory.sub("background"))
    paint_people(drawing, lab, person, heads, style, flow, unit, memory.sub("people"))
    for head in heads:
        paint_head(head)
    return drawing


def draw_surroundings(
    rgb: RGB, person: Field, style: Style, *, memory: Steady = NO_MEMORY
) -> Drawing:
    """A picture's background, as `draw_picture`'s, and the silhouette of the people before it, who
    are not drawn, their outlines within it."""
    lab = to_lab(rgb)
    height, width = lab.shape[:2]
    drawing = Drawing(width, height, f32([0.5, 0.5, 0.5]))
    flow = Streamlines(lab[..., 0], sigma=1.2, spread=5.0, reach=14)
    paint_background(drawing, lab, person, style, flow, memory.sub("background"))
    unit = max(width, height) / 640
    drawing.silhouette.extend(cut(silhouette(person) + OUTLINE * unit, area=200 * unit * unit))
    return drawing


def paint_head(head: Head) -> None:
    """Skin, features and hair of one person, over what is painted already."""
    parts, face = head.parts, head.face
    oval = f32(raster_mask([spline(face.points[list(OVAL)], 140, closed=True)], head.size)) / 255

    def region(mask: Field, sigma: float) -> Field:
        return signed_distance(blur(smoothstep(mask, 0.3, 0.7), sigma))

    along = head.flow.average(parts.hair)
    hair = region(f32(0.5 * along + 0.5 * blur(parts.hair, 1.5)), 1.3)
    under = oval * (1 - parts.clothes) * np.clip(parts.person * 2 - 1, 0, 1)
    under = under * np.clip(parts.hair * 2, 0, 1)
    skin = region(f32(np.maximum(parts.skin, under)), 1.8)
    paint_skin(head, skin, f32(oval))
    paint_marks(head, skin)
    paint_nose(head)
    paint_beard(head)
    paint_mouth(head)
    paint_brows(head)
    paint_eyes(head)
    paint_lenses(head)
    paint_hair(head, hair)
    paint_head_lines(head, skin, hair)
    paint_cover(head)
