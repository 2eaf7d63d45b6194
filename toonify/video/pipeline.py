"""From frames to drawn frames, a block at a time.

Smoothing looks a few frames ahead, so several blocks are under way at once: while block n is
composed, n + 1 is drawn, n + 2 encoded and n + 3 tracked. All that later blocks depend on can be
saved between two blocks, and a run that goes on from there computes the very same numbers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np

from toonify.engines.base import Engine, Placed
from toonify.errors import InputError
from toonify.faces import Alignment, Face
from toonify.faces.smoothing import smoothed_face, smoothed_latent, width_of
from toonify.faces.tracking import TrackedFace, Tracker, face_from, face_state
from toonify.faces.types import Points, f32
from toonify.media.video import Pixels, VideoFrame
from toonify.tuning import sharing_cores
from toonify.video.assignment import CharacterAssignment
from toonify.video.compositor import compositor_of
from toonify.video.steadied import Steadied
from toonify.video.temporal_consistency import TemporalConsistency

FADE = 3  # frames over which somebody appears or vanishes
SURE = 3  # frames that somebody is seen in before they are drawn
LANES = 2  # faces are drawn, and frames composed, at the same time


@dataclass(frozen=True, eq=False)
class Drawn:
    """A frame and its picture with drawings: as many channels and bits as the frame's."""

    frame: VideoFrame
    pixels: Pixels
    people: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Place:
    """A person in a frame, to be drawn."""

    person: int
    region: Alignment


