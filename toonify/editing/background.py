"""The photograph's background behind an edited head, so that no trace of the old outline stays.

Where there was background and is background, the photograph's own pixels; where the head has left,
what a fused rendering shows there (`toonify.inversion.background_fusion`), or else what lies
around, continued; elsewhere the edit.
"""

from __future__ import annotations

import cv2
import numpy as np

from toonify.faces.alignment import Alignment, Crop, align, unit_to_photo
from toonify.faces.parsing import LABELS, FaceParser
from toonify.faces.types import RGB, Points, f32
from toonify.portrait.fields import smoothstep

BEHIND = ("background", "person")  # labels of what an edited head stands before
BELOW = ("clothes", "hand", "object")  # and of what is no head either
CROP = 256  # px that the parser sees
GROWN = 0.02  # by which the person is widened, in sides of the crop
EDGE = (0.15, 0.5)  # probabilities between which the person begins
SURE = 0.4  # probability that parts one person from the next
BORDER = 0.06  # sides of the crop over which a fused rendering fades into the photograph
FILLED = 128  # px of the crop that what lies behind is continued at: nobody knows its details


class Placement:
    """Where a face's crop lies in its photograph.

    Attributes:
        area: the part of the photograph around it.
    """

    def __init__(self, rgb: RGB, alignment: Crop) -> None:
        to_photo = unit_to_photo(alignment)
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) @ to_photo[:, :2].T + to_photo[:, 2]
        height, width = rgb.shape[:2]
        x0, y0 = (int(v) for v in np.clip(np.floor(corners.min(0)), 0, [width, height]))
        x1, y1 = (int(v) for v in np.clip(np.ceil(corners.max(0)) + 1, 0, [width, height]))
        self.area = np.s_[y0:y1, x0:x1]
        self._size = (x1 - x0, y1 - y0)
        self._to_photo, self._photo_size = to_photo, (width, height)
        self._to_area = to_photo.copy()
        self._to_area[:, 2] -= [x0, y0]

    @property
    def empty(self) -> bool:
        """Whether the crop shows nothing of the photograph."""
        return min(self._size) < 2

    def within(self, side: int) -> Points:
        """(side, side): 1 in the crop, fading to 0 on those of its sides that the photo goes on."""
        axis = (np.arange(side, dtype=np.float32) + 0.5) / side
        field = np.ones((side, side), np.float32)
        beyond = ((0.5, -0.02), (0.5, 1.02), (-0.02, 0.5), (1.02, 0.5))
        y, x = axis[:, None], axis[None, :]
        for point, from_side in zip(beyond, (y, 1 - y, x, 1 - x), strict=True):
            place = self._to_photo[:, :2] @ point + self._to_photo[:, 2]
            if (place > 0).all() and (place < self._photo_size).all():
                field = field * smoothstep(f32(from_side), 0.5 / side, BORDER)
        return f32(field)

    def placed(self, field: Points) -> Points:
        """A field (S, S) or (S, S, C) of the crop, over `area`; its border goes on around it."""
        matrix = self._to_area.copy()
        matrix[:, :2] /= field.shape[0]
        matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5]
        border = cv2.BORDER_REPLICATE
        return f32(cv2.warpAffine(field, matrix, self._size, borderMode=border))


class KeptBackground:
    """One photograph's background, around its face's crop.

    Args:
        rgb: (H, W, 3) uint8.
        alignment: the face's crop.
        parser: tells person and background apart.
    """

    def __init__(self, rgb: RGB, alignment: Alignment, parser: FaceParser) -> None:
        self._rgb, self._alignment, self._parser = rgb, alignment, parser
        self._place = Placement(rgb, alignment)
        self._before = _grown(self._person(alignment.image))
        if not self._place.empty:
            self._fill = self._place.placed(f32(_continued(alignment.image, self._before)))

    def __call__(self, edited: RGB) -> RGB:
        """`edited`, the photograph with an edited face (H, W, 3) uint8, before this background."""
        if self._place.empty:
            return edited
        crop = align(edited, self._alignment.face, CROP).image
        head = self._place.placed(smoothstep(self._person(crop), *EDGE))[..., None]
        been = self._place.placed(smoothstep(self._before, *EDGE))[..., None]
        out, where = edited.copy(), self._place.area
        area, photo = f32(edited[where]), f32(self._rgb[where])
        changed = (edited[where] != self._rgb[where]).any(axis=2)
        behind = photo + (self._fill - photo) * been
        composed = behind + (area - behind) * head
        out[where][changed] = np.clip(np.rint(composed), 0, 255).astype(np.uint8)[changed]
        return out

    def _person(self, crop: RGB) -> Points:
        """(128, 128) probability that it is the person."""
        labels = self._parser(crop)
        person = f32(1 - labels[..., [LABELS.index(name) for name in BEHIND]].sum(axis=2))
        return _around_face(person)


