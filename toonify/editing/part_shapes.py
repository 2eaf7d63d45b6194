"""Where the parts of a face lie on MediaPipe's 468-point mesh, and how one face's part is posed as
another's: its own shape, the other's turn, size and place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.faces.mesh import head_pose
from toonify.faces.types import RGB, Points, f32
from toonify.portrait.subject import LIP_LOWER, LIP_UPPER, FaceGeometry
from toonify.utils.ramps import smoothstep

# Rings around the image's left and right eye: lids, a little around them, up to the brow's foot.
LIDS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
NEAR_EYES = (
    (130, 247, 30, 29, 27, 28, 56, 190, 243, 112, 26, 22, 23, 24, 110, 25),
    (359, 467, 260, 259, 257, 258, 286, 414, 463, 341, 256, 252, 253, 254, 339, 255),
)
SOCKETS = (
    (226, 113, 225, 224, 223, 222, 221, 189, 244, 233, 232, 231, 230, 229, 228, 31),
    (446, 342, 445, 444, 443, 442, 441, 413, 464, 453, 452, 451, 450, 449, 448, 261),
)
BROWS = (
    (70, 63, 105, 66, 107, 46, 53, 52, 65, 55),
    (300, 293, 334, 296, 336, 276, 283, 282, 295, 285),
)
# Without their outer ends, which hair may reach
INNER_BROWS = ((63, 105, 66, 107, 53, 52, 65, 55), (293, 334, 296, 336, 283, 282, 295, 285))
LIPS = LIP_UPPER + LIP_LOWER
UPPER_LIP = (61, 291, 0, 37, 267, 39, 269)  # what an opening jaw does not move
NOSE = (
    6, 122, 351, 196, 419, 236, 456, 198, 420, 129, 358, 49, 279, 64, 294, 48, 278, 98, 327, 97,
    326, 2, 4, 1,
)  # fmt: skip
NOSE_RIM = (6, 122, 351, 129, 358, 98, 327, 2)
INNER_LIPS = (
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95,
)  # fmt: skip
# Points that neither a mouth nor brows nor lids move
RIGID = (
    10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 33, 133, 362, 263, 234, 454, 127, 356,
    93, 323, 21, 251, 54, 284, 103, 332, 67, 297, 50, 280, 205, 425, 116, 345, 123, 352,
)  # fmt: skip
LIKE_SIZE = (0.8, 1.25)  # of a part, in the size of what it replaces


@dataclass(frozen=True)
class PartShape:
    """One area of a part.

    Attributes:
        core: points whose hull is the part itself.
        anchor: points whose middle stays where the photograph has it.
        core_around: by which the core is widened, in units (`FaceGeometry.unit`).
        around: beyond the core, where the part passes into skin, in units.
    """

    core: tuple[int, ...]
    anchor: tuple[int, ...]
    core_around: float
    around: float


SHAPES: dict[str, tuple[PartShape, ...]] = {
    "eyes": tuple(PartShape(NEAR_EYES[i], NEAR_EYES[i], 0.0, 18.0) for i in (0, 1)),
    "brows": tuple(PartShape(BROWS[i], BROWS[i], 4.0, 13.0) for i in (0, 1)),
    "nose": (PartShape(NOSE, NOSE_RIM, 0.0, 18.0),),
    "mouth": (PartShape(LIPS, UPPER_LIP, 0.0, 24.0),),
}


def posed(name: str, face: FaceGeometry, other: FaceGeometry) -> Points:
    """(468, 2): where the photograph's mesh goes for another's part, px of its window.

    The other's part as it looks in the photograph's pose, at the size that its whole face has
    there; away from the part, the photograph's own points.
    """
    turn = head_pose(face.points3d)[0].astype(np.float64)
    mine = face.points3d.astype(np.float64) @ turn
    theirs = other.points3d.astype(np.float64) @ head_pose(other.points3d)[0]
    rigid = list(RIGID)
    size = np.linalg.norm(mine[rigid] - mine[rigid].mean(0))
    theirs = theirs * (size / np.linalg.norm(theirs[rigid] - theirs[rigid].mean(0)))
    moves = np.zeros((len(mine), 2))
    for shape in SHAPES[name]:
        core, anchor = list(shape.core), list(shape.anchor)
        own, new = (np.ptp(points[core][:, 0]) for points in (mine, theirs))
        low, high = LIKE_SIZE
        scaled = theirs * (np.clip(new / own, low, high) * own / new)
        placed = (scaled @ turn.T)[:, :2]
        placed += face.points[anchor].mean(0) - placed[anchor].mean(0)
        hull = cv2.convexHull(face.points[core])
        away = [max(-cv2.pointPolygonTest(hull, (float(x), float(y)), True), 0.0)
                for x, y in face.points]  # fmt: skip
        share = smoothstep(1 - (np.array(away) / face.unit - 3) / (shape.around + 8))
        moves += (placed - face.points) * share[:, None]
    return f32(face.points + moves)


def core_mask(shape: PartShape, points: Points, unit: float, size: tuple[int, int]) -> Points:
    """(h, w) in 0..1 of a part's core in a window of `size` (w, h)."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    hull = cv2.convexHull(np.rint(points[list(shape.core)]).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 255)
    width = 2 * max(round(shape.core_around * unit), 1) + 1
    mask = np.asarray(
        cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))), np.uint8
    )
    return f32(mask > 127)


