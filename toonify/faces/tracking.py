"""Faces through time: who is who from frame to frame.

A face is looked for in the whole picture now and then; between, each known one is measured where
it is expected (position and speed). Who is who after two people cross or one hides another is
by where they were going and from what they look like.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from toonify.faces.types import RGB, Face, FaceDetector, Points, f32, is_plausible

DETECT_EVERY = 8  # frames
DETECT_ALONE = 4  # frames, while there is nobody
FORGET = 24  # frames after which a lost face is given up
SEEN_SCORE = 0.8  # that a followed face must have
LOOK = 20  # px, side of the thumbnails by which people are distinguished
SAME_LOOK = 0.35  # correlation of thumbnails below which it is somebody else
REACH = 0.9  # face widths that a face may be from where it is expected
SAME = 0.45  # overlap above which two boxes are one face
CUT_LEVELS = 22.0  # mean difference of small gray pictures that may be a cut
CUT_COLORS = 0.45  # Bhattacharyya distance of colors that may be one
SHORT = 48, 27  # size of those pictures
SAME_SCENE = 0.6  # correlation of their structure above which only the light changed
LEAST_SHOWN = 0.2  # part of a picture that has to be neither white nor black to tell anything


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """One person in one frame.

    Attributes:
        person: number of the track, from 1 on.
        face: where.
    """

    person: int
    face: Face


@dataclass(eq=False)
class _Track:
    number: int
    face: Face
    speed: Points  # (2,) px a frame
    look: Points  # (LOOK, LOOK, 3)
    lost: int = 0


class Tracker:
    """Follows everybody through the frames of a clip, in order.

    Args:
        detector: of the calling thread's own.
        largest: only the largest face counts; it changes when it is lost.
    """

    def __init__(self, detector: FaceDetector, *, largest: bool = False) -> None:
        self.detector, self.largest = detector, largest
        self._tracks: list[_Track] = []
        self._next = 1
        self._since = DETECT_EVERY  # frames since the whole picture was looked at
        self._turn: int | None = None  # looks since the last new shot; None before the first
        self._before: tuple[np.ndarray, Points] | None = None

    def step(self, rgb: RGB) -> tuple[list[TrackedFace], bool]:
        """Who is where in the next frame (H, W, 3) uint8, and whether it begins a new shot."""
        cut = self._is_cut(rgb)
        if cut:
            self._tracks, self._turn = [], None
        found = self._follow(rgb)
        wait = DETECT_EVERY if self._tracks else DETECT_ALONE
        missing = any(track.number not in found for track in self._tracks)
        self._since += 1
        if cut or self._since >= wait or (missing and self._since >= 2):
            self._detect(rgb, found)
            self._since = 0
        for track in self._tracks:
            if track.number in found:
                self._update(track, found[track.number], rgb)
            else:
                track.lost += 1
                track.speed = f32(track.speed * 0.8)
                track.face = _moved(track.face, track.speed)
        self._tracks = [track for track in self._tracks if track.lost <= FORGET]
        seen = [TrackedFace(number, face) for number, face in sorted(found.items())]
        if self.largest and seen:
            seen = [self._chosen(seen)]
        return seen, cut

    def _chosen(self, seen: list[TrackedFace]) -> TrackedFace:
        """The largest face, with a preference for the one chosen before."""
        old = min((track.number for track in self._tracks), default=0)
        return max(seen, key=lambda s: s.face.size * (1.5 if s.person == old else 1.0))

    def _follow(self, rgb: RGB) -> dict[int, Face]:
        """Known faces where they are expected."""
        found: dict[int, Face] = {}
        for track in self._tracks:
            if track.lost > 3:
                continue  # only the whole picture can bring it back
            face = self.detector.follow(rgb, _moved(track.face, track.speed))
            if face is None or face.score < SEEN_SCORE or not _inside(face, rgb):
                continue
            jump = np.hypot(*(_center(face) - _center(track.face) - track.speed)) / _width(face)
            if jump < REACH and _alike(track.look, _look(rgb, face)) > SAME_LOOK:
                found[track.number] = face
        # Two tracks on one face: it belongs to the one it looks like.
        for a in list(found):
            for b in list(found):
                if a < b and a in found and b in found and _overlap(found[a], found[b]) > SAME:
                    look = _look(rgb, found[a])
                    known = {t.number: _alike(t.look, look) for t in self._tracks}
                    found.pop(b if known[a] >= known[b] else a)
        return found

    def _detect(self, rgb: RGB, found: dict[int, Face]) -> None:
        """Look at the whole picture: lost people come back, new ones get tracks."""
        faces: list[Face] = []
        seen = self.detector.glance(rgb, self._turn)
        self._turn = 0 if self._turn is None else self._turn + 1
        for face in seen:
            known = any(_overlap(face, other) > 0.3 for other in found.values())
            if known or not _inside(face, rgb):
                continue
            face = self.detector.follow(rgb, face) or face  # measured as it will be later
            if not any(_overlap(face, other) > SAME for other in [*found.values(), *faces]):
                faces.append(face)
        waiting = [track for track in self._tracks if track.number not in found]
        pairs = []
        for i, face in enumerate(faces):
            look = _look(rgb, face)
            for track in waiting:
                away = np.hypot(*(_center(face) - _center(track.face))) / _width(track.face)
                size = abs(np.log(_width(face) / _width(track.face)))
                alike = _alike(track.look, look)
                if away < REACH * (1 + track.lost / 6) and size < 0.7 and alike > SAME_LOOK:
                    pairs.append((away / (1 + track.lost / 6) + size - alike, i, track.number))
        taken: set[int] = set()
        for _, i, number in sorted(pairs):
            if i not in taken and number not in found:
                found[number] = faces[i]
                taken.add(i)
        fresh = [face for i, face in enumerate(faces) if i not in taken]
        for face in sorted(fresh, key=lambda face: float(face.box[0])):  # numbered left to right
            track = _Track(self._next, face, f32([0, 0]), _look(rgb, face))
            self._tracks.append(track)
            found[self._next] = face
            self._next += 1

    def _update(self, track: _Track, face: Face, rgb: RGB) -> None:
        moved = f32((_center(face) - _center(track.face)) / (track.lost + 1))
        track.speed = f32(0.5 * track.speed + 0.5 * moved) if track.lost == 0 else moved * 0
        track.face, track.lost = face, 0
        track.look = f32(0.9 * track.look + 0.1 * _look(rgb, face))

    def _is_cut(self, rgb: RGB) -> bool:
        """The picture and its colors changed at once, and it is not the same one in another
        light; the first frame is none. White and black frames, as of a flash or a fade, tell
        nothing: what comes after them is compared with what was before."""
        small = np.asarray(cv2.resize(rgb, SHORT, interpolation=cv2.INTER_AREA), np.uint8)
        if _shown(small).mean() < LEAST_SHOWN:
            return False
        colors = cv2.calcHist([small], [0, 1, 2], None, [6, 6, 6], [0, 256] * 3)
        colors = f32(cv2.GaussianBlur(f32(colors).reshape(36, 6), (3, 3), 0))
        colors /= max(float(colors.sum()), 1e-6)
        before, self._before = self._before, (small, colors)
        if before is None:
            return False
        levels = float(np.abs(small.astype(np.int16) - before[0]).mean())
        distance = cv2.compareHist(colors, before[1], cv2.HISTCMP_BHATTACHARYYA)
        changed = (levels > CUT_LEVELS and distance > CUT_COLORS) or levels > 2.2 * CUT_LEVELS
        return bool(changed and _same_scene(before[0], small) < SAME_SCENE)

    def state(self) -> dict[str, Any]:
        """All that later frames depend on, JSON-able."""
        before = None
        if self._before is not None:
            before = [self._before[0].tolist(), self._before[1].tolist()]
        tracks = [
            {
                "number": track.number,
                "face": face_state(track.face),
                "speed": track.speed.tolist(),
                "look": track.look.tolist(),
                "lost": track.lost,
            }
            for track in self._tracks
        ]
        return {
            "tracks": tracks,
            "next": self._next,
            "since": self._since,
            "turn": self._turn,
            "before": before,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self._tracks = [
            _Track(
                number=int(entry["number"]),
                face=face_from(entry["face"]),
                speed=f32(entry["speed"]),
                look=f32(entry["look"]),
                lost=int(entry["lost"]),
            )
            for entry in state["tracks"]
        ]
        self._next, self._since = int(state["next"]), int(state["since"])
        self._turn = state["turn"]
        before = state["before"]
        self._before = None
        if before is not None:
            self._before = np.asarray(before[0], np.uint8), f32(before[1])


def _shown(small: np.ndarray) -> np.ndarray:
    """Where a picture (H, W, 3) uint8 is neither white nor black."""
    gray = small.mean(2)
    return np.asarray((gray > 5) & (gray < 249))


def _same_scene(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation, -1..1, of what two small pictures show, whatever the light: of their
    logarithms without what is coarse, where both show something."""
    both = (_shown(a) & _shown(b)).ravel()
    if both.mean() < LEAST_SHOWN:
        return 0.0
    fine = []
    for picture in (a, b):
        log = np.log(f32(picture.mean(2)) + 8)
        detail = (log - cv2.GaussianBlur(log, (0, 0), SHORT[0] / 12)).ravel()[both]
        fine.append(detail - detail.mean())
    lengths = [float(np.linalg.norm(detail)) for detail in fine]
    return float(fine[0] @ fine[1]) / max(lengths[0] * lengths[1], 1e-6)