@dataclass(eq=False)
class _Block:
    number: int
    frames: list[VideoFrame]
    before: dict[str, Any]  # the tracker's state ahead of the block, and its first frame
    tracked_faces: list[list[TrackedFace]] = field(default_factory=list)
    cuts: list[bool] = field(default_factory=list)
    places: list[list[_Place]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _DrawnBlock:
    """Frames and what is to be laid into them.

    Attributes:
        people: who is still seen.
        ahead: `_Block.before` of the next block; None behind the last one.
    """

    rows: list[tuple[VideoFrame, list[Placed]]]
    people: set[int]
    ahead: dict[str, Any] | None


class Pipeline:
    """Draws the people of one clip.

    Args:
        engine: draws a face.
        tracker: with a detector that nobody else uses.
        assignment: characters by person.
        smooth: 0..1.
        time_base: seconds a tick of the frames' timestamps: smoothing is as wide in seconds
            whatever the rate, and where that varies.
        block: frames a block.
    """

    def __init__(
        self,
        engine: Engine,
        tracker: Tracker,
        assignment: CharacterAssignment,
        *,
        smooth: float,
        time_base: Fraction,
        block: int = 8,
    ) -> None:
        self.engine, self.tracker, self.assignment = engine, tracker, assignment
        self.block = block
        self.width, self.reach = width_of(smooth), block
        self.time_base = time_base
        self.compositor = compositor_of(engine, smooth)
        self.temporal_consistency = TemporalConsistency()
        self.people: dict[int, int] = {}  # person -> frames drawn
        self._faces: dict[int, dict[int, Face]] = {}
        self._latents: dict[int, dict[int, Points]] = {}
        self._first: dict[int, Points] = {}  # person -> first latent, where that one is kept
        self._times: dict[int, float] = {}  # seconds at which frames are shown
        self._cuts: set[int] = set()
        self._ahead: dict[str, Any] | None = None  # the tracker's state after the drawn blocks
        self._last: int | None = None  # the clip's last frame, once known

    def run(self, frames: Iterable[VideoFrame]) -> Generator[list[Drawn], None, None]:
        """Blocks of drawn frames, in order; between two of them `state()` may be called."""
        with closing(self._drawn_blocks(frames)) as blocks:
            if self.engine.whole_image:  # which draws as it composes: nothing is to do beside that
                for block in blocks:
                    self._ahead = block.ahead
                    yield self._compose(block)
            else:
                yield from self._composed_beside(blocks)

    def _composed_beside(self, blocks: Iterable[_DrawnBlock]) -> Iterator[list[Drawn]]:
        """Compose each block while faces of the next ones are drawn."""
        composing: Future[list[Drawn]] | None = None
        ahead: dict[str, Any] | None = None
        with sharing_cores(LANES), ThreadPoolExecutor(1) as beside:
            try:
                for block in blocks:
                    if composing is not None:
                        done, self._ahead = composing.result(), ahead
                        yield done
                    composing, ahead = beside.submit(self._compose, block), block.ahead
                if composing is not None:
                    done, self._ahead = composing.result(), ahead
                    yield done
            finally:
                if composing is not None:
                    _wait(composing)

    def _drawn_blocks(self, frames: Iterable[VideoFrame]) -> Generator[_DrawnBlock, None, None]:
        """Blocks whose faces are drawn, in order."""
        source = iter(frames)
        under_way: list[_Block] = []
        with ThreadPoolExecutor(1) as pool:
            try:
                coming = pool.submit(self._track, source)
                while True:
                    block = coming.result()
                    if block is not None:
                        coming = pool.submit(self._track, source)
                        under_way.append(block)
                        self._learn(block)
                    else:
                        self._last = under_way[-1].frames[-1].index if under_way else None
                    # Blocks whose successors are known, or that have none.
                    for other in under_way:
                        follows = block is None or other is not under_way[-1]
                        if follows and not other.places:
                            self._plan(other)
                    ready = 2 if block is not None else 0
                    while len(under_way) > ready:
                        rows = self._draw(under_way.pop(0))
                        ahead = under_way[0].before if under_way else None
                        yield _DrawnBlock(rows, set(self._faces), ahead)
                    if block is None:
                        return
            finally:
                _wait(coming)

    def _track(self, source: Iterator[VideoFrame]) -> _Block | None:
        """Runs in a thread of its own: the detector and the tracker are used nowhere else."""
        before = self.tracker.state()
        frames = list(islice(source, self.block))
        if not frames:
            return None
        first = frames[0].index
        block = _Block(first // self.block, frames, {"tracker": before, "frame": first})
        for frame in frames:
            tracked_faces, cut = self.tracker.step(frame.rgb)
            block.tracked_faces.append(tracked_faces)
            block.cuts.append(cut)
        return block

    def _learn(self, block: _Block) -> None:
        for frame, tracked_faces, cut in zip(
            block.frames, block.tracked_faces, block.cuts, strict=True
        ):
            self._times[frame.index] = float(frame.pts * self.time_base)
            for tracked_face in tracked_faces:
                self._faces.setdefault(tracked_face.person, {})[frame.index] = tracked_face.face
            if cut:
                self._cuts.add(frame.index)

    def _plan(self, block: _Block) -> None:
        """Who is drawn where in a block, and their latents."""
        self._prune(block)
        needed = SURE if self._last is None else min(SURE, self._last + 1)
        regions = []
        for frame in block.frames:
            rgb, row = frame.rgb, []
            for person in sorted(self._faces):
                faces = self._faces[person]
                if len(faces) < needed:
                    continue
                face = smoothed_face(
                    faces, frame.index, self._times, width=self.width, reach=self.reach
                )
                if face is None:
                    continue
                try:
                    row.append(_Place(person, self.engine.locate(rgb, face)))
                except InputError:
                    continue  # it slid out of the picture
            block.places.append(row)
            across = {place.person: float(_middle(place.region.face)[0]) for place in row}
            self.assignment.appear({who: x / rgb.shape[1] for who, x in across.items()})
            regions += [(frame.index, place) for place in row]
        for index, place, latent in self._encoded(regions):
            self._latents.setdefault(place.person, {})[index] = latent

    def _encoded(self, regions: list[tuple[int, _Place]]) -> list[tuple[int, _Place, Points]]:
        """The places' latents; people are new after a cut, so a kept latent lasts until then."""
        fresh = regions
        if self.engine.keeps_latents:
            new = {place.person: (index, place) for index, place in reversed(regions)}
            fresh = [item for person, item in new.items() if person not in self._first]
        latents: list[Points] = []
        if fresh:
            places = [place for _, place in fresh]
            regions_of, people = zip(
                *((place.region, place.person) for place in places), strict=True
            )
            latents.extend(self.engine.encode_clip(regions_of, people))
        if not self.engine.keeps_latents:
            return [(at, place, latent) for (at, place), latent in zip(fresh, latents, strict=True)]
        for (_, place), latent in zip(fresh, latents, strict=True):
            self._first[place.person] = latent
        return [(index, place, self._first[place.person]) for index, place in regions]

    def _prune(self, block: _Block) -> None:
        """Keep what this block and its neighbors need: the one before is not drawn yet, and looks
        back on its own predecessor."""
        first = (block.number - 2) * self.block
        for table in (self._faces, self._latents):
            for person in list(table):
                kept = {at: value for at, value in table[person].items() if at >= first}
                if kept:
                    table[person] = kept  # type: ignore[assignment]
                else:
                    del table[person]
        self._first = {who: latent for who, latent in self._first.items() if who in self._faces}
        self._cuts = {at for at in self._cuts if at >= first}
        self._times = {at: shown for at, shown in self._times.items() if at >= first}

    def _draw(self, block: _Block) -> list[tuple[VideoFrame, list[Placed]]]:
        rows = [
            (frame, place)
            for frame, places in zip(block.frames, block.places, strict=True)
            for place in places
        ]
        toons: list[Any] = []
        if rows:
            latents = np.stack([self._latent(place.person, frame.index) for frame, place in rows])
            names = [self.assignment[place.person] for _, place in rows]
            toons = self.engine.draw_located([place.region for _, place in rows], latents, names)
        drawings = iter(toons)
        done = []
        for frame, places in zip(block.frames, block.places, strict=True):
            items = [
                Placed(
                    place.person,
                    next(drawings),
                    place.region,
                    self._opacity(place.person, frame.index),
                )
                for place in places
            ]
            done.append((frame, items))
        return done

    def _compose(self, block: _DrawnBlock) -> list[Drawn]:
        """May run in a thread of its own, block after block."""
        done = [self._composed(frame, items) for frame, items in block.rows]
        self.compositor.forget(block.people)
        return done

    def _composed(self, frame: VideoFrame, items: list[Placed]) -> Drawn:
        if frame.index in self._cuts:
            self.temporal_consistency.pause()
        rgb = frame.rgb
        if not items and not self.compositor.scenes:
            self.temporal_consistency.add(rgb, rgb, [])
            return Drawn(frame, frame.pixels, ())
        drawn = self.compositor.compose(rgb, items)
        whole = f32([0, 0, rgb.shape[1], rgb.shape[0]])
        boxes = [item.region.face.box for item in items] or [whole]
        flow = self.compositor.flow if isinstance(self.compositor, Steadied) else None
        self.temporal_consistency.add(rgb, drawn, boxes, flow=flow)
        for item in items:
            self.people[item.person] = self.people.get(item.person, 0) + 1
        pixels = frame.pixels.copy()
        if pixels.dtype == np.uint8:
            pixels[..., :3] = drawn
        else:  # what is not drawn keeps its depth
            changed = (drawn != rgb).any(2)
            pixels[..., :3][changed] = drawn[changed].astype(np.uint16) * 257
        return Drawn(frame, pixels, tuple(item.person for item in items))

    def _latent(self, person: int, at: int) -> Points:
        """The person's latent, steady in time."""
        latents = self._latents[person]
        return smoothed_latent(latents, at, self._times, width=self.width, reach=self.reach)

    def _opacity(self, person: int, at: int) -> float:
        """1, less where somebody appears or vanishes other than by a cut."""
        latents, value = self._latents[person], FADE + 1
        for away in range(1, FADE + 1):
            if at - away not in latents:
                first = at - away + 1
                if first != 0 and first not in self._cuts:
                    value = min(value, away)
                break
        for away in range(1, FADE + 1):
            if at + away not in latents:
                if at + away - 1 != self._last and at + away not in self._cuts:
                    value = min(value, away)
                break
        return value / (FADE + 1)

    def forget_counts(self) -> None:
        """Count from here on who is drawn, and compare from here on how steadily."""
        self.people = {}
        self.temporal_consistency = TemporalConsistency()

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """What a later run needs to go on after the blocks given out: JSON-able values, and
        arrays. None when there is nothing left to do."""
        if self._ahead is None:
            return None
        upto = self._ahead["frame"]
        faces = {
            str(person): {str(at): face_state(face) for at, face in seen.items() if at < upto}
            for person, seen in self._faces.items()
        }
        values = {
            "tracker": self._ahead["tracker"],
            "faces": faces,
            "times": {str(at): shown for at, shown in self._times.items() if at < upto},
            "cuts": sorted(at for at in self._cuts if at < upto),
            "assignment": self.assignment.state(),
            "people": {str(person): count for person, count in self.people.items()},
            "warping_error": self.temporal_consistency.state(),
        }
        arrays = {f"paste.{key}": value for key, value in self.compositor.state().items()}
        for person, latent in self._first.items():
            arrays[f"first.{person}"] = latent
        for person, latents in self._latents.items():
            for at, latent in latents.items():
                if at < upto:
                    arrays[f"latent.{person}.{at}"] = latent
        return values, arrays

    @property
    def finished(self) -> bool:
        """Whether the blocks given out so far are all there is."""
        return self._ahead is None

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Go on from `state()`."""
        self.tracker.restore(values["tracker"])
        self._faces = {
            int(person): {int(at): face_from(face) for at, face in seen.items()}
            for person, seen in values["faces"].items()
            if seen
        }
        self._times = {int(at): shown for at, shown in values["times"].items()}
        self._cuts = set(values["cuts"])
        self.assignment.restore(values["assignment"])
        self.people = {int(person): int(n) for person, n in values["people"].items()}
        self.temporal_consistency.restore(values["warping_error"])
        paste = {}
        for key, value in arrays.items():
            kind, _, rest = key.partition(".")
            if kind == "paste":
                paste[rest] = value
            elif kind == "first":
                self._first[int(rest)] = value
            elif kind in ("latent", "code"):  # the latter as once written
                person, _, at = rest.partition(".")
                self._latents.setdefault(int(person), {})[int(at)] = value
        self.compositor.restore(paste)


def _wait(coming: Future[Any]) -> None:
    """Let a thread end before what it works on is closed."""
    if not coming.cancel():
        coming.exception()


def _middle(face: Face) -> Points:
    return f32(face.points5.mean(0))