def before_background(
    rgb: RGB, edited: RGB, alignment: Crop, *, head: Points, been: Points, behind: Points
) -> RGB:
    """An edited head before the photograph's own background, (H, W, 3) uint8.

    Args:
        rgb, edited: the photograph before and after the edit, uint8.
        alignment: the face's crop.
        head: (S, S) in 0..1 of the crop, where the edited head is.
        been: (S, S) likewise, where the photographed one was.
        behind: (S, S, 3) in levels, what is seen where it has left.
    """
    place = Placement(rgb, alignment)
    if place.empty:
        return edited
    photo, out = f32(rgb[place.area]), rgb.copy()
    front, gone = place.placed(head)[..., None], place.placed(been)[..., None]
    wall = photo + (place.placed(behind) - photo) * gone
    composed = wall + (f32(edited[place.area]) - wall) * front
    composed = photo + (composed - photo) * place.placed(place.within(head.shape[0]))[..., None]
    out[place.area] = np.clip(np.rint(composed), 0, 255).astype(np.uint8)
    return out


def head_in_photo(rgb: RGB, rendering: RGB, crop: Crop, parser: FaceParser) -> RGB:
    """A photograph with the head of a rendering of all of it, (H, W, 3) uint8 each.

    What an encoder of frames makes of clothes and background may be anybody's ghost; the head is
    what the latents are of.

    Args:
        crop: the aligned face of the photograph.
        parser: tells heads from the rest.
    """
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    there = cv2.warpAffine(rendering, crop.matrix, crop.image.shape[1::-1], flags=how)
    after, before = (_head(parser(f)) for f in (np.asarray(there, np.uint8), crop.image))
    return before_background(
        rgb,
        rendering,
        crop,
        head=smoothstep(after, *EDGE),
        been=smoothstep(_grown(before), *EDGE),
        behind=f32(_continued(crop.image, _grown(before))),
    )


def _head(labels: Points) -> Points:
    """(S, S) probability of a head and its neck, of (S, S, 17) of `LABELS`."""
    others = [LABELS.index(name) for name in (*BEHIND, *BELOW)]
    return _around_face(f32(1 - labels[..., others].sum(axis=2)))


def _around_face(person: Points) -> Points:
    """(S, S) without what doesn't hang together with the crop's middle: other people's hair."""
    side = person.shape[0]
    _, areas = cv2.connectedComponents((person > SURE).astype(np.uint8))
    middle = areas[round(0.4 * side) : round(0.8 * side), round(0.35 * side) : round(0.65 * side)]
    seen = np.unique(middle[middle > 0])
    near = np.isin(areas, seen).astype(np.uint8)
    others = f32((areas > 0) & (near == 0))
    return f32(person * (1 - cv2.GaussianBlur(_grown(others), (0, 0), 1)))


def _grown(person: Points) -> Points:
    size = max(3, round(2 * GROWN * person.shape[0])) | 1
    return f32(cv2.dilate(person, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))))


def _continued(crop: RGB, person: Points) -> RGB:
    """The crop (S, S, 3) without the person, small."""
    small = cv2.resize(crop, (FILLED, FILLED), interpolation=cv2.INTER_AREA)
    hole = cv2.resize(person, (FILLED, FILLED)) > 0.15
    if hole.all():
        return np.asarray(small, np.uint8)
    filled = cv2.inpaint(small, hole.astype(np.uint8), 5, cv2.INPAINT_TELEA)
    return np.asarray(cv2.GaussianBlur(filled, (0, 0), 0.8), np.uint8)
