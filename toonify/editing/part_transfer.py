"""A part of another face, put into a photograph by geometry and gradient-domain blending.

The other's picture is warped so that the part keeps its shape but takes the photograph's turn,
size and place; around it every feature of both faces lies at one place. Its skin takes the
photograph's tone and light, and what still differs around the part is taken out as in Poisson
editing (Pérez et al., 2003), from skin alone. The part ends softly, in skin. Nothing is drawn by
a network: all pixels are those of the two pictures, and around the part the photograph's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.editing.part_light import (
    COARSE,
    GAMMA,
    Kept,
    from_log,
    grown,
    membrane,
    mesh_normals,
    parted,
    shrunk,
    skin_base,
    skin_weight,
    to_log,
    toned,
)
from toonify.editing.part_shapes import (
    BROWS,
    INNER_BROWS,
    INNER_LIPS,
    LIDS,
    LIPS,
    NEAR_EYES,
    SHAPES,
    SOCKETS,
    ThinPlate,
    core_mask,
    distance_to,
    filled,
    posed,
    remapped,
)
from toonify.errors import InputError
from toonify.faces.mesh import head_pose
from toonify.faces.types import RGB, Face, Points, f32, is_plausible
from toonify.portrait.analysis import Analyzer
from toonify.portrait.fields import blur, smoothstep
from toonify.portrait.subject import LIP_LOWER, LIP_UPPER, OVAL, Subject

MOST_TURNED = 48.0  # degrees, beyond which the mesh is a guess
MOST_APART = (26.0, 22.0)  # degrees of yaw and pitch between faces that go together
MOST_COVERED = 0.22  # share of a part that something may be before
EYE_LIGHT = (0.6, 1.6)  # limits of what light does to the white of an eye, in levels
TEETH = -0.1  # logarithm of what becomes of theirs: lips shade them
KEPT = {"brows": Kept(gloss=0.15, color=0.4), "mouth": Kept(gloss=0.7), "hair": Kept(0.6, 0.5)}
AREA_SOFT = 7.0  # units over which a painted mask's edge fades
BENT = 0.02
MOST_FACES = 3  # that are looked at


@dataclass(frozen=True, eq=False)
class Person:
    """The largest face of a picture, measured.

    Attributes:
        rgb: (H, W, 3), the picture.
        subject: the face in its window.
        to_picture: (2, 3), px of the window to px of the picture.
        name: for messages.
        face: as it was found.
    """

    rgb: RGB
    subject: Subject
    to_picture: NDArray[np.float64]
    name: str
    face: Face

    @property
    def size(self) -> tuple[int, int]:
        """(w, h) of the window."""
        return self.subject.rgb.shape[1], self.subject.rgb.shape[0]

    def before(self) -> Points:
        """(h, w) in 0..1: hair, hands, things, hats and glasses."""
        parts = self.subject.parts
        seen = [parts.hair, parts.cover, parts.headwear, parts.glasses, parts.lenses]
        return f32(np.max([np.clip(each, 0, 1) for each in seen], axis=0))


@dataclass(frozen=True, eq=False)
class Toning:
    """How another's pixels take the photograph's tone and light, in the photograph's window.

    Attributes:
        base: (h, w, 3) logarithms of the other's skin.
        wanted: (h, w, 3) those of the photograph's.
        white: (h, w) in 0..1, where there is no skin, but an eye or teeth.
        light: (h, w, 3) logarithms that are added there.
        kept: what comes along.
    """

    base: Points
    wanted: Points
    white: Points
    light: Points
    kept: Kept

    def with_white(self, white: Points, light: Points) -> Toning:
        """The same with something else that is no skin."""
        return replace(self, white=white, light=light)


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What the photograph shows behind a layer, in its window.

    Attributes:
        colors: (h, w, 3), levels.
        share: (h, w) in 0..1, where they stand for the photograph's own.
    """

    colors: Points
    share: Points


