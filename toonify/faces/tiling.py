"""Small faces of large pictures: looked for in overlapping tiles as well as in the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from toonify.faces.types import RGB, Face, FaceDetector, Points, f32

# The smallest face that is looked for by default: px, and of a picture's longest side.
SMALLEST, SMALLEST_SHARE = 24.0, 1 / 120
LEAST = 12.0  # px; below it there is no face to be seen
STEP = 4  # between the faces that the whole shows, and its tiles, and theirs
OVERLAP = 1.2  # of neighboring tiles, in sides of the smallest face that the step before shows
SAME = 0.4  # shared part of the smaller of two boxes, from which they are one face
SURE = 0.9  # score that a face has to have that the whole picture does not show
GLANCES = 4  # looks at a clip's frames in which all tiles have had their turn
FEW = 2  # tiles that are looked at in any case then


class TiledDetector(FaceDetector):
    """A detector that finds faces down to a given size, however large the picture.

    Args:
        detector: looks at a whole picture, shrunk.
        min_face: height in px of the smallest faces that are looked for; None takes
            `SMALLEST_SHARE` of the longest side, but at least `SMALLEST`.
    """

    def __init__(self, detector: FaceDetector, *, min_face: float | None = None) -> None:
        self.base, self.min_face = detector, min_face

    @property
    def name(self) -> str:
        return self.base.name

    def smallest(self, longest: float, *, quick: bool = False) -> float:
        """See `FaceDetector.smallest`."""
        wanted = max(self.min_face or max(SMALLEST, SMALLEST_SHARE * longest), LEAST)
        return min(wanted, self.base.smallest(longest) or wanted)

    def detect(self, rgb: RGB, *, quick: bool = False) -> list[Face]:
        """All faces of the whole picture and of its tiles, largest first."""
        faces = self.base.detect(rgb, quick=quick)
        return self._with_tiles(rgb, faces, self._tiles(rgb, quick))

    def detect_largest(self, rgb: RGB) -> list[Face]:
        """Faces of the whole picture; its tiles are looked at only where there are none."""
        faces = self.base.detect(rgb)
        return faces or self._with_tiles(rgb, faces, self._tiles(rgb, False))

    def glance(self, rgb: RGB, turn: int | None) -> list[Face]:
        """The whole picture, and a part of its tiles that changes with `turn`; None takes all."""
        tiles = self._tiles(rgb, True)
        if turn is not None and tiles:
            count = min(max(-(-len(tiles) // GLANCES), FEW), len(tiles))
            tiles = [tiles[(turn * count + i) % len(tiles)] for i in range(count)]
        return self._with_tiles(rgb, self.base.detect(rgb, quick=True), tiles)

    def follow(self, rgb: RGB, face: Face) -> Face | None:
        """As the detector does."""
        return self.base.follow(rgb, face)

    def _tiles(self, rgb: RGB, quick: bool) -> list[tuple[int, int, int, int]]:
        """Parts (x0, y0, x1, y1) that the whole picture's faces are too small in."""
        height, width = rgb.shape[:2]
        longest = max(height, width)
        shown = self.base.smallest(longest, quick=quick)
        wanted = self.smallest(longest)
        tiles: list[tuple[int, int, int, int]] = []
        while shown > wanted * 1.1:
            finer = max(wanted, shown / STEP)
            # the size at which a quick look shows faces of that height
            side = longest * finer / self.base.smallest(longest, quick=True)
            overlap = min(OVERLAP * shown, side / 2)
            tiles += [
                (x0, y0, x1, y1)
                for y0, y1 in _spans(height, side, overlap)
                for x0, x1 in _spans(width, side, overlap)
            ]
            shown = finer
        return tiles

    def _with_tiles(
        self, rgb: RGB, faces: list[Face], tiles: list[tuple[int, int, int, int]]
    ) -> list[Face]:
        """Faces of tiles that are not among `faces` yet are added."""
        small: list[Face] = []
        for tile in tiles:
            small += [face for face in self._look(rgb, tile) if face.score >= SURE]
        found = list(faces)
        for face in sorted(small, key=lambda face: face.score, reverse=True):
            if all(_shared(face, other) < SAME for other in found):
                found.append(face)
        return sorted(found, key=lambda face: face.size, reverse=True)

    def _look(self, rgb: RGB, tile: tuple[int, int, int, int]) -> Iterator[Face]:
        """Faces of a tile that its edges do not cut."""
        x0, y0, x1, y1 = tile
        part = np.ascontiguousarray(rgb[y0:y1, x0:x1])
        # what is smaller than the detector can see is shown to it larger
        wanted = self.smallest(max(rgb.shape[:2]))
        zoom = max(self.base.smallest(1, quick=True) / wanted, 1.0)
        if zoom > 1.05:
            part = np.asarray(
                cv2.resize(part, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC), np.uint8
            )
        ratio = f32([(x1 - x0) / part.shape[1], (y1 - y0) / part.shape[0]])
        inner = f32([x0, y0, x1, y1])
        # towards the picture's own edges, nothing is cut that could be seen whole
        inner[0] -= 1e6 if x0 == 0 else 0
        inner[1] -= 1e6 if y0 == 0 else 0
        inner[2] += 1e6 if x1 == rgb.shape[1] else 0
        inner[3] += 1e6 if y1 == rgb.shape[0] else 0
        for face in self.base.detect(part, quick=True):
            moved = _placed(face, ratio, f32([x0, y0]))
            box = moved.box
            if (box[:2] >= inner[:2]).all() and (box[2:] <= inner[2:]).all():
                yield moved


def _spans(length: int, side: float, overlap: float) -> list[tuple[int, int]]:
    """A length in equal parts of at most `side` that overlap by `overlap`."""
    if length <= side:
        return [(0, length)]
    count = int(np.ceil((length - overlap) / (side - overlap)))
    size = (length - overlap) / count + overlap
    starts = np.linspace(0, length - size, count)
    return [(int(start), min(int(np.ceil(start + size)), length)) for start in starts]


def _placed(face: Face, ratio: Points, corner: Points) -> Face:
    """A tile's face in the picture; pixel centers are at integers."""

    def move(points: Points) -> Points:
        return f32((points + 0.5) * ratio - 0.5 + corner)

    return replace(
        face,
        box=move(face.box.reshape(2, 2)).ravel(),
        points5=move(face.points5),
        points68=None if face.points68 is None else move(face.points68),
    )


def _shared(a: Face, b: Face) -> float:
    """Common area, of the smaller box."""
    low, high = np.maximum(a.box[:2], b.box[:2]), np.minimum(a.box[2:], b.box[2:])
    common = float(np.maximum(high - low, 0).prod())
    return common / max(min(a.size, b.size), 1e-6)
