"""FFHQ alignment of a face, and pasting the changed crop back.

The quad and the padding follow the recipe published with the FFHQ data set (Karras et al.,
arXiv 1812.04948, `download_ffhq.py`); the crop is sampled by one affine warp.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from toonify.errors import InputError
from toonify.faces.backdrop import clear_head
from toonify.faces.matte import drawing_matte
from toonify.faces.types import RGB, Face, Points, f32, is_plausible
from toonify.utils.ramps import smoothstep

FEATHER = 0.14  # width of the paste-back's soft edge, in crop sides


@dataclass(frozen=True, eq=False)
class Crop:
    """A square of a photo and where it comes from.

    Args:
        image: (size, size, 3) uint8 RGB.
        matrix: (2, 3) float64, crop px -> photo px, pixel centers at integers.
    """

    image: RGB
    matrix: np.ndarray

    def to_crop(self, points: Points) -> Points:
        """Photo points (N, 2) in crop px."""
        inverse = cv2.invertAffineTransform(self.matrix)
        return f32(points @ inverse[:, :2].T + inverse[:, 2])

    def to_photo(self, points: Points) -> Points:
        """Crop points (N, 2) in photo px."""
        return f32(points @ self.matrix[:, :2].T + self.matrix[:, 2])

    def scaled(self, sides: np.ndarray, *, start: tuple[int, int] = (0, 0)) -> Crop:
        """The same square of the photo when what is right of and below `start` (x, y) is resized.

        Args:
            sides: (2,) factors of width and height.
        """
        matrix = self.matrix * sides[:, None]
        matrix[:, 2] = (self.matrix[:, 2] - start + 0.5) * sides - 0.5
        return Crop(self.image, matrix)


@dataclass(frozen=True, eq=False)
class Alignment(Crop):
    """The crop of an aligned face.

    Args:
        face: the face it was made from, in photo px.
    """

    face: Face

    @property
    def face_in_crop(self) -> Face:
        """The face as it lies in the crop."""
        face = self.face
        return Face(
            box=f32(self.to_crop(face.box.reshape(2, 2)).ravel()),
            score=face.score,
            points5=self.to_crop(face.points5),
            points68=None if face.points68 is None else self.to_crop(face.points68),
        )


def ffhq_quad(face: Face) -> Points:
    """(4, 2) corners of the FFHQ crop in photo px: top left, bottom left, bottom right, top right.

    Raises:
        InputError: the points can't be a face (coincident eyes, mouth above the eyes).
    """
    if face.points68 is not None:
        lm = face.points68.astype(np.float64)
        eye_left, eye_right = lm[36:42].mean(0), lm[42:48].mean(0)
        mouth = (lm[48] + lm[54]) / 2
    else:
        p = face.points5.astype(np.float64)
        eye_left, eye_right, mouth = p[0], p[1], (p[3] + p[4]) / 2
    if not is_plausible(face.points5):
        raise InputError("a face's eyes and mouth are not where a face has them")
    eyes = (eye_left + eye_right) / 2
    eye_to_eye, eye_to_mouth = eye_right - eye_left, mouth - eyes
    x = eye_to_eye - eye_to_mouth[::-1] * [-1, 1]
    x /= np.hypot(*x)
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    y = x[::-1] * [-1, 1]
    c = eyes + eye_to_mouth * 0.1
    return np.stack([c - x - y, c - x + y, c + x + y, c + x - y]).astype(np.float32)


def align(rgb: RGB, face: Face, size: int) -> Alignment:
    """Cut the FFHQ crop of `face` out of `rgb` (H, W, 3) uint8, as (size, size, 3).

    Where the crop reaches beyond the photo, the photo is reflected and increasingly blurred.
    """
    quad = ffhq_quad(face).astype(np.float64)
    matrix = crop_to_photo(quad, size)
    qsize = float(np.hypot(*(quad[3] - quad[0])))
    height, width = rgb.shape[:2]

    # Only the quad's surroundings matter; then a whole-number shrink, as FFHQ does for huge faces.
    border = max(round(qsize * 0.1), 3)
    low = np.floor(quad.min(0)).astype(int) - border
    high = np.ceil(quad.max(0)).astype(int) + border
    x0, y0 = (int(v) for v in np.maximum(low, 0))
    x1, y1 = (int(v) for v in np.minimum(high, [width, height]))
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise InputError("a face lies outside the picture")
    work: RGB = rgb[y0:y1, x0:x1]
    to_work = np.array([[1, 0, -x0], [0, 1, -y0]], np.float64)  # photo px -> work px
    shrink = int(qsize / size * 0.5)
    if shrink > 1:
        new = (max(work.shape[1] // shrink, 1), max(work.shape[0] // shrink, 1))
        ratio = np.array([new[0] / work.shape[1], new[1] / work.shape[0]])
        work = _u8(cv2.resize(work, new, interpolation=cv2.INTER_AREA))
        to_work[:, 2] += 0.5
        to_work = to_work * ratio[:, None]
        to_work[:, 2] -= 0.5
        qsize *= float(ratio.mean())

    pads = np.array([x0 - low[0], y0 - low[1], high[0] - x1, high[1] - y1])
    if pads.max() > border - 4:
        pads = np.maximum(np.rint(pads * (to_work[0, 0])), round(qsize * 0.3)).astype(int)
        work = _reflect_and_blur(work, pads, qsize * 0.02)
        to_work[:, 2] += pads[:2]

    crop_to_work = _compose(to_work, matrix)
    image = _sample(work, crop_to_work, size, qsize / size)
    return Alignment(image=image, matrix=matrix, face=face)


def paste_back(rgb: RGB, toon: RGB, alignment: Alignment, *, feather: float = FEATHER) -> RGB:
    """A copy of `rgb` (H, W, 3) with `toon` (S, S, 3), any S, laid over the crop's place.

    A drawing in front of a plain background goes in by its silhouette, fading at the bottom, and
    the person's hair that would stick out is painted over; any other as a square with soft edges.

    Args:
        feather: width of the soft edge in crop sides, 0..0.5; the toon is opaque inside it.
    """
    if toon.ndim != 3 or toon.shape[0] != toon.shape[1]:
        raise InputError(f"the toon has shape {toon.shape}, not (S, S, 3)")
    out = rgb.copy()
    matte = drawing_matte(toon)
    if matte is None:
        mask = square_mask(toon.shape[0], feather)
    else:
        mask = silhouette_mask(matte, feather)
        clear_head(out, unit_to_photo(alignment), mask)
    overlay(out, toon, mask, alignment)
    return out


def silhouette_mask(matte: Points, feather: float = FEATHER) -> Points:
    """(S, S) opacity of a drawing with the silhouette `matte`, fading at the bottom."""
    return f32(matte * _neck_fade(matte.shape[0], feather))


def unit_to_photo(alignment: Crop) -> np.ndarray:
    """(2, 3) from the crop, 0..1 across and down, to photo px."""
    return _compose(alignment.matrix, _unit_to_px(alignment.image.shape[0]))


def overlay(rgb: RGB, toon: RGB, mask: Points, alignment: Alignment) -> None:
    """Blend `toon` (S, S, 3) by `mask` (S, S) over the crop's place in `rgb`, in place."""
    height, width = rgb.shape[:2]
    size, toon_size = alignment.image.shape[0], toon.shape[0]
    k = size / toon_size
    toon_to_crop = np.array([[k, 0, k / 2 - 0.5], [0, k, k / 2 - 0.5]], np.float64)
    matrix = _compose(alignment.matrix, toon_to_crop)

    corners = np.array([[-0.5, -0.5], [-0.5, 1], [1, -0.5], [1, 1]]) * (toon_size - 0.5)
    corners[corners < 0] = -0.5
    placed = corners @ matrix[:, :2].T + matrix[:, 2]
    x0, y0 = (int(v) for v in np.maximum(np.floor(placed.min(0)), 0))
    x1, y1 = (int(v) for v in np.minimum(np.ceil(placed.max(0)) + 1, [width, height]))
    if x1 <= x0 or y1 <= y0:
        return

    # A toon larger than its place is first averaged down, so that the warp does not alias.
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.75:
        small = max(round(toon_size * scale), 1)
        toon = _u8(cv2.resize(toon, (small, small), interpolation=cv2.INTER_AREA))
        mask = f32(cv2.resize(mask, (small, small), interpolation=cv2.INTER_AREA))
        ratio = toon_size / small
        shrunk = np.array([[ratio, 0, ratio / 2 - 0.5], [0, ratio, ratio / 2 - 0.5]], np.float64)
        matrix = _compose(matrix, shrunk)
    matrix[:, 2] -= [x0, y0]
    flat = (x1 - x0, y1 - y0)
    layer = cv2.warpAffine(
        toon, matrix, flat, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    mask = f32(cv2.warpAffine(mask, matrix, flat))
    area = rgb[y0:y1, x0:x1]
    mixed = cv2.blendLinear(_u8(layer), np.ascontiguousarray(area), mask, f32(1 - mask))
    area[:] = mixed


def square_mask(side: int, feather: float = FEATHER) -> Points:
    """(side, side) opacity of a drawing without a silhouette: 1 inside, falling to 0 at
    every edge over `feather` sides."""
    at = (np.arange(side) + 0.5) / side
    ramp = smoothstep(np.minimum(at, 1 - at) / max(feather, 1 / side))
    return f32(np.outer(ramp, ramp))


def _neck_fade(side: int, feather: float) -> Points:
    """(side, side): for a silhouette. It ends by itself at the top and mostly at the sides; below,
    neck and shoulders run out of the drawing, the shoulders sooner as they match the body least."""
    at = (np.arange(side) + 0.5) / side
    least = max(feather, 1 / side)
    edge = smoothstep(np.minimum(at, 1 - at) / max(feather / 4, 1 / side))
    end = 1 - 0.6 * (at - 0.5) ** 2
    below = smoothstep((end[None, :] - at[:, None]) / least)
    top = smoothstep(at / max(feather / 4, 1 / side))
    return f32(below * top[:, None] * edge[None, :])


def _unit_to_px(side: int) -> np.ndarray:
    """0..1 across and down a picture -> its px, pixel centers at integers."""
    return np.array([[side, 0, -0.5], [0, side, -0.5]], np.float64)


def crop_to_photo(quad: np.ndarray, size: int) -> np.ndarray:
    """(2, 3): the crop's outer edges fall on the quad, so its pixel (-0.5, -0.5) on corner 0."""
    right, down = (quad[3] - quad[0]) / size, (quad[1] - quad[0]) / size
    return np.stack([right, down, quad[0] + (right + down) / 2], 1)


def _compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The affine map that applies `first`, then `second`."""
    shift = second[:, :2] @ first[:, 2] + second[:, 2]
    return np.concatenate([second[:, :2] @ first[:, :2], shift[:, None]], 1)


def _sample(work: RGB, matrix: np.ndarray, size: int, ratio: float) -> RGB:
    """Warp to (size, size), oversampled and averaged when `ratio` (work px a crop px) exceeds 1."""
    n = max(int(np.ceil(ratio - 0.2)), 1)
    fine = np.array([[1 / n, 0, 0.5 / n - 0.5], [0, 1 / n, 0.5 / n - 0.5]], np.float64)
    image = cv2.warpAffine(
        work,
        _compose(matrix, fine),
        (size * n, size * n),
        flags=(cv2.INTER_CUBIC if ratio < 1 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    if n > 1:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return _u8(image)


def _reflect_and_blur(work: RGB, pads: np.ndarray, sigma: float) -> RGB:
    """FFHQ's padding: reflect by `pads` (left, top, right, bottom), then fade towards the outside
    into a blurred copy and at last into the median color."""
    left, top, right, bottom = (int(p) for p in pads)
    padded = cv2.copyMakeBorder(work, top, bottom, left, right, cv2.BORDER_REFLECT_101)
    height, width = padded.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    across = 1 - np.minimum(x / left, x[::-1] / right)
    along = 1 - np.minimum(y / top, y[::-1] / bottom)
    mask = np.maximum(along[:, None], across[None, :])

    # The blur is wide: at a reduced size it looks the same and costs a fraction.
    k = max(1, int(sigma / 2))
    small = cv2.resize(
        padded, (max(width // k, 1), max(height // k, 1)), interpolation=cv2.INTER_AREA
    )
    soft = cv2.GaussianBlur(small, (0, 0), max(sigma / k, 0.1), borderType=cv2.BORDER_REFLECT_101)
    blurred = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    median = np.median(np.asarray(small).reshape(-1, 3), axis=0)

    weight = np.clip(mask * 3 + 1, 0, 1)
    mixed = cv2.blendLinear(_u8(blurred), _u8(padded), weight, 1 - weight)
    weight = np.clip(mask, 0, 1)
    plain = np.empty_like(_u8(padded))
    plain[:] = np.rint(median)
    return _u8(cv2.blendLinear(mixed, plain, 1 - weight, weight))


def _u8(image: object) -> RGB:
    return np.asarray(image, np.uint8)


def aligned_face(side: int, loose: float = 1.0) -> Face:
    """The face that a crop (side, side) is of, where FFHQ's alignment puts it.

    Args:
        loose: side of the crop in FFHQ crops.
    """
    points = f32([[0.375, 0.474], [0.625, 0.474], [0.5, 0.6], [0.4, 0.734], [0.6, 0.734]])
    box = f32([[0.25, 0.25], [0.75, 0.95]])
    middle = (side - 1) / 2
    inner = side / loose

    def place(values: Points) -> Points:
        return f32((values - 0.5) * inner + middle)

    return Face(place(box).reshape(-1), 1.0, place(points))