@dataclass(frozen=True, eq=False)
class Layer:
    """Another's pixels over the photograph's window.

    Attributes:
        flow: (h, w, 2) where each px comes from, px of the other's window.
        own: (h, w, 2) where the photograph's own come from around it, px of its window.
        alpha: (h, w) in 0..1, where the other's are seen.
        toning: what becomes of their colors.
        backdrop: what is behind the layer instead of the photograph; None for the photograph.
        pure: (h, w, 3) levels and (h, w) in 0..1, colors that stand for the other's own.
    """

    flow: Points
    own: Points
    alpha: Points
    toning: Toning
    backdrop: Backdrop | None = None
    pure: tuple[Points, Points] | None = None


def measure(analyzer: Analyzer, rgb: RGB, faces: Sequence[Face], name: str) -> Person:
    """The first face of a picture, measured; the others' hair is not its own.

    Raises:
        InputError: it can't be.
    """
    face = faces[0]
    found = analyzer.analyze(rgb, faces[:MOST_FACES]).subjects
    if not found or not is_plausible(face.points5):
        raise InputError(f"{name}: the face can't be measured", hint="Use a clearer picture.")
    subject = found[0]
    scale = subject.scale / subject.picture_scale
    shift = (np.array(subject.offset) + 0.5) / subject.picture_scale - 0.5
    return Person(rgb, subject, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), name, face)


