"""How a part of another face takes the photograph's tone and light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toonify.editing.part_layers import Toning
from toonify.editing.part_light import (
    COARSE,
    GAMMA,
    Kept,
    grown,
    membrane,
    mesh_normals,
    parted,
    shrunk,
    skin_base,
    skin_weight,
    to_log,
    toned,
)
from toonify.editing.part_people import Person
from toonify.editing.part_shapes import (
    BROWS,
    INNER_LIPS,
    LIDS,
    LIPS,
    NEAR_EYES,
    SHAPES,
    SOCKETS,
    filled,
    hull_of,
    remapped,
)
from toonify.faces.types import Points, f32
from toonify.portrait.fields import blur, smoothstep
from toonify.portrait.subject import LIP_LOWER, LIP_UPPER, OVAL, Subject

EYE_LIGHT = (0.6, 1.6)  # limits of what light does to the white of an eye, in levels
TEETH = -0.1  # logarithm of what becomes of theirs: lips shade them
KEPT = {"brows": Kept(gloss=0.15, color=0.4), "mouth": Kept(gloss=0.7), "hair": Kept(0.6, 0.5)}


class Toner:
    """Tones parts of `other` as the skin of `photo` is."""

    def __init__(self, photo: Person, other: Person) -> None:
        self.photo, self.other = photo, other
        self.face, self.unit = photo.subject.face, photo.subject.face.unit
        self.size = photo.size

    def toning(self, flow: Points, own: Points, alpha: Points, target: Points, name: str) -> Toning:
        """Of a layer, see `Layer`; `target` are the face's points (N, 2) there, `name` its part."""
        mine = remapped(f32(self.photo.subject.rgb), own)
        theirs = remapped(f32(self.other.subject.rgb), flow)
        parts = self.other.subject.parts
        skin = self._sure(self.photo.subject, self.photo.before(), self.face.points)
        other_skin = remapped(parts.skin, flow)
        free = 1 - np.clip(remapped(self.other.before(), flow), 0, 1)
        bare = f32(skin * other_skin * free * (1 - remapped(parts.beard, flow)))
        for around_feature in (*SOCKETS, LIPS):
            bare = bare * (1 - hull_of(around_feature, target, self.size))
        unclipped = f32((mine.max(2) < 252) & (theirs.max(2) < 252))
        a, b = to_log(blur(mine, 1.2 * self.unit)), to_log(blur(theirs, 1.2 * self.unit))
        normals = shrunk(mesh_normals(self.face.points3d, self.size, self.unit))
        sure = shrunk(f32(bare * unclipped))
        small_a, small_b = shrunk(a), shrunk(b)
        base, wanted = (skin_base(each, sure, normals) for each in (small_b, small_a))
        # what still differs around the part
        kept = KEPT.get(name, Kept())
        made = toned(small_b, base, wanted, kept)
        ring = smoothstep(alpha, 0.0, 0.15) * (1 - smoothstep(alpha, 0.35, 0.8))
        around = shrunk(f32(ring * skin_weight(skin, other_skin, free)))
        unit = self.unit / COARSE
        wanted = wanted + membrane(f32(np.clip(small_a - made, -0.6, 0.6)), around, unit)
        if name in SHAPES:  # skin within the part has the photograph's color, less its light
            within = f32(skin * other_skin * free * unclipped * alpha)
            for feature in (*NEAR_EYES, *BROWS, LIPS):
                within = within * (1 - hull_of(feature, target, self.size))
                within = within * (1 - hull_of(feature, self.face.points, self.size))
            left = f32(np.clip(small_a - toned(small_b, base, wanted, kept), -0.9, 0.9))
            light, color = parted(membrane(left, shrunk(within) + 0.1 * around, 2.0 * unit))
            # the less alike the two skins are lit, the more of the light is the photograph's
            way = np.clip(np.abs(wanted - base).max(2, keepdims=True), 0, 1.2) / 1.2
            wanted = wanted + 0.85 * color + (0.45 + 0.4 * way) * light
        if name == "mouth":
            lips = (
                shrunk(filled_lips(target, self.size)),
                shrunk(filled_lips(self.face.points, self.size)),
            )
            means = [
                (each * mask[..., None]).sum((0, 1)) / max(float(mask.sum()), 1e-6)
                for each, mask in zip((toned(small_b, base, wanted), small_a), lips, strict=True)
            ]
            way = float(np.clip(np.abs(wanted - base)[lips[0] > 0.5].mean(), 0, 1.2)) / 1.2
            added = np.clip(means[1] - means[0], -1, 1) * (0.15 + 0.65 * way)
            wanted = f32(wanted + blur(lips[0], 2 * unit)[..., None] * added)
        white, light = self._whites(mine, theirs, target, name, flow)
        return Toning(grown(base, self.size), grown(f32(wanted), self.size), white, light, kept)

    def _sure(self, subject: Subject, before: Points, points: Points) -> Points:
        parts = subject.parts
        oval = filled(OVAL, points, self.size)
        return f32(oval * parts.skin * (1 - np.clip(before + parts.beard, 0, 1)))

    def _whites(
        self, mine: Points, theirs: Points, target: Points, name: str, flow: Points
    ) -> tuple[Points, Points]:
        """Eyes and teeth have no tone of skin: light alone changes them."""
        white = np.zeros(self.size[::-1], np.float32)
        light = np.zeros((*self.size[::-1], 3), np.float32)
        if name == "eyes":
            for ring in LIDS:
                inside = filled(ring, target, self.size)
                was = filled(ring, self.face.points, self.size)
                gain = np.log(bright(mine, was) / bright(theirs, inside))
                color = gain - gain.mean()
                gain = np.clip(gain.mean(), *np.log(EYE_LIGHT)) + 0.7 * np.clip(color, -0.4, 0.4)
                white = np.maximum(white, blur(inside, 1.2 * self.unit))
                light[blur(inside, 6 * self.unit) > 0.01] = GAMMA * gain
        if name == "mouth":
            inside = filled(INNER_LIPS, target, self.size)
            white = blur(inside, 1.2 * self.unit)
            light += TEETH
        if name == "glasses":
            white[:] = 1.0
        if name == "area":
            parts = self.other.subject.parts
            skin = np.maximum(remapped(parts.skin, flow), remapped(parts.beard, flow))
            white = 1 - smoothstep(skin, 0.2, 0.7)
        return white, light


def bright(rgb: Points, where: Points) -> NDArray[np.float64]:
    """The color (3,) of what is bright under a mask, of the white of an eye say."""
    seen = rgb[where > 0.6]
    if len(seen) < 9:
        return np.full(3, 128.0)
    light = seen.mean(1)
    return np.asarray(seen[light >= np.quantile(light, 0.75)].mean(0) + 8.0, np.float64)


def filled_lips(points: Points, size: tuple[int, int]) -> Points:
    """(h, w) in 0..1 of lips without what is between them."""
    outer = LIP_UPPER + LIP_LOWER[-2:0:-1]
    return f32(np.clip(filled(outer, points, size) - filled(INNER_LIPS, points, size), 0, 1))
