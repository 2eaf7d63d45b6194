"""Another's hair on a photographed head.

The other's hair comes with what it grows from: forehead, temples and ears, in the photograph's
tone, so that hairlines and bare foreheads are those of a photograph. The photograph's own hair
goes first; behind it, its surroundings are continued.
"""

from __future__ import annotations

import cv2
import numpy as np

from toonify.editing.part_layers import Backdrop, Layer
from toonify.editing.part_shapes import (
    BROWS,
    LIDS,
    RIGID,
    ThinPlate,
    distance_to,
    filled,
    hull_of,
    remapped,
)
from toonify.editing.part_transfer import PartTransfer
from toonify.errors import InputError
from toonify.faces.person import fill_from
from toonify.faces.types import RGB, Points, f32
from toonify.portrait.fields import blur, remove_small, smoothstep
from toonify.portrait.subject import JAW, OVAL

EARS = ((234, 93, 127), (454, 323, 356))  # points of the mesh before them
REACH = 90.0  # units beyond the face over which its own fit passes into that of the whole head
MISSING = 22.0  # units that may be missing of hair which the picture's border cuts
MOST_CUT = 5000.0  # square units of hair that may be missing: the rest ends softly
MOST_UNSURE = 0.7  # of sure hair, how much may be hair or something else
MOST_INVENTED = 4.0  # levels of detail around what is continued, by its area in faces
MOST_HATS = 0.15  # of the hair, how much a hat may be
MOST_UNKNOWN = 0.45  # of a face's area, what long hair may leave to be guessed below the chin
FRINGE = 0.15  # of a forehead, how much hair hangs over it
LIGHTER = 0.25  # how much of what skin becomes lighter by hair becomes, too


def hair_layer(transfer: PartTransfer) -> Layer:
    """The other's hair over the photograph's window.

    Raises:
        InputError: hats, hair that the picture cuts or that hides the eyes, or so much less of it
            that a body under the photograph's hair would have to be invented.
    """
    return _Hair(transfer).layer()