def filled(indices: tuple[int, ...], points: Points, size: tuple[int, int]) -> Points:
    """(h, w) in 0..1 of a ring of points in a window of `size` (w, h), antialiased."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    ring = np.rint(points[list(indices)] * 16).astype(np.int32)
    cv2.fillPoly(mask, [ring], 255, cv2.LINE_AA, 4)
    return f32(f32(mask) / 255)


def distance_to(mask: NDArray[np.bool_]) -> Points:
    """(h, w): px from where a mask is set, 0 there; very many where it is set nowhere."""
    if not mask.any():
        return np.full(mask.shape, 1e6, np.float32)
    return f32(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5))


def remapped(field: Points | RGB, places: Points, how: int = cv2.INTER_LINEAR) -> Points:
    """A picture's or map's values at places (h, w, 2), its border continued."""
    x, y = (np.ascontiguousarray(places[..., i]) for i in (0, 1))
    return f32(cv2.remap(field, x, y, how, borderMode=cv2.BORDER_REPLICATE))


class ThinPlate:
    """The smoothest map that takes points to others (Bookstein, 1989).

    Args:
        source, target: (N, 2).
        unit: length, in px of `source`, that counts as one.
        bend: how far points may be missed for smoothness' sake.
    """

    def __init__(self, source: Points, target: Points, unit: float, bend: float = 0.02) -> None:
        self._points, self._unit = source.astype(np.float64) / unit, unit
        count = len(source)
        plane = np.concatenate([np.ones((count, 1)), self._points], 1)
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = self._kernel(self._points) + bend * np.eye(count)
        system[:count, count:] = plane
        system[count:, :count] = plane.T
        values = np.zeros((count + 3, 2))
        values[:count] = target.astype(np.float64)
        self._solved = np.linalg.solve(system, values)

    def _kernel(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        square = ((places[:, None] - self._points[None]) ** 2).sum(2)
        return np.asarray(square * np.log(square + 1e-9))

    def __call__(self, points: Points) -> Points:
        """(M, 2) where points go."""
        places = np.asarray(points, np.float64) / self._unit
        plane = np.concatenate([np.ones((len(places), 1)), places], 1)
        count = len(self._points)
        solved = self._solved
        return f32(self._kernel(places) @ solved[:count] + plane @ solved[count:])

    def over(self, size: tuple[int, int], step: int = 10) -> Points:
        """(h, w, 2) where every px of a window of `size` (w, h) goes."""
        columns, rows = (-(-length // step) + 2 for length in size)
        x, y = np.meshgrid(np.arange(columns) * step, np.arange(rows) * step)
        grid = self(np.stack([x.ravel(), y.ravel()], 1)).reshape(rows, columns, 2)
        scale = np.array([[step, 0, 0], [0, step, 0]], np.float64)
        return f32(cv2.warpAffine(grid, scale, size, flags=cv2.INTER_LINEAR))


def hull_of(ring: tuple[int, ...], points: Points, size: tuple[int, int]) -> Points:
    """(h, w) in 0..1 of a hull of points."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points[list(ring)]).astype(np.int32)), 1)
    return f32(mask)
