"""Bringing a folder of drawings to FFHQ framing, by the surest way that each of them allows."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError, ToonifyError
from toonify.faces.templates import (
    CropBox,
    crop_of_center,
    crop_of_face,
    crop_of_head,
    cut,
    median_crop,
)
from toonify.faces.types import RGB, FaceDetector
from toonify.media.images import Image, read_image
from toonify.training.data.anchors import Anchors

METHODS = ("anchor", "face", "set", "silhouette", "center")
SMALLEST = 16  # px; smaller pictures show nothing
DETECTION_SIDE = 512  # px, the longest side at which faces are looked for
# A detection is believed alone when its face is about upright and no speck (sides of the picture).
MOST_TILT, LEAST_SIDE, MOST_SIDE = 50.0, 0.25, 2.5
# A set shares one framing when at least so many faces, and so much of it, agree this well
# (center and log side, in sides).
SET_COUNT, SET_SHARE, SET_CENTER, SET_SIDE = 5, 0.25, 0.04, 0.08
# A detection further from its set's framing than this many deviations, and at least so far
# (sides, log sides, degrees), is taken for a mistake.
OFF_DEVIATIONS, OFF_CENTER, OFF_SIDE, OFF_ANGLE = 6.0, 0.12, 0.25, 35.0


@dataclass(frozen=True)
class Placement:
    """Where the crop of one drawing goes, and why.

    Attributes:
        name: path within the folder, with forward slashes.
        method: one of METHODS: points given by hand, a face found, the framing that the faces
            found in its set share, the head's silhouette, or the middle of the picture.
        note: what the method went by, in words.
        size: (height, width) of the picture.
        crop: in px of the picture.
    """

    name: str
    method: str
    note: str
    size: tuple[int, int]
    crop: CropBox

    def record(self) -> dict[str, object]:
        """For the manifest."""
        f = self.crop
        return {
            "name": self.name,
            "method": self.method,
            "note": self.note,
            "width": self.size[1],
            "height": self.size[0],
            "center": [round(f.x, 1), round(f.y, 1)],
            "side": round(f.side, 1),
            "angle": round(f.angle, 1),
        }


@dataclass(frozen=True)
class _Look:
    """What one reading of a drawing tells."""

    size: tuple[int, int]
    faces: list[CropBox]  # largest first
    head: CropBox | None


def over(image: Image, color: NDArray[np.uint8]) -> RGB:
    """(H, W, 3): the picture laid on a color (3,) where it is transparent."""
    if image.alpha is None:
        return image.rgb
    share = image.alpha[..., None].astype(np.float32) / 255
    return np.asarray(np.rint(image.rgb * share + color * (1 - share)), np.uint8)


def read_drawing(path: Path) -> Image:
    """Read a picture that is large enough to show a face.

    Raises:
        InputError: unreadable, or smaller than 16 px.
    """
    image = read_image(path)
    side = min(image.rgb.shape[:2])
    if side < SMALLEST:
        raise InputError(f"{path} is {side} pixels small", hint="Export it larger.")
    return image


def find_crops(rgb: RGB, detector: FaceDetector) -> list[CropBox]:
    """The crops of all faces found in a drawing, largest first, in its px."""
    k = min(DETECTION_SIDE / max(rgb.shape[:2]), 1)
    small = rgb
    if k < 1:
        small = np.asarray(cv2.resize(rgb, None, fx=k, fy=k, interpolation=cv2.INTER_AREA))
    crops = []
    for face in detector.detect(small):
        try:
            f = crop_of_face(face)
        except InputError:
            continue
        crops.append(CropBox((f.x + 0.5) / k - 0.5, (f.y + 0.5) / k - 0.5, f.side / k, f.angle))
    return crops


def place_drawings(
    folder: Path,
    paths: list[Path],
    *,
    detector: FaceDetector | None,
    anchors: Anchors | None = None,
    background: NDArray[np.uint8],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Placement], list[tuple[str, ToonifyError]]]:
    """Decide for each drawing where its crop goes; nothing is written.

    Args:
        paths: files under `folder`.
        detector: finds faces; None goes by silhouettes alone.
        anchors: points given by hand, which go before everything else.
        background: (3,) uint8, what transparent drawings are laid on.
        progress: called with (files read, files in all).

    Returns:
        The placements in the order of `paths`, and (name, error) of the files left out.
    """
    looks: dict[str, _Look] = {}
    placed: dict[str, Placement] = {}
    failed: list[tuple[str, ToonifyError]] = []
    for done, path in enumerate(paths):
        if progress:
            progress(done, len(paths))
        name = path.relative_to(folder).as_posix()
        try:
            image = read_drawing(path)
            height, width = image.rgb.shape[:2]
            key = anchors.find(name) if anchors else None
            if anchors and key is not None:
                crop = anchors.crop(key, height, width)
                note = "given" if key == name else f"given for {key}"
                placed[name] = Placement(name, "anchor", note, (height, width), crop)
                continue
        except ToonifyError as error:
            failed.append((name, error))
            continue
        rgb = over(image, background)
        faces = find_crops(rgb, detector) if detector else []
        head = crop_of_head(rgb, image.alpha)
        looks[name] = _Look((height, width), faces, head)
    sets: dict[str, dict[str, _Look]] = {}
    for name, look in looks.items():
        sets.setdefault(os.path.dirname(name), {})[name] = look
    everything = _SharedFraming.of(looks)
    for members in sets.values():
        shared = _SharedFraming.of(members)
        for name, look in members.items():
            placed[name] = _decide(name, look, shared, everything)
    if progress:
        progress(len(paths), len(paths))
    order = [p.relative_to(folder).as_posix() for p in paths]
    return [placed[name] for name in order if name in placed], failed


def cut_drawing(path: Path, crop: CropBox, size: int, background: NDArray[np.uint8]) -> RGB:
    """The crop of the drawing at `path` as (size, size, 3).

    Raises:
        InputError: unreadable by now.
    """
    image = read_drawing(path)
    rgb = over(image, background)
    see_through = image.alpha is not None and bool((image.alpha < 128).mean() > 0.02)
    return cut(rgb, crop, size, backdrop=background if see_through else None)


@dataclass(frozen=True)
class _SharedFraming:
    """The framing that the faces found in a set agree on, for pictures of one shape."""

    crop: CropBox  # in heights of the picture, its center's x in widths
    deviations: NDArray[np.float32]
    aspect: float
    count: int

    @staticmethod
    def of(looks: dict[str, _Look]) -> _SharedFraming | None:
        found = [(look, look.faces[0]) for look in looks.values() if look.faces]
        if len(found) < max(SET_COUNT, SET_SHARE * len(looks)):
            return None
        aspect = float(np.median([look.size[1] / look.size[0] for look, _ in found]))
        crop, deviations = median_crop([_relative(f, look.size) for look, f in found])
        if deviations[0] > SET_CENTER or deviations[1] > SET_SIDE:
            return None
        return _SharedFraming(crop, deviations, aspect, len(found))

    def fits(self, size: tuple[int, int]) -> bool:
        return abs(size[1] / size[0] / self.aspect - 1) < 0.03

    def on(self, size: tuple[int, int]) -> CropBox:
        height, width = size
        f = self.crop
        return CropBox(f.x * width, f.y * height, f.side * height, f.angle)

    def agrees(self, crop: CropBox, size: tuple[int, int]) -> bool:
        own, shared = crop, self.on(size)
        limits = np.maximum([OFF_CENTER, OFF_SIDE, OFF_ANGLE], OFF_DEVIATIONS * self.deviations)
        center = np.hypot(own.x - shared.x, own.y - shared.y) / shared.side
        side = abs(np.log(own.side / shared.side))
        turn = abs((own.angle - shared.angle + 180) % 360 - 180)
        return bool((np.array([center, side, turn]) <= limits).all())


def _in_head(face: CropBox, head: CropBox) -> bool:
    """Whether a face found can be that of the head outlined; hands and patterns aren't."""
    away = np.hypot(face.x - head.x, face.y - head.y)
    return bool(away < 0.4 * head.side and 0.4 < face.side / head.side < 2)