def face_state(face: Face) -> dict[str, Any]:
    """A face, JSON-able."""
    points68 = None if face.points68 is None else face.points68.tolist()
    return {
        "box": face.box.tolist(),
        "score": face.score,
        "points5": face.points5.tolist(),
        "points68": points68,
    }


def face_from(state: dict[str, Any]) -> Face:
    """The face of `face_state`."""
    points68 = None if state["points68"] is None else f32(state["points68"])
    return Face(f32(state["box"]), float(state["score"]), f32(state["points5"]), points68)


def _center(face: Face) -> Points:
    return f32(face.points5.mean(0))


def _width(face: Face) -> float:
    return max(float(np.max(face.box[2:] - face.box[:2])), 1.0)


def _moved(face: Face, by: Points) -> Face:
    points68 = None if face.points68 is None else f32(face.points68 + by)
    box, points5 = f32(face.box + np.tile(by, 2)), f32(face.points5 + by)
    return replace(face, box=box, points5=points5, points68=points68)


def _inside(face: Face, rgb: RGB) -> bool:
    x, y = _center(face)
    return bool(0 <= x < rgb.shape[1] and 0 <= y < rgb.shape[0]) and is_plausible(face.points5)


def _overlap(a: Face, b: Face) -> float:
    low, high = np.maximum(a.box[:2], b.box[:2]), np.minimum(a.box[2:], b.box[2:])
    inter = float(np.maximum(high - low, 0).prod())
    return inter / max(a.size + b.size - inter, 1e-6)


