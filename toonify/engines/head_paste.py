"""A drawn character's whole head on a person's body, drawn or photographed.

The person's head and hair are taken out by the parser's labels; the drawing stands there by its
silhouette, without its own neck and clothes, on the person's neck, which reaches up under its
chin. Hats, hands and things before the face stay where they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.engines.measured_head import PARTS, MeasuredHead
from toonify.errors import InputError
from toonify.faces import Face
from toonify.faces.alignment import Alignment, paste_back, silhouette_mask
from toonify.faces.matte import drawing_matte
from toonify.faces.parsing import LABELS, FaceParser, Network
from toonify.faces.person import fill_from
from toonify.faces.types import Points
from toonify.portrait.analysis import MAX_UPSAMPLING, Analyzer
from toonify.portrait.engine import CLIP_UPSAMPLING, load_analyzer
from toonify.portrait.fields import Field, blur, f32, smoothstep, to_lab
from toonify.portrait.layers import Layers
from toonify.portrait.memory import Memory

RGB = NDArray[np.uint8]
FILL_SIDE = 160  # what lies behind a head is filled at this size: nobody knows its details
HAIR_LIGHT = 0.4  # how far hair that stays takes the lightness of the drawing's
NECK_TINT = 0.85  # how far the neck takes the drawing's color
NO_HEAD = ("background", "neck", "clothes", "person", "object", "hand")
LEAST_SKIN = 0.1  # share of a drawing that shows a head
MOUTH = 0.6  # height of the mouth in an aligned drawing: all above it is head
ENDS = 0.03  # height that long hair fades out in at the bottom, in sides
CHIN = 0.8  # of the chin, likewise
HAIR_VARIES = 30.0, 12.0, 14.0  # CIELAB, what hair may differ by from its own median
GROUND_VARIES = 14.0  # CIELAB, what the ground may differ by from its own
FACE = ("skin", "lips", "mouth", "beard", "ear")
EDGE = 0.004  # sigma of borders between a drawing's parts, in its sides
LEAST_NECK = 60.0  # width that is needed to tell it, px of a face whose eyes are 125 px apart
PHOTO_EDGE, DRAWN_EDGE = 7.0, 10.0  # what is taken out around a head: outlines are drawn beside it
NARROW = 0.8  # width of a neck under the chin, as a share of where it is seen
FLANK = 1.4  # the same between hair, which is not seen through


class HeadPaster:
    """Sets drawn heads on the bodies of a picture.

    Args:
        analyzer: the networks that tell hair, skin, hats and hands.
        parser: tells a drawing's head from its neck and clothes.
    """

    def __init__(self, analyzer: Analyzer, parser: FaceParser) -> None:
        self._analyzer, self._parser = analyzer, parser

    @classmethod
    def from_bundle(
        cls,
        bundle: str | os.PathLike[str] = "default",
        *,
        parser: FaceParser | None = None,
        parsing: Callable[[Path], Network] | None = None,
    ) -> HeadPaster:
        """With a bundle's small networks.

        Args:
            parser: as of the class.
            parsing: as of `load_analyzer`.

        Raises:
            ModelError: the bundle has no such networks.
        """
        return cls(load_analyzer(bundle, parsing=parsing), parser or FaceParser())

    def measure(
        self,
        photo: RGB,
        faces: Sequence[Face],
        *,
        people: Sequence[int] | None = None,
        memory: Memory | None = None,
    ) -> list[MeasuredHead | None]:
        """Where hair, hats and hands are of each face in a photograph (H, W, 3) uint8; None of one
        that can't be measured.

        Args:
            people, memory: as of `Analyzer.heads`.
        """
        upsampling = MAX_UPSAMPLING if memory is None else CLIP_UPSAMPLING
        found = self._analyzer.heads(
            photo, faces, upsampling=upsampling, memory=memory, people=people
        )
        heads: list[MeasuredHead | None] = [None] * len(faces)
        for subject in found:
            heads[subject.face_index] = MeasuredHead.of_subject(subject, faces[subject.face_index])
        return heads

    def __call__(
        self,
        picture: Layers,
        toon: RGB,
        alignment: Alignment,
        person: MeasuredHead | None,
        *,
        tinted: bool = True,
    ) -> Layers:
        """A picture with `toon` (S, S, 3) uint8, of the alignment's crop, in it.

        A drawing that shows no head, or of a face that can't be measured, is pasted as `paste_back`
        does.

        Args:
            picture: the photograph, or it drawn.
            person: whose head it is, of `measure`.
            tinted: the neck takes the color of the drawing's skin.

        Examples:
            >>> paste = HeadPaster.from_bundle("default")
            >>> (person,) = paste.measure(photo, [face])
            >>> paste(Layers.of_photo(photo), toon, align(photo, face, 512), person).flat()
        """
        head = self._head(toon)
        if head is None or person is None:
            people = paste_back(picture.people, toon, alignment)
            three = np.dstack([picture.alpha] * 3)
            opaque = paste_back(three, np.full_like(toon, 255), alignment)[..., 0]
            return replace(picture, people=people, alpha=np.ascontiguousarray(opaque))
        window = _Window(picture.people, person)
        drawn, mask = window.drawing(toon, head, alignment)
        gone = window.gone(PHOTO_EDGE if picture.grain or picture.known else DRAWN_EDGE)
        people, alpha, behind = picture.people.copy(), picture.alpha.copy(), picture.behind
        if behind is not None and not picture.known:
            behind = behind.copy()
            window.fill_in(behind, gone, mask, grain=picture.grain)
        window.tint_hair(people, drawn, mask)
        neck = window.reach_up(people, gone)
        if tinted:
            window.tint_neck(people, drawn, mask)
        window.take_out(alpha, f32(gone * (1 - neck)))
        window.lay(people, alpha, drawn, mask)
        return replace(picture, people=people, alpha=alpha, behind=behind)

    def _head(self, toon: RGB) -> Points | None:
        """Opacity (S, S) of a drawing's head, None where there is none: it stands before a plain
        ground, or is what the parser takes for one; below its mouth that tells, too, what is. Of
        heads that the parser doesn't know, such as cats', the silhouette."""
        side = toon.shape[0]
        labels = self._parser.parse(toon, mirrored=False).labels
        matte = drawing_matte(toon)
        if labels[..., LABELS.index("skin")].mean() < LEAST_SKIN:
            return None if matte is None else silhouette_mask(matte)
        if matte is None:
            ground = f32(cv2.resize(labels[..., LABELS.index("background")], (side, side)))
            matte = smoothstep(1 - blur(ground, EDGE * side), 0.35, 0.65)
        others = f32(sum(labels[..., LABELS.index(name)] for name in NO_HEAD))
        others = np.maximum(others, _no_head(toon, labels))
        share = blur(f32(cv2.resize(others, (side, side))), EDGE * side)
        height = (np.arange(side, dtype=np.float32)[:, None] + 0.5) / side
        below = smoothstep(height, MOUTH, MOUTH + ENDS)
        head = f32((1 - smoothstep(share, 0.35, 0.65) * below) * smoothstep(1 - height, 0, ENDS))
        whole = _filled(_largest((head * matte) > 0.05))
        return f32(np.where(whole, np.where(_filled(head > 0.5), 1, head) * matte, 0))


def _no_head(toon: RGB, labels: Points) -> Points:
    """(h, w): 1 below the mouth where the parser takes for head what has the color of the ground,
    and beside the neck where it calls hair what has another color than the hair above.

    Args:
        labels: (h, w, 17), what it sees of the drawing.
    """
    side = len(labels)
    lab = to_lab(np.asarray(cv2.resize(toon, (side, side), interpolation=cv2.INTER_AREA), np.uint8))
    rows = np.arange(side)[:, None] / side
    hair = labels[..., LABELS.index("hair")] > 0.3
    above = hair & (rows < MOUTH)
    other = np.zeros((side, side), bool)
    if above.any():
        away = np.abs(lab - np.median(lab[above], axis=0)) / f32(HAIR_VARIES)
        other |= hair & (away.max(2) > 1) & (rows > CHIN)
    ground = labels[..., LABELS.index("background")] > 0.8
    if ground.any():
        face = f32(sum(labels[..., LABELS.index(name)] for name in FACE)) > 0.5
        near = np.linalg.norm(lab - np.median(lab[ground], axis=0), axis=2) < GROUND_VARIES
        other |= near & ~face & (rows > MOUTH)
    return f32(other)


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without holes, such as an open mouth that the parser takes for ground."""
    outside = cv2.copyMakeBorder((~mask).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return np.asarray(labels[1:-1, 1:-1] != labels[0, 0])


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count == 1:
        return mask
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


def _textured(layer: RGB, area: RGB, hole: NDArray[np.bool_], sigma: float) -> RGB:
    """A smooth filling with the grain of what is around the hole: each pixel takes the detail from
    as far beyond the hole's border as it lies within."""
    if not hole.any() or hole.all():
        return layer
    source = hole.astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(
        source, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    known_y, known_x = np.nonzero(~hole)
    place = np.zeros(int(nearest.max()) + 1, np.int64)
    place[nearest[known_y, known_x]] = np.arange(len(known_y))
    y, x = np.nonzero(hole)
    at = place[nearest[y, x]]
    height, width = hole.shape
    mirrored_y, mirrored_x = 2 * known_y[at] - y, 2 * known_x[at] - x
    there = (mirrored_y >= 0) & (mirrored_y < height) & (mirrored_x >= 0) & (mirrored_x < width)
    y, x, mirrored_y, mirrored_x = (v[there] for v in (y, x, mirrored_y, mirrored_x))
    outside = ~hole[mirrored_y, mirrored_x]
    detail = f32(area) - cv2.GaussianBlur(f32(area), (0, 0), sigma)
    out = f32(layer)
    out[y, x] += detail[mirrored_y, mirrored_x] * outside[:, None]
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


class _Window:
    """One person's part of a picture, at its own resolution."""

    def __init__(self, picture: RGB, person: MeasuredHead) -> None:
        height, width = person.maps.shape[:2]
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]])
        corners = corners @ person.matrix[:, :2].T + person.matrix[:, 2]
        x0, y0 = (max(round(at), 0) for at in corners.min(0))
        x1, y1 = (
            min(round(at), end)
            for at, end in zip(corners.max(0), picture.shape[1::-1], strict=True)
        )
        if x1 - x0 < 8 or y1 - y0 < 8:
            raise InputError("a face lies outside the picture")
        self.box = (x0, y0, x1, y1)
        self.size = (x1 - x0, y1 - y0)
        matrix = person.matrix.copy()
        matrix[:, 2] -= (x0, y0)
        parts = {}
        for first in range(0, len(PARTS), 4):  # OpenCV turns four at once
            some = np.ascontiguousarray(person.maps[..., first : first + 4])
            turned = cv2.warpAffine(some, matrix, self.size, flags=cv2.INTER_LINEAR)
            for name, part in zip(PARTS[first : first + 4], cv2.split(turned), strict=True):
                parts[name] = f32(part)
        self.hair, self.skin = parts["hair"], parts["skin"]
        self.neck, self.headwear = parts["neck"], parts["headwear"]
        self.cover, self.beard = parts["cover"], parts["beard"]
        self.clothes = parts["clothes"]
        self.unit, self.down = person.unit, person.down
        self.jaw = f32(person.jaw - f32([x0, y0]))
        self._inner = self._edges(picture.shape[:2])

    def drawing(self, toon: RGB, mask: Field, alignment: Alignment) -> tuple[RGB, Field]:
        """The drawing and its opacity, turned into the window."""
        size = toon.shape[0]
        k = alignment.image.shape[0] / size
        to_photo = alignment.matrix.copy()
        to_photo[:, 2] += alignment.matrix[:, :2] @ np.full(2, k / 2 - 0.5)
        to_photo[:, :2] *= k
        to_photo[:, 2] -= self.box[:2]
        zoom = float(np.hypot(to_photo[0, 0], to_photo[1, 0]))
        if zoom < 0.75:
            small = max(round(size * zoom), 8)
            toon = np.asarray(
                cv2.resize(toon, (small, small), interpolation=cv2.INTER_AREA), np.uint8
            )
            mask = f32(cv2.resize(mask, (small, small), interpolation=cv2.INTER_AREA))
            r = size / small
            to_photo[:, 2] += to_photo[:, :2] @ np.full(2, r / 2 - 0.5)
            to_photo[:, :2] *= r
        drawn = cv2.warpAffine(
            toon, to_photo, self.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(drawn, np.uint8), f32(cv2.warpAffine(mask, to_photo, self.size))

    def _edges(self, shape: tuple[int, ...]) -> Field:
        """1, fading to 0 at those sides of the window that are not the photograph's."""
        x0, _, x1, y1 = self.box
        reach = max(40 * self.unit, 2.0)
        x, y = (np.arange(length, dtype=np.float32) for length in self.size)
        across, down = np.ones_like(x), np.ones_like(y)
        if x0 > 0:
            across *= smoothstep(x, 0, reach)
        if x1 < shape[1]:
            across *= smoothstep(x[::-1], 0, reach)
        if y1 < shape[0]:
            down *= smoothstep(y[::-1], 0, reach)
        return f32(down[:, None] * across[None, :])

    def before(self) -> Field:
        """Opacity of what stands before a head: hands, things, hats."""
        hat = smoothstep(self.headwear - 0.5 * self.hair, 0.45, 0.75)
        return f32(np.clip(np.maximum(self.cover, hat), 0, 1))

    def gone(self, edge: float) -> Field:
        """Opacity of what is taken out: face, ears and hair with an edge, but for what stands
        before them."""
        face = np.maximum(self.beard, np.clip(self.skin - self.neck, 0, 1))
        face = face * (1 - smoothstep(self._under_chin, -12 * self.unit, 14 * self.unit))
        # Long hair that falls on the shoulders stays: nobody knows what is under it.
        hair = self.hair * (1 - smoothstep(self._under_chin, -60 * self.unit, -15 * self.unit))
        head = np.maximum(face, hair)
        width = max(3, int(2 * edge * self.unit)) | 1
        grown = cv2.dilate(f32(head > 0.35), np.ones((width, width), np.uint8))
        share = blur(f32(grown * (1 - self.before())), 2.5 * self.unit)
        return f32(np.clip(share * 1.6, 0, 1))

    def fill_in(self, out: RGB, gone: Field, mask: Field, *, grain: bool) -> None:
        """Paint what may lie behind over what is taken out of a picture, in place."""
        x0, y0, x1, y1 = self.box
        area = out[y0:y1, x0:x1]
        ratio = FILL_SIDE / max(self.size)
        small = (max(int(self.size[0] * ratio), 8), max(int(self.size[1] * ratio), 8))
        picture = cv2.resize(area, small, interpolation=cv2.INTER_AREA)
        unknown = cv2.resize(
            f32(np.maximum(gone > 0.5, mask > 0.5)), small, interpolation=cv2.INTER_AREA
        )
        # Neck and chin must not run into the background, nor hair that stays: unknown, too.
        own = np.maximum(self.skin, self.hair)
        unknown = np.maximum(unknown, cv2.resize(own, small, interpolation=cv2.INTER_AREA))
        hole = (unknown > 0.15).astype(np.uint8)
        if hole.all():
            return
        if grain:
            filled = cv2.inpaint(np.asarray(picture, np.uint8), hole, 5, cv2.INPAINT_TELEA)
            filled = cv2.GaussianBlur(filled, (0, 0), 1.0)
        else:  # softer, and the same in the next frame
            filled = fill_from(np.asarray(picture, np.uint8), f32(hole == 0))
        layer = np.asarray(cv2.resize(filled, self.size, interpolation=cv2.INTER_CUBIC), np.uint8)
        if grain:
            layer = _textured(layer, area, cv2.resize(f32(hole), self.size) > 0.25, 6 * self.unit)
        _mix(area, layer, gone)

    def reach_up(self, out: RGB, gone: Field) -> Field:
        """Let the neck reach up under the drawing's chin where the person's own jaw is taken out,
        in place.

        Returns:
            its opacity; where none is seen, under a long beard, that of all below the chin, which
            stays as it is.
        """
        x0, y0, x1, y1 = self.box
        area = out[y0:y1, x0:x1]
        under = self._under_chin
        bare = self.neck * (1 - smoothstep(self.clothes, 0.2, 0.5)) * (1 - self.cover)
        seen = (bare > 0.5) & (under > -40 * self.unit) & (under < 60 * self.unit)
        y, x = np.nonzero(seen)
        places = np.stack([x, y], 1).astype(np.float32)
        across = f32([self.down[1], -self.down[0]])
        side = places @ across
        left, middle, right = np.quantile(side, (0.05, 0.5, 0.95)) if len(side) else (0, 0, 0)
        if right - left < LEAST_NECK * self.unit:
            return smoothstep(under, -70 * self.unit, -50 * self.unit)
        half = (right - left) / 2
        chin = self.jaw[len(self.jaw) // 2]
        center = chin + across * (float(middle) - float(chin @ across))
        # It ends under the chin, but between hair that falls on the shoulders goes on into that.
        place = np.arange(self.size[0]) * across[0] + np.arange(self.size[1])[:, None] * across[1]
        ends = []
        for sign in (-1, 1):
            away = sign * (place - middle) / half
            beside = self.hair[(away > 1) & (away < FLANK) & (np.abs(under) < 60 * self.unit)]
            flanked = len(beside) > 0 and float(beside.mean()) > 0.5
            width, up = (FLANK, 100) if flanked else (NARROW, 50)
            ends.append(center - self.down * up * self.unit + across * sign * width * half)
        ring = np.vstack([places, *ends])
        column = np.zeros(gone.shape, np.uint8)
        cv2.fillConvexPoly(column, cv2.convexHull(np.rint(ring).astype(np.int32)), 255)
        share = blur(f32(column) / 255, 1.5 * self.unit)
        color = np.median(area[seen], axis=0)
        _mix(area, np.broadcast_to(np.rint(color).astype(np.uint8), area.shape), f32(share * gone))
        return share

    def take_out(self, alpha: NDArray[np.uint8], gone: Field) -> None:
        """Lower the people's opacity (H, W) where they are taken out, in place."""
        x0, y0, x1, y1 = self.box
        area = alpha[y0:y1, x0:x1]
        area[:] = np.rint(area * (1 - gone)).astype(np.uint8)

    def tint_neck(self, out: RGB, drawn: RGB, mask: Field) -> None:
        """Move the color of the person's neck and chest to that of the drawing's, in place."""
        x0, y0, x1, y1 = self.box
        area = out[y0:y1, x0:x1]
        below = f32(self._below_jaw() * np.clip(self.skin, 0, 1) * (1 - self.cover))
        # The drawing's skin, seen on its chin and cheeks.
        center = self.jaw[len(self.jaw) // 2] - self.down * 16 * self.unit
        yy, xx = np.mgrid[: self.size[1], : self.size[0]]
        near = (np.hypot(xx - center[0], yy - center[1]) < 26 * self.unit) & (mask > 0.9)
        if not near.any() or float(below.sum()) < 40 * self.unit**2:
            return
        want = np.median(to_lab(drawn)[near], axis=0)
        lab = to_lab(area)
        have = (lab * below[..., None]).sum((0, 1)) / float(below.sum())
        moved = lab + f32(want - have) * NECK_TINT
        rgb = np.clip(cv2.cvtColor(f32(moved), cv2.COLOR_LAB2RGB), 0, 1) * 255
        # Strongest at the chin, gone two heads further down.
        fade = 1 - smoothstep(self._under_chin, 60 * self.unit, 230 * self.unit)
        share = blur(below, 1.5 * self.unit) * fade * self._inner
        area[:] = np.rint(area + (rgb - area) * share[..., None]).astype(np.uint8)

    def tint_hair(self, out: RGB, drawn: RGB, mask: Field) -> None:
        """Move the color of hair that stays below the chin to that of the drawing's, in place."""
        x0, y0, x1, y1 = self.box
        area = out[y0:y1, x0:x1]
        own = f32(self.hair * smoothstep(self._under_chin, -90 * self.unit, -50 * self.unit))
        above = self._under_chin < -150 * self.unit  # the top of the drawing's head
        seen = drawn[above & (mask > 0.95)]
        if float(own.sum()) < 200 * self.unit**2 or len(seen) < 50:
            return
        want = np.median(to_lab(seen[None])[0], axis=0)
        lab = to_lab(area)
        have = (lab * own[..., None]).sum((0, 1)) / float(own.sum())
        moved = lab + f32(want - have) * f32([HAIR_LIGHT, NECK_TINT, NECK_TINT])
        rgb = np.clip(cv2.cvtColor(f32(moved), cv2.COLOR_LAB2RGB), 0, 1) * 255
        share = blur(own, 1.5 * self.unit) * self._inner
        area[:] = np.rint(area + (rgb - area) * share[..., None]).astype(np.uint8)

    @cached_property
    def _under_chin(self) -> Field:
        """(h, w): px below the chin along the face, negative above it."""
        chin = self.jaw[len(self.jaw) // 2]
        x, y = (np.arange(length, dtype=np.float32) for length in self.size)
        across, along = (x - chin[0]) * self.down[0], (y - chin[1]) * self.down[1]
        return f32(along[:, None] + across[None, :])

    def lay(self, out: RGB, alpha: NDArray[np.uint8], drawn: RGB, mask: Field) -> None:
        """Lay the drawing over its place, behind what stands before it, in place."""
        x0, y0, x1, y1 = self.box
        opaque = alpha[y0:y1, x0:x1]
        share = f32(mask * (1 - self.before()))
        under = f32(opaque) / 255 * (1 - share)
        total = share + under
        _mix(out[y0:y1, x0:x1], drawn, f32(share / np.maximum(total, 1e-6)))
        opaque[:] = np.rint(255 * np.clip(total, 0, 1)).astype(np.uint8)

    def _below_jaw(self) -> Field:
        """(h, w): 1 below the jaw's line, 0 above."""
        ring = np.vstack(
            [self.jaw, self.jaw[-1] + self.down * 9999, self.jaw[0] + self.down * 9999]
        )
        field = np.zeros((self.size[1], self.size[0]), np.uint8)
        cv2.fillPoly(field, [np.rint(np.clip(ring, -20000, 20000)).astype(np.int32)], 255)
        return f32(f32(field) / 255)


def _mix(area: RGB, over: RGB, share: Field) -> None:
    """Lay `over` on `area`, both (h, w, 3), with an opacity (h, w), in place."""
    area[:] = cv2.blendLinear(
        np.ascontiguousarray(over), np.ascontiguousarray(area), share, f32(1 - share)
    )
