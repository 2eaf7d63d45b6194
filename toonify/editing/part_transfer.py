"""A part of another face, put into a photograph by geometry and gradient-domain blending.

The other's picture is warped so that the part keeps its shape but takes the photograph's turn,
size and place; around it every feature of both faces lies at one place. Its skin takes the
photograph's tone and light, and what still differs around the part is taken out as in Poisson
editing (Pérez et al., 2003), from skin alone. The part ends softly, in skin. Nothing is drawn by
a network: all pixels are those of the two pictures, and around the part the photograph's own.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.editing.part_layers import Layer, Toning, laid
from toonify.editing.part_light import COARSE, grown, membrane, shrunk, to_log, toned
from toonify.editing.part_people import Person
from toonify.editing.part_shapes import (
    BROWS,
    INNER_BROWS,
    SHAPES,
    ThinPlate,
    core_mask,
    distance_to,
    filled,
    hull_of,
    posed,
    remapped,
)
from toonify.editing.part_toning import Toner
from toonify.errors import InputError
from toonify.faces.types import RGB, Points, f32
from toonify.portrait.fields import blur, smoothstep
from toonify.portrait.subject import LIP_LOWER, LIP_UPPER, OVAL

MOST_COVERED = 0.22  # share of a part that something may be before
AREA_SOFT = 7.0  # units over which a painted mask's edge fades
BENT = 0.02


class PartTransfer:
    """One part of `other` in `photo`.

    Args:
        photo, other: two people.
        strength: 1 for the other's part, 0 for the photograph; between, shapes and colors are
            between; beyond, shapes go on.
    """

    def __init__(self, photo: Person, other: Person, strength: float = 1.0) -> None:
        self.photo, self.other, self.strength = photo, other, strength
        self.face, self.unit = photo.subject.face, photo.subject.face.unit
        self.size = photo.size
        self.toner = Toner(photo, other)

    def feature(self, name: str) -> Layer:
        """The other's eyes, brows, nose or mouth, named as in `SHAPES`.

        Raises:
            InputError: something is before the part in one of the pictures.
        """
        target = posed(name, self.face, self.other.subject.face)
        target = f32(self.face.points + self.strength * (target - self.face.points))
        flow = ThinPlate(target, self.other.subject.face.points, 40 * self.unit, BENT)
        own = ThinPlate(target, self.face.points, 40 * self.unit, BENT).over(self.size)
        taken = flow.over(self.size)
        alpha = self._alpha(name, target, taken)
        return Layer(taken, own, alpha, self.toner.toning(taken, own, alpha, target, name))

    def beard(self) -> Layer:
        """The other's beard around the photograph's own mouth."""
        flow = self._fitted()
        alpha = smoothstep(remapped(self.other.subject.parts.beard, flow), 0.15, 0.6)
        alpha *= 1 - smoothstep(self.photo.before(), 0.2, 0.6)
        inner = filled(LIP_UPPER + LIP_LOWER[-2:0:-1], self.face.points, self.size)
        alpha *= 1 - smoothstep(blur(inner, 1.5 * self.unit), 0.3, 0.8)
        return self._layer(flow, blur(f32(alpha), 1.5 * self.unit), "beard")

    def glasses(self) -> Layer:
        """The other's glasses: frames, and lenses that are dark.

        Raises:
            InputError: the photograph wears some itself.
        """
        mine = self.photo.subject.parts
        if (
            max(float((each > 0.5).sum()) for each in (mine.glasses, mine.lenses))
            > 250 * self.unit**2
        ):
            raise InputError(
                f"{self.photo.name}: wears glasses already", hint="Use a photo without any."
            )
        flow = self._fitted()
        parts = self.other.subject.parts
        seen = remapped(np.maximum(parts.glasses, parts.lenses), flow)
        alpha = smoothstep(seen, 0.12, 0.5)
        for stays in (mine.hair, mine.cover, mine.headwear):
            alpha = alpha * (1 - smoothstep(stays, 0.3, 0.7))
        return self._layer(flow, f32(alpha), "glasses")

    def area(self, mask: Points) -> Layer:
        """What the other has where a mask (h, w) in 0..1 of the window is set."""
        flow = self._fitted()
        hard = f32(mask > 0.5)
        away = distance_to(hard >= 0.5) / self.unit
        return self._layer(flow, f32(1 - smoothstep(away, 0, AREA_SOFT)), "area")

    def moved(self, layer: Layer, to: Points) -> Layer:
        """A layer with its middle at a point (2,) of the photograph's window.

        Raises:
            InputError: that is beside the window.
        """
        y, x = np.nonzero(layer.alpha > 0.5)
        middle = np.array([x.mean(), y.mean()]) if len(x) else self.face.points.mean(0)
        shift = np.array([[1, 0, to[0] - middle[0]], [0, 1, to[1] - middle[1]]])

        def shifted(field: Points, border: int = cv2.BORDER_REPLICATE) -> Points:
            return f32(cv2.warpAffine(field, shift, self.size, borderMode=border))

        alpha = shifted(layer.alpha, cv2.BORDER_CONSTANT)
        if alpha.max() < 0.5:
            raise InputError(
                "`at` lies beside the face", hint="Give px of the photo near the face."
            )
        flow, old = shifted(layer.flow), layer.toning
        base, wanted = shrunk(shifted(old.base)), shrunk(shifted(old.wanted))
        smooth = 1.2 * self.unit
        mine = shrunk(to_log(blur(f32(self.photo.subject.rgb), smooth)))
        theirs = shrunk(to_log(blur(remapped(f32(self.other.subject.rgb), flow), smooth)))
        ring = smoothstep(alpha, 0.0, 0.15) * (1 - smoothstep(alpha, 0.35, 0.8))
        rest = f32(np.clip(mine - toned(theirs, base, wanted, old.kept), -2, 2))
        wanted = wanted + membrane(rest, shrunk(f32(ring)), self.unit / COARSE)
        toning = Toning(
            grown(base, self.size), grown(f32(wanted), self.size), shifted(old.white),
            shifted(old.light), old.kept,
        )  # fmt: skip
        return Layer(flow, self.still(), alpha, toning)

    def laid(self, layer: Layer) -> RGB:
        """The photograph with a layer over it."""
        return laid(self.photo, self.other, layer, self.strength)

    def _fitted(self) -> Points:
        """(h, w, 2): the other's face in the very shape of the photograph's."""
        points = self.other.subject.face.points
        return ThinPlate(self.face.points, points, 40 * self.unit, BENT).over(self.size)

    def still(self) -> Points:
        y, x = np.mgrid[: self.size[1], : self.size[0]].astype(np.float32)
        return f32(np.stack([x, y], 2))

    def _layer(self, flow: Points, alpha: Points, name: str) -> Layer:
        own = self.still()
        return Layer(flow, own, alpha, self.toner.toning(flow, own, alpha, self.face.points, name))

    # -- where ----------------------------------------------------------------------------------

    def _alpha(self, name: str, target: Points, flow: Points) -> Points:
        before_me = self.photo.before()
        before_them = remapped(self.other.before(), flow)
        beards = (self.photo.subject.parts.beard, remapped(self.other.subject.parts.beard, flow))
        alike = (1 - smoothstep(before_me, 0.15, 0.5)) * (1 - smoothstep(before_them, 0.15, 0.5))
        alike *= 1 - smoothstep(np.maximum(*beards), 0.25, 0.6)
        oval = filled(OVAL, self.face.points, self.size)
        alike *= smoothstep(blur(oval, 3 * self.unit), 0.3, 0.8)
        alpha = np.zeros(self.size[::-1], np.float32)
        for shape in SHAPES[name]:
            core = np.maximum(
                core_mask(shape, target, self.unit, self.size),
                core_mask(shape, self.face.points, self.unit, self.size),
            )
            own = core_mask(shape, target, self.unit, self.size) > 0
            mask = core > 0
            if name == "brows":  # which the parser takes for hair now and then, but not above them
                own, mask = (self._shifted(each, 11) for each in (own, mask))
                if self._fringed(target, before_them):
                    before_them = np.ones_like(before_them)
            hidden = float(before_them[own].mean())
            mine = float(before_me[mask].mean())
            for covered, person in ((hidden, self.other), (mine, self.photo)):
                if covered > MOST_COVERED:
                    raise InputError(
                        f"{person.name}: something is before the {name} (hair, glasses, a hand)",
                        hint="Use a picture that shows them.",
                    )
            away = distance_to(core >= 0.5) / self.unit
            soft = 1 - smoothstep(away, 0, shape.around)
            # what is no skin in one of the two is not passed: the edge comes closer there
            closed = self._reachable(core, alike, shape.around)
            own_edge = 1 - smoothstep(away, 0, 3)
            if name in ("nose", "brows"):  # rims cross them, and do not come along
                rims = remapped(np.maximum(self.other.subject.parts.glasses,
                                             self.other.subject.parts.lenses), flow)  # fmt: skip
                free = distance_to(rims >= 0.2) / self.unit
                own_edge = own_edge * smoothstep(free, 1, 9)
            alpha = np.maximum(alpha, np.maximum(soft * closed, own_edge))
        alpha = blur(f32(alpha), 1.5 * self.unit)
        parts = self.photo.subject.parts
        stays = [parts.cover, parts.glasses, parts.headwear]
        if name != "brows":
            stays.append(parts.hair)
        hindered = blur(f32(np.max(stays, axis=0)), 0.8 * self.unit)
        alpha = alpha * (1 - smoothstep(hindered, 0.2, 0.6))
        inside = np.minimum(oval, filled(OVAL, target, self.size))
        alpha = alpha * smoothstep(blur(inside, 2 * self.unit), 0.4, 0.9)
        if name == "brows":  # beside them it is hair indeed that the parser sees
            both = np.max([hull_of(ring, target, self.size) for ring in INNER_BROWS], axis=0)
            away = distance_to(both > 0) / self.unit
            strands = blur(before_them, 0.8 * self.unit) * smoothstep(away, 1, 5)
            alpha = alpha * (1 - smoothstep(strands, 0.15, 0.5))
        return f32(alpha)

    def _fringed(self, target: Points, hair: Points) -> bool:
        """Whether the other's hair reaches an outer end of its brows."""
        both = np.max([hull_of(ring, target, self.size) for ring in BROWS], axis=0) > 0
        away = distance_to(both) / self.unit
        y, x = np.mgrid[: self.size[1], : self.size[0]].astype(np.float32)
        for end in (70, 300):
            near = np.hypot(x - target[end, 0], y - target[end, 1]) < 14 * self.unit
            if float(hair[near & (away > 3)].mean()) > 0.3:
                return True
        return False

    def _reachable(self, core: Points, alike: Points, around: float) -> Points:
        """Like `alike`, but falling softly towards what is unlike, over part of the way."""
        away = distance_to(alike <= 0.5) / self.unit
        return f32(smoothstep(away, 0, 0.5 * around))

    def _shifted(self, mask: NDArray[np.bool_], up: float) -> NDArray[np.bool_]:
        """A mask, moved up by so many units."""
        return np.roll(mask, -round(up * self.unit), axis=0)