def _relative(crop: CropBox, size: tuple[int, int]) -> CropBox:
    height, width = size
    return CropBox(crop.x / width, crop.y / height, crop.side / height, crop.angle)


def _decide(
    name: str, look: _Look, shared: _SharedFraming | None, everything: _SharedFraming | None
) -> Placement:
    size = look.size
    short = min(size)
    usable = [
        f
        for f in look.faces
        if abs(f.angle) < MOST_TILT
        and LEAST_SIDE * short < f.side < MOST_SIDE * short
        and (look.head is None or _in_head(f, look.head))
    ]
    if shared and shared.fits(size):
        agreeing = next((f for f in usable if shared.agrees(f, size)), None)
        if agreeing:
            return Placement(name, "face", "found", size, agreeing)
        why = "the one found is elsewhere" if look.faces else "none found"
        note = f"as {shared.count} of its set; {why}"
        return Placement(name, "set", note, size, shared.on(size))
    if usable:
        return Placement(name, "face", "found", size, usable[0])
    if everything and everything.fits(size):
        note = f"as {everything.count} of the whole folder; none found"
        return Placement(name, "set", note, size, everything.on(size))
    if look.head:
        return Placement(
            name, "silhouette", "no face found; by the head's outline", size, look.head
        )
    note = "no face found, no plain background"
    return Placement(name, "center", note, size, crop_of_center(*size))
