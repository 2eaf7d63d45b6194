"""One frame after the other drawn with what was seen before, and nothing of what comes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toonify.engines.base import Engine, Placed
from toonify.errors import InputError
from toonify.faces import Face
from toonify.faces.tracking import Tracker
from toonify.faces.types import RGB, Points, f32
from toonify.video.assignment import CharacterAssignment
from toonify.video.compositor import compositor_of

_QUICK = 0.15  # motion, in faces' sizes a frame, from which on the past no longer counts


class LiveRenderer:
    """Draws the people of frames that come one by one.

    Clips are smoothed by looking a few frames ahead; here what was seen before is averaged with
    what is seen now, which costs no delay.

    Args:
        engine: draws faces, or whole frames in a style.
        characters: rules, see `CharacterAssignment`.
        smooth: 0 takes each frame for itself; towards 1 the past counts for more.
        largest: only the largest face is drawn.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        characters: tuple[str, ...] = (),
        smooth: float = 0.5,
        largest: bool = False,
    ) -> None:
        self.engine, self.smooth = engine, smooth
        self.tracker = Tracker(engine.detector, largest=largest)
        self.assignment = CharacterAssignment(characters, engine.characters)
        self.compositor = compositor_of(engine, smooth)
        self._faces: dict[int, Face] = {}
        self._latents: dict[int, Points] = {}

    def draw(self, rgb: RGB) -> tuple[RGB, int]:
        """A frame (H, W, 3) uint8 drawn, and how many people are in it."""
        tracked_faces, cut = self.tracker.step(rgb)
        if cut:
            self._faces, self._latents = {}, {}
        people, regions = [], []
        for tracked_face in tracked_faces:
            face = self._steady(tracked_face.person, tracked_face.face)
            try:
                regions.append(self.engine.locate(rgb, face))
            except InputError:
                continue  # it slid out of the picture
            people.append(tracked_face.person)
        self._forget({tracked_face.person for tracked_face in tracked_faces})
        if not people and not self.compositor.scenes:
            return rgb, 0
        items: list[Placed] = []
        if people:
            across = [float(region.face.points5[:, 0].mean()) / rgb.shape[1] for region in regions]
            self.assignment.appear(dict(zip(people, across, strict=True)))
            latents = self.engine.encode(regions)
            latents = np.stack([self._blend(w, c) for w, c in zip(people, latents, strict=True)])
            names = [self.assignment[who] for who in people]
            toons = self.engine.draw_located(regions, f32(latents), names)
            items = [
                Placed(who, toon, region)
                for who, toon, region in zip(people, toons, regions, strict=True)
            ]
        drawn = self.compositor.compose(rgb, items)
        self.compositor.forget(set(self._faces))
        return drawn, len(people)

    def _steady(self, person: int, face: Face) -> Face:
        """Where a face is, averaged with where it was; quick motion is followed at once."""
        old = self._faces.get(person)
        if old is not None:
            moved = float(np.abs(face.points5 - old.points5).max()) / max(face.size**0.5, 1.0)
            share = self.smooth * max(0.0, 1 - moved / _QUICK)
            face = replace(
                face,
                box=f32(face.box + share * (old.box - face.box)),
                points5=f32(face.points5 + share * (old.points5 - face.points5)),
            )
        self._faces[person] = face
        return face

    def _blend(self, person: int, latent: Points) -> Points:
        old = self._latents.get(person)
        mixed = latent if old is None else f32(latent + self.smooth * (old - latent))
        self._latents[person] = mixed
        return mixed

    def _forget(self, seen: set[int]) -> None:
        self._faces = {who: face for who, face in self._faces.items() if who in seen}
        self._latents = {who: latent for who, latent in self._latents.items() if who in seen}
