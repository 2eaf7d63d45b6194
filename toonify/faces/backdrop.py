"""Painting over the person's own hair where it would stick out around a pasted drawing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from toonify.faces.types import RGB, Points, f32

GRID = 112  # the surroundings of the head are looked at this small
FRAME = (-0.3, -0.45, 1.6)  # left, top and side of what is looked at, in crop sides
CHIN = 0.82  # below, the body stays
PLAIN = 15.0  # color deviation around the head, in levels, up to which it is a plain wall
LONG_HAIR = 0.2  # part of what's beside the chin that is person when hair falls further down


@dataclass(frozen=True, eq=False)
class HeadPatch:
    """Background for where a head sticks out around its drawing.

    Args:
        colors: (GRID, GRID, 3) uint8, FRAME of the crop.
        weight: (GRID, GRID) float32, 0..1, where it is painted.
    """

    colors: RGB
    weight: Points


def clear_head(rgb: RGB, crop_to_photo: np.ndarray, covered: Points) -> None:
    """Paint background over what `covered` leaves of the head in `rgb` (H, W, 3) uint8, in place.

    Nothing is done where it would look worse, see `head_patch`.

    Args:
        crop_to_photo: (2, 3) from the crop, 0..1 across and down, to photo px.
        covered: (S, S) opacity of the drawing over the crop, 0..1.
    """
    patch = head_patch(rgb, crop_to_photo, covered)
    if patch is not None:
        paint_patch(rgb, crop_to_photo, patch)


def head_patch(
    rgb: RGB, crop_to_photo: np.ndarray, covered: Points, *, long_hair: bool = False
) -> HeadPatch | None:
    """What to paint over the head that `covered` leaves; arguments as of `clear_head`.

    The head is an oval and what GrabCut (Rother et al., SIGGRAPH 2004) finds beyond it. None in
    front of anything but a plain wall (other people, a street), where the patch would show, and
    for long hair, which would end at the chin, unless `long_hair` says that this is wanted.
    """
    placed = _placed(rgb, crop_to_photo)
    if placed is None:
        return None
    (x0, y0, x1, y1), to_photo = placed
    left, top, side = FRAME
    small = _look(rgb[y0:y1, x0:x1], to_photo)
    y, x = np.mgrid[:GRID, :GRID]
    u, v = (x + 0.5) / GRID * side + left, (y + 0.5) / GRID * side + top
    cover_map = np.array(
        [
            [side / GRID * covered.shape[1], 0, left * covered.shape[1]],
            [0, side / GRID * covered.shape[0], top * covered.shape[0]],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    over = f32(cv2.warpAffine(covered, cover_map, (GRID, GRID), flags=flags)) > 0.05

    around = _oval(u, v, 0.6, 0.72)
    near = (around > 1) & (around < 1.5) & (v < 0.75)
    if small[near].astype(np.float32).std(0).max() > PLAIN:
        return None
    head = _head(small, u, v)
    beside = (np.abs(v - 0.77) < 0.08) & (np.abs(np.abs(u - 0.5) - 0.39) < 0.11)
    if not long_hair and head[beside].mean() > LONG_HAIR:
        return None
    head |= _oval(u, v, 0.52, 0.66) < 1
    head = cv2.dilate(head.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    head &= around < 1

    unknown = head | over | ((v > CHIN) & (around < 1.6))
    filled = cv2.inpaint(small, unknown.astype(np.uint8), 4, cv2.INPAINT_NS)
    filled = cv2.GaussianBlur(filled, (0, 0), 1.2)
    weight = cv2.GaussianBlur((head & (v < CHIN)).astype(np.float32), (0, 0), 1.2)
    weight = f32(weight) * f32(np.clip((CHIN + 0.06 - v) / 0.12, 0, 1))
    return HeadPatch(np.asarray(filled, np.uint8), f32(weight))


def paint_patch(rgb: RGB, crop_to_photo: np.ndarray, patch: HeadPatch) -> None:
    """Lay a patch over `rgb` (H, W, 3) uint8, in place."""
    placed = _placed(rgb, crop_to_photo)
    if placed is None:
        return
    (x0, y0, x1, y1), to_photo = placed
    area, flat = rgb[y0:y1, x0:x1], (x1 - x0, y1 - y0)
    layer = cv2.warpAffine(
        patch.colors, to_photo, flat, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    mask = f32(np.clip(cv2.warpAffine(patch.weight, to_photo, flat), 0, 1))
    area[:] = cv2.blendLinear(
        np.asarray(layer, np.uint8), np.ascontiguousarray(area), mask, f32(1 - mask)
    )


def _placed(
    rgb: RGB, crop_to_photo: np.ndarray
) -> tuple[tuple[int, int, int, int], np.ndarray] | None:
    """The part of the photo that the grid covers, and the map from the grid into it."""
    height, width = rgb.shape[:2]
    left, top, side = FRAME
    linear = crop_to_photo[:, :2]
    shift = crop_to_photo[:, 2] + linear @ [left, top]
    grid_linear = linear * (side / GRID)
    to_photo = np.concatenate([grid_linear, (shift + grid_linear @ [0.5, 0.5])[:, None]], 1)

    corners = np.array([[0, 0], [0, GRID], [GRID, 0], [GRID, GRID]]) @ to_photo[:, :2].T
    corners += to_photo[:, 2]
    x0, y0 = (int(v) for v in np.maximum(np.floor(corners.min(0)), 0))
    x1, y1 = (int(v) for v in np.minimum(np.ceil(corners.max(0)) + 1, [width, height]))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    to_photo[:, 2] -= [x0, y0]
    return (x0, y0, x1, y1), to_photo


def _look(area: RGB, to_photo: np.ndarray) -> RGB:
    """(GRID, GRID, 3): the head's surroundings, shrunk without aliasing."""
    ratio = float(np.hypot(*to_photo[:, 0]))
    if ratio > 1.5:
        shrink = 1 / ratio
        size = (max(round(area.shape[1] * shrink), 1), max(round(area.shape[0] * shrink), 1))
        scale = np.array([size[0] / area.shape[1], size[1] / area.shape[0]])
        area = np.asarray(cv2.resize(area, size, interpolation=cv2.INTER_AREA), np.uint8)
        to_photo = to_photo.copy()
        to_photo[:, 2] += 0.5
        to_photo *= scale[:, None]
        to_photo[:, 2] -= 0.5
    return np.asarray(
        cv2.warpAffine(
            area,
            to_photo,
            (GRID, GRID),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )


def _oval(u: np.ndarray, v: np.ndarray, across: float, along: float) -> np.ndarray:
    """1 on the oval around the head with these radii, less inside."""
    return np.asarray(((u - 0.5) / across) ** 2 + ((v - 0.45) / along) ** 2)


def _head(small: RGB, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(GRID, GRID) bool: the person, by GrabCut from where an aligned face lies."""
    guess = np.full((GRID, GRID), cv2.GC_BGD, np.uint8)
    guess[_oval(u, v, 0.6, 0.72) < 1] = cv2.GC_PR_BGD
    guess[_oval(u, v, 0.42, 0.52) < 1] = cv2.GC_PR_FGD
    guess[v > 1] = cv2.GC_PR_FGD
    guess[((u - 0.5) / 0.22) ** 2 + ((v - 0.55) / 0.33) ** 2 < 1] = cv2.GC_FGD
    guess[(v > 1) & (np.abs(u - 0.5) < 0.2)] = cv2.GC_FGD
    behind, before = np.zeros((1, 65)), np.zeros((1, 65))
    nowhere = (0, 0, 0, 0)  # the guess is all in the mask
    cv2.setRNGSeed(0)  # its color clusters start at random; a picture shall come out the same twice
    cv2.grabCut(small, guess, nowhere, behind, before, 2, cv2.GC_INIT_WITH_MASK)
    return (guess == cv2.GC_FGD) | (guess == cv2.GC_PR_FGD)