class _Hair:
    def __init__(self, transfer: PartTransfer) -> None:
        self.transfer, self.unit, self.size = transfer, transfer.unit, transfer.size
        self.points = transfer.face.points
        self.mine, self.parts = transfer.photo, transfer.photo.subject.parts
        self.theirs = transfer.other.subject.parts
        self.oval = filled(OVAL, self.points, self.size)
        self.down, self.above_chin, self.above_brows = self._levels()

    def layer(self) -> Layer:
        transfer, unit = self.transfer, self.unit
        flow = self._flow()
        there = self._there(flow)
        hair, hat, skin, neck = (
            remapped(each, flow)
            for each in (self.theirs.hair, self.theirs.headwear, self.theirs.skin, self.theirs.neck)
        )
        self._check(hair, hat, flow, there)
        hair = f32(remove_small(hair, 900 * unit**2, 900 * unit**2))
        own = self._own_hair()
        # skin that comes along: under the photograph's own hair, and around the hairline
        near = smoothstep(blur(f32(hair > 0.5), 9 * unit), 0.06, 0.3)
        forehead = self.oval * (self.above_brows > 0)
        if float((own * forehead).sum()) > FRINGE * float(forehead.sum()):
            near = np.ones_like(near)  # single strands of a fringe aren't all seen
        features = np.max(
            [hull_of(ring, self.points, self.size) for ring in (*BROWS, *LIDS)], axis=0
        )
        features = smoothstep(
            blur(f32(cv2.dilate(f32(features), _disk(5 * unit))), 3 * unit), 0.1, 0.6
        )
        was = f32(cv2.dilate(f32(own > 0.15), _disk(7 * unit)))
        was = smoothstep(blur(was, 4 * unit), 0.1, 0.4)
        head = np.clip(skin - neck, 0, 1) * smoothstep(self.above_chin, 20 * unit, 60 * unit)
        upper = smoothstep(self.above_brows, -6 * unit, 8 * unit)
        outside = 1 - smoothstep(blur(self.oval, 4 * unit), 0.3, 0.8)
        share = np.max([near * upper * (1 - features), was, self._ears(own) * outside], axis=0)
        alpha = smoothstep(hair + head * share, 0.15, 0.75) * there
        for stays in (self.parts.cover, self.parts.glasses, self.parts.lenses):
            alpha = alpha * (1 - smoothstep(stays, 0.3, 0.7))
        alpha = f32(alpha * self._edges())
        backdrop = self._backdrop(own, alpha, hair + head)
        still = transfer.still()
        toning = transfer.toner.toning(flow, still, alpha, self.points, "hair")
        white = smoothstep(hair, 0.3, 0.8)
        gain = np.clip((toning.wanted - toning.base).mean(2, keepdims=True), -1, 1) * LIGHTER
        toning = toning.with_white(white, f32(np.repeat(gain, 3, 2)))
        pure = self._pure(flow, hair, skin)
        return Layer(flow, still, alpha, toning, backdrop, pure)

    def _levels(self) -> tuple[Points, Points, Points]:
        down = self.transfer.face.down
        y, x = np.mgrid[: self.size[1], : self.size[0]].astype(np.float32)
        along = x * down[0] + y * down[1]
        chin = float(self.points[list(JAW)[len(JAW) // 2]] @ down)
        brows = float((self.points[[i for ring in BROWS for i in ring]] @ down).mean())
        return down, f32(chin - along), f32(brows - along)

    def _own_hair(self) -> Points:
        """(h, w) in 0..1: the photograph's hair that hangs together with its head."""
        hair = f32(np.clip(self.parts.hair, 0, 1))
        _, areas = cv2.connectedComponents((hair > 0.3).astype(np.uint8))
        crown = cv2.dilate(self.oval, _disk(25 * self.unit)) * (self.above_brows > 0)
        seen = np.unique(areas[(crown > 0.5) & (areas > 0)])
        kept = cv2.dilate(f32(np.isin(areas, seen[seen > 0])), _disk(4 * self.unit))
        return f32(hair * kept)

    def _ears(self, own: Points) -> Points:
        """(h, w) in 0..1: where ears are that the photograph's hair hides."""
        found = np.zeros(self.size[::-1], np.float32)
        y, x = np.mgrid[: self.size[1], : self.size[0]].astype(np.float32)
        for side in EARS:
            middle = self.points[list(side)].mean(0)
            outward = middle - self.points.mean(0)
            middle = middle + outward / np.linalg.norm(outward) * 12 * self.unit
            place = f32(np.hypot(x - middle[0], y - middle[1]) < 45 * self.unit)
            beside = place * (self.oval < 0.5)
            if float((own * beside).sum()) > 0.4 * float(beside.sum()):
                found = np.maximum(found, blur(place, 4 * self.unit))
        return found

    def _flow(self) -> Points:
        """Where each px comes from: the face's fit, passing into one affine map of the head."""
        theirs = self.transfer.other.subject.face.points
        chosen = sorted({*OVAL, *RIGID})
        a = np.concatenate([self.points[chosen], np.ones((len(chosen), 1))], 1).astype(np.float64)
        found, *_ = np.linalg.lstsq(a, theirs[chosen].astype(np.float64), rcond=None)
        still = self.transfer.still()
        whole = still @ f32(found[:2]) + f32(found[2])
        close = ThinPlate(self.points, theirs, 40 * self.unit, 0.1).over(self.size)
        away = distance_to(self.oval >= 0.5) / self.unit
        share = (1 - smoothstep(away, 0, REACH))[..., None]
        return f32(whole + (close - whole) * share)

    def _there(self, flow: Points) -> Points:
        """(h, w) in 0..1: where the other's picture reaches."""
        other = self.transfer.other
        places = flow @ f32(other.to_picture[:, :2].T) + f32(other.to_picture[:, 2])
        height, width = other.rgb.shape[:2]
        beyond = np.max([-places[..., 0], places[..., 0] - width + 1,
                         -places[..., 1], places[..., 1] - height + 1], axis=0)  # fmt: skip
        beyond = beyond / (other.to_picture[0, 0] * other.subject.face.unit)
        return f32(1 - smoothstep(beyond, -MISSING, MISSING))

    def _check(self, hair: Points, hat: Points, flow: Points, there: Points) -> None:
        transfer = self.transfer
        for person, hats, total in (
            (transfer.other, hat, hair), (transfer.photo, self.parts.headwear, hair)
        ):  # fmt: skip
            if float(hats.sum()) > MOST_HATS * float(total.sum()):
                raise InputError(
                    f"{person.name}: something is worn on the hair",
                    hint="Use a picture without a hat or scarf.",
                )
        cut = (hair > 0.5) & (there < 0.05) & (self._edges() > 0.5)
        above = cut & (self.above_brows > 0)
        if float(cut.sum() + above.sum()) > MOST_CUT * self.unit**2:
            raise InputError(
                f"{transfer.other.name}: the hair runs out of the picture",
                hint="Use a picture that shows all of it.",
            )
        unsure = float(((hair > 0.2) & (hair < 0.8)).sum()) / float((hair > 0.8).sum() + 1)
        if unsure > MOST_UNSURE:
            raise InputError(
                f"{transfer.other.name}: the hair can't be separated from what is around it",
                hint="Use a sharper picture, before something of another color.",
            )
        eyes = np.max([filled(ring, self.points, self.size) for ring in LIDS], axis=0)
        for person, seen in ((transfer.other, hair), (transfer.photo, self.parts.hair)):
            if float(seen[eyes > 0.5].mean()) > 0.3:
                raise InputError(
                    f"{person.name}: the hair hides the eyes", hint="Use another picture."
                )

    def _edges(self) -> Points:
        """1, fading to 0 at those sides of the window where the photograph goes on."""
        matrix = self.mine.to_picture
        height, width = self.mine.rgb.shape[:2]
        low = matrix[:, 2]
        high = low + matrix[[0, 1], [0, 1]] * (np.array(self.size) - 1)
        ramps = []
        for axis, end in ((0, width), (1, height)):
            at = np.arange(self.size[axis], dtype=np.float32)
            ramp = np.ones_like(at)
            if low[axis] > 1:
                ramp *= smoothstep(at, 0, 20 * self.unit)
            if high[axis] < end - 2:
                ramp *= smoothstep(at[::-1], 0, 20 * self.unit)
            ramps.append(ramp)
        return f32(np.outer(ramps[1], ramps[0]))

    def _backdrop(self, own: Points, alpha: Points, head: Points) -> Backdrop:
        """What is behind the photograph's hair."""
        unit = self.unit
        scalp = self.parts.skin * smoothstep(self.above_brows, 35 * unit, 55 * unit)
        gone = f32(np.maximum(own, scalp * (1 - np.clip(head, 0, 1))) > 0.12)
        gone = f32(cv2.dilate(gone, _disk(6 * unit)))
        face = np.maximum(self.oval, smoothstep(self.parts.skin, 0.4, 0.8)) * (own < 0.3)
        gone = f32(gone * (1 - face))
        below = (gone > 0.5) & (alpha < 0.5) & (self.above_chin < 0)
        area = float(self.oval.sum())
        gray = f32(cv2.cvtColor(self.mine.subject.rgb, cv2.COLOR_RGB2GRAY))
        rim = (cv2.dilate(gone, _disk(30 * unit)) > 0.5) & (gone < 0.5) & (self.above_chin > 0)
        rim &= self.parts.skin < 0.2
        detail = float(np.abs(gray - blur(gray, 8 * unit))[rim].mean()) if rim.any() else 0.0
        hole = float(((gone > 0.5) & (alpha < 0.5)).sum())
        if hole * detail > MOST_INVENTED * area:
            raise InputError(
                f"{self.mine.name}: what is behind the hair is too detailed to be continued",
                hint="Use a friend with more hair, or a photo before something plain.",
            )
        if float(below.sum()) > MOST_UNKNOWN * area:
            raise InputError(
                f"{self.mine.name}: nothing is known of what its long hair hides",
                hint="Use a friend with longer hair, or a photo with shorter hair.",
            )
        rgb = self.mine.subject.rgb
        sure = 1 - np.max([cv2.dilate(gone, _disk(3 * unit)), self.parts.skin, self.oval,
                           self.parts.hair], axis=0)  # fmt: skip
        sure = f32(np.clip(sure, 0, 1) ** 2)
        behind = fill_from(rgb, f32(np.maximum(sure, 1e-4)))
        return Backdrop(f32(behind), blur(gone, 1.5 * unit) * self._edges())

    def _pure(self, flow: Points, hair: Points, skin: Points) -> tuple[Points, Points]:
        """Colors of the hair alone, and where they stand for what shines through its rim."""
        picture = remapped(f32(self.transfer.other.subject.rgb), flow)
        sure = smoothstep(hair, 0.85, 0.97)
        colors = fill_from(np.clip(picture, 0, 255).astype(np.uint8), f32(sure))
        rim = (1 - smoothstep(hair, 0.6, 0.95)) * (
            1 - smoothstep(blur(skin, 1.5 * self.unit), 0.1, 0.5)
        )
        return f32(colors), f32(rim)


def _disk(radius: float) -> RGB:
    size = 2 * max(round(radius), 1) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
