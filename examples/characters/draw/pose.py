"""Pose parameters, and the view which carries head coordinates to pixels.

Head coordinates: x to the image's right with 0 in the middle of the face, y downwards as in the
un-anchored image (0 top, 1 bottom), z towards the viewer with 0 at the ears; one unit is the
image's width. Seen from the front, (x, y) is (x + 0.5, y) of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .canvas import Array

EYE_X, EYE_Y = 0.12, 0.47
MOUTH_Y = 0.73
NECK = np.array([0.0, 0.80, -0.06])  # the head turns about this point


@dataclass(frozen=True)
class Pose:
    """Where a head looks and what its face does; every field is a float.

    yaw, pitch, roll are degrees: + turns to the image's right, up, clockwise (sensible to
    ±45, ±25, ±15). gaze_x, gaze_y: -1..1, + image right and down. eye_left, eye_right: opening
    of the eye on the image's left and right, 0 closed, 1 normal, 1.3 wide. brow: -1 frown ..
    +1 raised. mouth_open: 0..1. smile: -1 sad .. +1 broad. mouth_width: -1 pursed .. +1 stretched.
    sway: -1..1, hair. light: -1 from the image's left .. +1 from its right.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    eye_left: float = 1.0
    eye_right: float = 1.0
    brow: float = 0.0
    mouth_open: float = 0.0
    smile: float = 0.0
    mouth_width: float = 0.0
    sway: float = 0.0
    light: float = 0.0


def random_pose(rng: np.random.Generator) -> Pose:
    """A plausible pose: mostly near the front and friendly, with winks, laughs and turned heads."""
    yaw = float(np.clip(rng.normal(0, 17), -42, 42))
    blink = rng.random()
    opening = float(rng.uniform(0.8, 1.2))
    left = right = opening
    if blink < 0.10:
        left = right = float(rng.uniform(0.0, 0.2))
    elif blink < 0.2:
        left = right = float(rng.uniform(0.3, 0.7))
    elif blink < 0.24:
        left, right = (0.0, opening) if rng.random() < 0.5 else (opening, 0.0)
    talk = rng.random()
    mouth_open = 0.0 if talk < 0.45 else float(rng.beta(1.3, 2.0))
    return Pose(
        yaw=yaw,
        pitch=float(np.clip(rng.normal(0, 7.5), -20, 20)),
        roll=float(np.clip(rng.normal(0, 4), -12, 12)),
        gaze_x=float(np.clip(rng.normal(0, 0.35), -1, 1)),
        gaze_y=float(np.clip(rng.normal(0, 0.25), -1, 1)),
        eye_left=left,
        eye_right=right,
        brow=float(np.clip(rng.normal(0.1, 0.45), -1, 1)),
        mouth_open=mouth_open,
        smile=float(np.clip(rng.normal(0.35, 0.5), -1, 1)),
        mouth_width=float(np.clip(rng.normal(0, 0.4), -1, 1)),
        sway=float(rng.uniform(-1, 1)),
        light=float(rng.uniform(-1, 1)),
    )


def rotation(pose: Pose) -> Array:
    """(3, 3) matrix turning head coordinates (y down): yaw, then pitch, then roll."""
    a, b, c = np.radians([pose.yaw, pose.pitch, pose.roll])
    yaw = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    pitch = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    roll = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return roll @ pitch @ yaw


class View:
    """Orthographic projection of head points, framed as FFHQ does, then an optional similarity.

    FFHQ's crop is centered a tenth of the way from the eyes to the mouth; so is the picture here,
    whichever way the head turns. ``center`` is that point in head coordinates.
    """

    def __init__(self, pose: Pose, center: Array) -> None:
        self.pose = pose
        self.rotation = rotation(pose)
        self.shift = np.array([0.5 + center[0], center[1]]) - self._turn(center[None])[0]
        self.matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

    def _turn(self, points: Array) -> Array:
        return ((points - NECK) @ self.rotation.T + NECK)[:, :2]

    def place(self, similarity: Array, pixels: int) -> None:
        """Set the final (2, 3) map from normalized coordinates to ``pixels``."""
        self.matrix = similarity * pixels

    def head(self, points: ArrayLike) -> Array:
        """(N, 3) head points to (N, 2) canvas points."""
        flat = self._turn(np.asarray(points, np.float64)) + self.shift
        return flat @ self.matrix[:, :2].T + self.matrix[:, 2]

    def body(self, points: ArrayLike) -> Array:
        """(N, 2) points of the body, which does not turn (x: 0.5 the middle), to canvas points."""
        flat = np.asarray(points, np.float64) + self.shift - (0.5, 0.0)
        return flat @ self.matrix[:, :2].T + self.matrix[:, 2]

    def vector(self, dx: float, dy: float) -> Array:
        """A picture offset in units to pixels."""
        return self.matrix[:, :2] @ np.array([dx, dy])

    def below(self, span: tuple[float, float], pixels: int) -> NDArray[np.uint8]:
        """(pixels, pixels) 255 above the body's height `span[0]`, falling to 0 at `span[1]`."""
        inverse = np.linalg.inv(self.matrix[:, :2])[1]
        x, y = np.meshgrid(np.arange(pixels), np.arange(pixels))
        height = inverse[0] * (x - self.matrix[0, 2]) + inverse[1] * (y - self.matrix[1, 2])
        share = (span[1] + self.shift[1] - height) / (span[1] - span[0])
        return np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)

    @property
    def toward(self) -> Array:
        """Unit vector to the viewer in head coordinates."""
        return self.rotation[2]


def similarity(source: Array, target: Array) -> Array:
    """Least-squares similarity (2, 3) taking (N, 2) source points nearest to the target's."""
    s = source[:, 0] + 1j * source[:, 1]
    t = target[:, 0] + 1j * target[:, 1]
    sc, tc = s.mean(), t.mean()
    a = np.vdot(s - sc, t - tc) / np.vdot(s - sc, s - sc)
    b = tc - a * sc
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