def check_poses(photo: Person, other: Person) -> None:
    """InputError for faces that look into directions too different for parts to fit."""
    angles = []
    for person in (photo, other):
        yaw, pitch = head_pose(person.subject.face.points3d)[1:3]
        if abs(yaw) > MOST_TURNED:
            raise InputError(
                f"{person.name}: the face is turned too far aside ({abs(yaw):.0f}°)",
                hint="Use a picture that shows it from the front.",
            )
        angles.append((yaw, pitch))
    apart = [abs(a - b) for a, b in zip(*angles, strict=True)]
    if apart[0] > MOST_APART[0] or apart[1] > MOST_APART[1]:
        raise InputError(
            f"{photo.name} and {other.name}: the faces look into different directions"
            f" ({max(apart):.0f}° apart)",
            hint="Use pictures of heads that are turned alike.",
        )


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
        return Layer(taken, own, alpha, self.toning(taken, own, alpha, target, name))

    def beard(self) -> Layer:
        """The other's beard around the photograph's own mouth."""
        flow = self._fitted()
        alpha = smoothstep(self.seen(self.other.subject.parts.beard, flow), 0.15, 0.6)
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
        seen = self.seen(np.maximum(parts.glasses, parts.lenses), flow)
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
        theirs = shrunk(to_log(blur(self.seen(f32(self.other.subject.rgb), flow), smooth)))
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
        return Layer(flow, own, alpha, self.toning(flow, own, alpha, self.face.points, name))

    # -- where ----------------------------------------------------------------------------------

    def _alpha(self, name: str, target: Points, flow: Points) -> Points:
        before_me = self.photo.before()
        before_them = self.seen(self.other.before(), flow)
        beards = (self.photo.subject.parts.beard, self.seen(self.other.subject.parts.beard, flow))
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
                rims = self.seen(np.maximum(self.other.subject.parts.glasses,
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

    # -- color ----------------------------------------------------------------------------------

    def toning(self, flow: Points, own: Points, alpha: Points, target: Points, name: str) -> Toning:
        mine = remapped(f32(self.photo.subject.rgb), own)
        theirs = self.seen(f32(self.other.subject.rgb), flow)
        parts = self.other.subject.parts
        skin = self._sure(self.photo.subject, self.photo.before(), self.face.points)
        other_skin = self.seen(parts.skin, flow)
        free = 1 - np.clip(self.seen(self.other.before(), flow), 0, 1)
        bare = f32(skin * other_skin * free * (1 - self.seen(parts.beard, flow)))
        for around_feature in (*SOCKETS, LIPS):
            bare = bare * (1 - hull_of(around_feature, target, self.size))
        unclipped = f32((mine.max(2) < 252) & (theirs.max(2) < 252))
        a, b = to_log(blur(mine, 1.2 * self.unit)), to_log(blur(theirs, 1.2 * self.unit))
        normals = shrunk(mesh_normals(self.face.points3d, self.size, self.unit))
        sure = shrunk(f32(bare * unclipped))
        small_a, small_b = shrunk(a), shrunk(b)
        base, wanted = (skin_base(each, sure, normals) for each in (small_b, small_a))
        # what still differs around the part
        kept = KEPT.get(name, Kept())
        made = toned(small_b, base, wanted, kept)
        ring = smoothstep(alpha, 0.0, 0.15) * (1 - smoothstep(alpha, 0.35, 0.8))
        around = shrunk(f32(ring * skin_weight(skin, other_skin, free)))
        unit = self.unit / COARSE
        wanted = wanted + membrane(f32(np.clip(small_a - made, -0.6, 0.6)), around, unit)
        if name in SHAPES:  # skin within the part has the photograph's color, less its light
            within = f32(skin * other_skin * free * unclipped * alpha)
            for feature in (*NEAR_EYES, *BROWS, LIPS):
                within = within * (1 - hull_of(feature, target, self.size))
                within = within * (1 - hull_of(feature, self.face.points, self.size))
            left = f32(np.clip(small_a - toned(small_b, base, wanted, kept), -0.9, 0.9))
            light, color = parted(membrane(left, shrunk(within) + 0.1 * around, 2.0 * unit))
            # the less alike the two skins are lit, the more of the light is the photograph's
            way = np.clip(np.abs(wanted - base).max(2, keepdims=True), 0, 1.2) / 1.2
            wanted = wanted + 0.85 * color + (0.45 + 0.4 * way) * light
        if name == "mouth":
            lips = (
                shrunk(filled_lips(target, self.size)),
                shrunk(filled_lips(self.face.points, self.size)),
            )
            means = [
                (each * mask[..., None]).sum((0, 1)) / max(float(mask.sum()), 1e-6)
                for each, mask in zip((toned(small_b, base, wanted), small_a), lips, strict=True)
            ]
            way = float(np.clip(np.abs(wanted - base)[lips[0] > 0.5].mean(), 0, 1.2)) / 1.2
            added = np.clip(means[1] - means[0], -1, 1) * (0.15 + 0.65 * way)
            wanted = f32(wanted + blur(lips[0], 2 * unit)[..., None] * added)
        white, light = self._whites(mine, theirs, target, name, flow)
        return Toning(grown(base, self.size), grown(f32(wanted), self.size), white, light, kept)

    def _sure(self, subject: Subject, before: Points, points: Points) -> Points:
        parts = subject.parts
        oval = filled(OVAL, points, self.size)
        return f32(oval * parts.skin * (1 - np.clip(before + parts.beard, 0, 1)))

    def _whites(
        self, mine: Points, theirs: Points, target: Points, name: str, flow: Points
    ) -> tuple[Points, Points]:
        """Eyes and teeth have no tone of skin: light alone changes them."""
        white = np.zeros(self.size[::-1], np.float32)
        light = np.zeros((*self.size[::-1], 3), np.float32)
        if name == "eyes":
            for ring in LIDS:
                inside = filled(ring, target, self.size)
                was = filled(ring, self.face.points, self.size)
                gain = np.log(bright(mine, was) / bright(theirs, inside))
                color = gain - gain.mean()
                gain = np.clip(gain.mean(), *np.log(EYE_LIGHT)) + 0.7 * np.clip(color, -0.4, 0.4)
                white = np.maximum(white, blur(inside, 1.2 * self.unit))
                light[blur(inside, 6 * self.unit) > 0.01] = GAMMA * gain
        if name == "mouth":
            inside = filled(INNER_LIPS, target, self.size)
            white = blur(inside, 1.2 * self.unit)
            light += TEETH
        if name == "glasses":
            white[:] = 1.0
        if name == "area":
            parts = self.other.subject.parts
            skin = np.maximum(self.seen(parts.skin, flow), self.seen(parts.beard, flow))
            white = 1 - smoothstep(skin, 0.2, 0.7)
        return white, light

    # -- pixels ---------------------------------------------------------------------------------

    def seen(self, field: Points, flow: Points) -> Points:
        """A map of the other's window as it comes to lie in the photograph's."""
        return remapped(field, flow)


def laid(photo: Person, other: Person, layer: Layer, strength: float) -> RGB:
    """The photograph (H, W, 3) with another's pixels, at its own resolution."""
    flow, own, alpha, toning = layer.flow, layer.own, layer.alpha, layer.toning
    out = photo.rgb.copy()
    height, width = out.shape[:2]
    changes = alpha if layer.backdrop is None else np.maximum(alpha, layer.backdrop.share)
    rows, columns = np.nonzero(changes > 1 / 512)
    if not len(rows) or not strength:
        return out
    matrix = photo.to_picture
    low = matrix[:, :2] @ [columns.min() - 1, rows.min() - 1] + matrix[:, 2]
    high = matrix[:, :2] @ [columns.max() + 1, rows.max() + 1] + matrix[:, 2]
    x0, y0 = (int(v) for v in np.clip(np.floor(low), 0, [width, height]))
    x1, y1 = (int(v) for v in np.clip(np.ceil(high) + 1, 0, [width, height]))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return out
    to_area = matrix.copy()
    to_area[:, 2] -= [x0, y0]

    def large(field: Points) -> Points:
        return f32(cv2.warpAffine(field, to_area, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR,
                                  borderMode=cv2.BORDER_REPLICATE))  # fmt: skip

    share = large(alpha)
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    moved = (own - np.stack([x, y], 2)) * smoothstep(alpha, 0, 0.5)[..., None]
    moved = large(f32(moved)) @ f32(matrix[:, :2].T)
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    base = remapped(
        photo.rgb, f32(np.stack([x + moved[..., 0], y + moved[..., 1]], 2)), cv2.INTER_CUBIC
    )
    places = large(flow) @ f32(other.to_picture[:, :2].T) + f32(other.to_picture[:, 2])
    # a larger face is first averaged down, so that the warp doesn't alias
    picture = other.rgb
    ratio = other.subject.face.unit * other.to_picture[0, 0]
    ratio /= photo.subject.face.unit * matrix[0, 0]
    if ratio > 1.3:
        size = (max(round(picture.shape[1] / ratio), 8), max(round(picture.shape[0] / ratio), 8))
        scale = f32([size[0] / picture.shape[1], size[1] / picture.shape[0]])
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        places = (places + 0.5) * scale - 0.5
    taken = remapped(picture, f32(places), cv2.INTER_CUBIC)
    if layer.pure is not None:
        taken = taken + large(layer.pure[1])[..., None] * (large(layer.pure[0]) - taken)
    logs = to_log(taken)
    skin = toned(logs, large(toning.base), large(toning.wanted), toning.kept)
    white = large(toning.white)[..., None]
    taken = from_log(skin + white * (logs + large(toning.light) - skin))
    weight = float(np.clip(strength, 0, 1))
    if layer.backdrop is not None:
        behind = large(layer.backdrop.share)[..., None] * weight
        base = base + behind * (large(layer.backdrop.colors) - base)
    mixed = base + (share * weight)[..., None] * (taken - base)
    area = out[y0:y1, x0:x1]
    changed = large(changes) > 1 / 512
    area[changed] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)[changed]
    return out


def bright(rgb: Points, where: Points) -> NDArray[np.float64]:
    """The color (3,) of what is bright under a mask, of the white of an eye say."""
    seen = rgb[where > 0.6]
    if len(seen) < 9:
        return np.full(3, 128.0)
    light = seen.mean(1)
    return np.asarray(seen[light >= np.quantile(light, 0.75)].mean(0) + 8.0, np.float64)


def hull_of(ring: tuple[int, ...], points: Points, size: tuple[int, int]) -> Points:
    """(h, w) in 0..1 of a hull of points."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points[list(ring)]).astype(np.int32)), 1)
    return f32(mask)


def filled_lips(points: Points, size: tuple[int, int]) -> Points:
    """(h, w) in 0..1 of lips without what is between them."""
    outer = LIP_UPPER + LIP_LOWER[-2:0:-1]
    return f32(np.clip(filled(outer, points, size) - filled(INNER_LIPS, points, size), 0, 1))
