"""Drawings laid into frames, steadily: outlines are smoothed, and what is decided for a person
(silhouette or square, hair painted over or not) stays decided while nothing speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from toonify.engines.base import Engine, FrameCompositor, Placed
from toonify.faces import Alignment
from toonify.faces.alignment import overlay, square_mask, unit_to_photo
from toonify.faces.backdrop import HeadPatch, head_patch, paint_patch
from toonify.faces.types import RGB, Points, f32
from toonify.video.steadied import Steadied

STUBBORN = 12  # frames of the contrary in a row that change a decision
PATCH_EVERY = 3  # frames between looks at what is behind a head


@dataclass(eq=False)
class _Person:
    """What is remembered of one person."""

    matte: Points | None = None
    cover: Points | None = None  # what stands before the face
    silhouette: bool = True
    against_silhouette: int = 0
    colors: Points | None = None  # of the head's patch
    weight: Points | None = None
    clearing: bool = True
    against_clearing: int = 0
    strength: float = 0.0  # of the patch: it comes and goes slowly
    frames: int = 0


class Compositor:
    """Lays drawings into the frames of a clip, in order.

    Args:
        engine: knows its drawings' silhouettes.
        smooth: 0 takes each frame for itself, 1 is steadiest.
    """

    scenes = False  # frames without people stay as they are

    def __init__(self, engine: Engine, smooth: float) -> None:
        self.engine, self.smooth = engine, smooth
        self._people: dict[int, _Person] = {}

    def compose(self, rgb: RGB, items: list[Placed]) -> RGB:
        """A frame (H, W, 3) uint8 with its drawings, smaller faces behind larger ones."""
        out = rgb.copy()
        for item in sorted(items, key=lambda item: item.region.face.size):
            person = self._people.setdefault(item.person, _Person())
            cover = self._cover(person, item)
            before = out.copy() if cover is not None else out
            mask = self._mask(person, item)
            if person.silhouette and self.engine.clears_hair:
                self._clear(person, rgb, out, mask, item)
            overlay(out, item.toon, f32(mask * item.opacity), item.region)
            if cover is not None:
                _lay_back(out, before, cover, item.region)
            person.frames += 1
        return out

    def _cover(self, person: _Person, item: Placed) -> Points | None:
        """What stands before the face, in px of the region; None for nothing."""
        cover = self.engine.occlusion(item.region)
        if cover is None:
            return None
        if person.cover is not None:
            fresh = 1 - 0.4 * self.smooth  # hands are quick
            cover = f32(person.cover + fresh * (cover - person.cover))
        person.cover = cover
        return cover if float(cover.max()) > 0.02 else None

    def forget(self, keep: set[int]) -> None:
        """Drop everybody but `keep`."""
        self._people = {n: person for n, person in self._people.items() if n in keep}

    def _mask(self, person: _Person, item: Placed) -> Points:
        toon = item.toon
        matte = self.engine.matte(item.region, toon)
        contrary = (matte is not None) != person.silhouette
        person.against_silhouette = person.against_silhouette + 1 if contrary else 0
        if contrary and (person.frames == 0 or person.against_silhouette >= STUBBORN):
            person.silhouette = not person.silhouette
            person.against_silhouette = 0
        if not person.silhouette:
            return square_mask(toon.shape[0])
        if matte is not None:
            before = person.matte
            fresh = 1 - 0.6 * self.smooth
            person.matte = matte if before is None else f32(before + fresh * (matte - before))
        if person.matte is None:
            return square_mask(toon.shape[0])
        return self.engine.mask(person.matte)

    def _clear(self, person: _Person, rgb: RGB, out: RGB, mask: Points, item: Placed) -> None:
        """Paint over the hair that sticks out in front of a plain wall.

        Long hair too, unlike in photographs: from frame to frame it would be found long or not,
        and come and go.
        """
        place = unit_to_photo(item.region)
        if person.frames % PATCH_EVERY == 0 or self.smooth == 0:
            patch = head_patch(rgb, place, mask, long_hair=True)
            contrary = (patch is not None) != person.clearing
            person.against_clearing = person.against_clearing + 1 if contrary else 0
            patience = STUBBORN // PATCH_EVERY if self.smooth else 1
            if contrary and (person.frames == 0 or person.against_clearing >= patience):
                person.clearing = not person.clearing
                person.against_clearing = 0
            if patch is not None:
                fresh = 1 - 0.8 * self.smooth
                if person.colors is None or person.weight is None:
                    person.colors, person.weight = f32(patch.colors), patch.weight
                else:
                    colors, weight = person.colors, person.weight
                    person.colors = f32(colors + fresh * (f32(patch.colors) - colors))
                    person.weight = f32(weight + fresh * (patch.weight - weight))
        step = 1.0 if person.frames == 0 or self.smooth == 0 else 1 / STUBBORN
        wanted = float(person.clearing)
        person.strength += float(np.clip(wanted - person.strength, -step, step))
        if person.strength > 0 and person.colors is not None and person.weight is not None:
            painted = np.clip(np.rint(person.colors), 0, 255).astype(np.uint8)
            weight = f32(person.weight * item.opacity * person.strength)
            paint_patch(out, place, HeadPatch(painted, weight))

    def state(self) -> dict[str, np.ndarray]:
        """Arrays by name, for `restore`."""
        arrays: dict[str, np.ndarray] = {}
        for number, person in self._people.items():
            flags: list[float] = [person.silhouette, person.against_silhouette, person.clearing]
            flags += [person.against_clearing, person.frames, person.strength]
            arrays[f"{number}.flags"] = np.array(flags, np.float64)
            for name in ("matte", "cover", "colors", "weight"):
                value = getattr(person, name)
                if value is not None:
                    arrays[f"{number}.{name}"] = value
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `state()`."""
        self._people = {}
        for key, value in arrays.items():
            number, _, name = key.partition(".")
            person = self._people.setdefault(int(number), _Person())
            if name == "flags":
                silhouette, against, clearing, contrary, frames = (int(v) for v in value[:5])
                person.silhouette, person.against_silhouette = bool(silhouette), against
                person.clearing, person.against_clearing = bool(clearing), contrary
                person.frames, person.strength = frames, float(value[5])
            else:
                setattr(person, name, f32(value))


def _lay_back(out: RGB, before: RGB, cover: Points, region: Alignment) -> None:
    """What stands before a face, from the frame as it was before the face was drawn, in place."""
    height, width = out.shape[:2]
    share = f32(cv2.warpAffine(cover, region.matrix, (width, height)))
    out[:] = cv2.blendLinear(before, out, share, f32(1 - share))


def compositor_of(engine: Engine, smooth: float) -> FrameCompositor:
    """What makes an engine's drawings into frames: its own, or what lays them in."""
    own = engine.compositor(smooth) or Compositor(engine, smooth)
    return Steadied(own, smooth) if smooth else own