def _look(rgb: RGB, face: Face) -> Points:
    """(LOOK, LOOK, 3): the face upright and small, of mean 0 and length 1."""
    p = face.points5.astype(np.float64)
    eyes, mouth = (p[0] + p[1]) / 2, (p[3] + p[4]) / 2
    down = mouth - eyes
    right = np.array([down[1], -down[0]])
    middle = eyes + 0.35 * down
    scale = 2.6 / LOOK
    linear = np.column_stack([right * scale, down * scale])
    shift = middle - linear @ np.full(2, (LOOK - 1) / 2)
    step = max(int(np.hypot(*down) * scale / 2), 1)
    source = rgb[::step, ::step]
    matrix = np.column_stack([linear, shift]) / step
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    small = cv2.warpAffine(
        np.ascontiguousarray(source),
        matrix,
        (LOOK, LOOK),
        flags=flags,
        borderMode=cv2.BORDER_REPLICATE,
    )
    look = f32(cv2.GaussianBlur(small, (3, 3), 0))
    look -= look.mean((0, 1), keepdims=True)
    return f32(look / max(float(np.linalg.norm(look)), 1e-6))


def _alike(a: Points, b: Points) -> float:
    """Correlation of two looks, -1..1."""
    return float((a * b).sum() / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-6))
