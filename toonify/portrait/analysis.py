"""From a photograph to what the program draws: who is where, and which pixels are what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from toonify.errors import InputError
from toonify.faces.alignment import ffhq_quad
from toonify.faces.mesh import EyeContour, FaceMesh
from toonify.faces.person import PersonMatte
from toonify.faces.types import Face, is_plausible
from toonify.portrait.fields import Field, blur, f32, guided, remove_small, to_lab
from toonify.portrait.memory import NO_MEMORY, Memory, Steady
from toonify.portrait.parts import build_parts
from toonify.portrait.subject import RGB, Eye, FaceGeometry, Parts, Subject

INTEROCULAR = 125.0  # px between the eyes where `unit` is 1
MESH_CROP = 320  # side of the FFHQ crop that the mesh is measured on
LOOSE = 1.7  # side of the window of one head, in FFHQ crops
CLOSE = 1.1  # side of the closer of the two crops that are labeled
Crops = tuple[tuple[str, float], ...]  # their names and sides
CROPS: Crops = (("loose", LOOSE * 1.15), ("close", CLOSE))
PARSE_CROP = 256
BODY_CROP = 4.0  # side of the window of one head and body, in FFHQ crops
SEEN = 0.5  # of a face that a matte takes for somebody, below which it does not see it
BODY_WIDTH = 7.0  # distances between the eyes, about
MAX_UPSAMPLING = 2.2  # of small faces, before they are drawn


class Parser(Protocol):
    """Labels head crops; see `toonify.faces.parsing.FaceParser`."""

    def __call__(self, rgb: RGB, *, mirrored: bool | None = None) -> Field: ...


@dataclass(frozen=True, eq=False)
class Analysis:
    """A picture ready to be drawn.

    Args:
        rgb: (H, W, 3), the photograph at the size it is drawn at.
        person: (H, W), 0..1.
        subjects: people, as far as they were measured.
        faces: as they were found, px of the photograph.
    """

    rgb: RGB
    person: Field
    subjects: list[Subject]
    faces: tuple[Face, ...]
    memory: Steady = NO_MEMORY


MOST_SHIFT = 0.15  # of an FFHQ crop's side, that a portrait moves into its photograph


def similarity(face: Face, size: int, loose: float) -> NDArray[np.float64]:
    """(2, 3): px of an upright crop around a face, `loose` FFHQ crops wide, -> photo px."""
    quad = ffhq_quad(face).astype(np.float64)
    center = quad.mean(0)
    right, down = (quad[3] - quad[0]) * loose / size, (quad[1] - quad[0]) * loose / size
    origin = center - (right + down) * (size - 1) / 2
    return np.stack([right, down, origin], 1)


def portrait_square(
    face: Face, size: int, photo: tuple[int, int], *, loose: float
) -> NDArray[np.float64]:
    """(2, 3): px of a portrait around a face -> photo px, within the photograph where it can be.

    Args:
        photo: (height, width) of the photograph.
        loose: side of the portrait in FFHQ crops, where there is room; at least one of them.
    """
    quad = ffhq_quad(face).astype(np.float64)
    across, down = quad[3] - quad[0], quad[1] - quad[0]
    side = float(np.hypot(*across))
    reach = float(np.abs(across).sum()) / 2  # half of what an FFHQ crop takes of the photograph
    loose = float(np.clip(min(photo) / (2 * reach), 1.0, loose))
    room = np.array([photo[1], photo[0]], np.float64)
    center, half = quad.mean(0), np.minimum(reach * loose, room / 2)
    inside = np.clip(center, half, room - half)
    center += np.clip(inside - center, -MOST_SHIFT * side, MOST_SHIFT * side)
    right, below = across * loose / size, down * loose / size
    return np.stack([right, below, center - (right + below) * (size - 1) / 2], 1)


def sample(rgb: RGB, matrix: NDArray[np.float64], size: tuple[int, int]) -> RGB:
    """Warp by `matrix` (window px -> photo px) without aliasing; borders are replicated."""
    zoom = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if zoom > 1.5:
        step = max(1, int(zoom))
        corners = np.array([[0, 0], [size[0], 0], [0, size[1]], [size[0], size[1]]], np.float64)
        placed = corners @ matrix[:, :2].T + matrix[:, 2]
        x0, y0 = (int(v) for v in np.maximum(np.floor(placed.min(0)) - 2 * step, 0))
        x1, y1 = (int(v) for v in np.minimum(np.ceil(placed.max(0)) + 2 * step, rgb.shape[1::-1]))
        if x1 - x0 > step and y1 - y0 > step:
            part = rgb[y0:y1, x0:x1]
            new = (max(part.shape[1] // step, 1), max(part.shape[0] // step, 1))
            ratio = np.array([new[0] / part.shape[1], new[1] / part.shape[0]])
            small = cv2.resize(part, new, interpolation=cv2.INTER_AREA)
            inner = matrix.copy()
            inner[:, 2] -= [x0, y0]
            inner *= ratio[:, None]
            inner[:, 2] += ratio / 2 - 0.5
            rgb, matrix = np.asarray(small, np.uint8), inner
    return np.asarray(
        cv2.warpAffine(
            rgb,
            matrix,
            size,
            flags=(cv2.INTER_CUBIC if zoom < 1 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )


class Analyzer:
    """Measures photographs; one instance a thread.

    Args:
        mesh, matte, parser: the networks.
    """

    def __init__(self, mesh: FaceMesh, matte: PersonMatte, parser: Parser) -> None:
        self._mesh, self._matte, self._parser = mesh, matte, parser

    def analyze(
        self,
        photo: RGB,
        faces: Sequence[Face],
        *,
        side: int = 768,
        upsampling: float = MAX_UPSAMPLING,
        memory: Memory | None = None,
        people: Sequence[int] | None = None,
    ) -> Analysis:
        """Measure `photo` (H, W, 3) uint8 with its faces.

        Args:
            side: longer side of the picture that surroundings are drawn from, px, at most.
            upsampling: how far small faces are enlarged before they are drawn, at most.
            memory: of a clip, whose frames come in order.
            people: who each face is, in a clip; by their order without.
        """
        steady = Steady(memory)
        if memory is not None:
            photo = memory.begin(photo)
        rgb = self._reduced(photo, faces, side, upsampling)
        person = self._matte(rgb) if faces else np.zeros(rgb.shape[:2], np.float32)
        person = steady.average("person", person, share=0.6)
        scale = rgb.shape[1] / photo.shape[1]
        subjects = self._subjects(photo, faces, scale, upsampling, steady, people)
        heads = np.zeros_like(person)
        for subject in subjects:
            matrix = f32(
                [[subject.scale, 0, subject.offset[0]], [0, subject.scale, subject.offset[1]]]
            )
            size = (rgb.shape[1], rgb.shape[0])
            cover = cv2.warpAffine(subject.parts.person, matrix, size, flags=cv2.INTER_LINEAR)
            heads = np.maximum(heads, cover)
        if subjects:
            unit = max(subject.face.unit * subject.scale for subject in subjects)
            person = np.maximum(_bodies(person, f32(heads), unit), heads)
        return Analysis(
            rgb, f32(remove_small(f32(person), 400, 200)), subjects, tuple(faces), steady
        )

    def heads(
        self,
        photo: RGB,
        faces: Sequence[Face],
        *,
        upsampling: float = MAX_UPSAMPLING,
        memory: Memory | None = None,
        people: Sequence[int] | None = None,
    ) -> list[Subject]:
        """The people of `photo` (H, W, 3) uint8 alone, who are placed in it as it is.

        Args:
            upsampling, memory, people: as of `analyze`; in a clip the looser of two crops alone
                is labeled, which shows hair and shoulders.
        """
        if memory is None:
            return self._subjects(photo, faces, 1.0, upsampling, NO_MEMORY, people)
        steady, crops = Steady(memory), CROPS[:1]
        return self._subjects(memory.begin(photo), faces, 1.0, upsampling, steady, people, crops)

    def _subjects(
        self,
        photo: RGB,
        faces: Sequence[Face],
        scale: float,
        upsampling: float,
        steady: Steady,
        people: Sequence[int] | None,
        crops: Crops = CROPS,
    ) -> list[Subject]:
        subjects = []
        for i, face in enumerate(faces):
            own = steady.sub(f"person{i if people is None else people[i]}")
            try:
                subject = self._subject(photo, face, faces, scale, upsampling, own, crops)
                subjects.append(replace(subject, face_index=i))
            except InputError:
                continue  # five points that are no face after all
        return subjects

    def people(
        self,
        photo: RGB,
        faces: Sequence[Face],
        *,
        side: int = 768,
        upsampling: float = MAX_UPSAMPLING,
        memory: Memory | None = None,
    ) -> Analysis:
        """Where anybody is in `photo` (H, W, 3) uint8, and no more: an analysis without subjects.

        Args:
            side, upsampling, memory: as of `analyze`.
        """
        steady = Steady(memory)
        if memory is not None:
            photo = memory.begin(photo)
        # five points may be no face after all
        faces = [face for face in faces if is_plausible(face.points5)]
        rgb = self._reduced(photo, faces, side, upsampling)
        size = (rgb.shape[1], rgb.shape[0])
        scale = np.array([rgb.shape[1] / photo.shape[1], rgb.shape[0] / photo.shape[0]])
        to_photo = np.concatenate([np.diag(1 / scale), (0.5 / scale - 0.5)[:, None]], 1)
        person = self._matte(rgb)
        if faces:
            unit = float(max(map(self._interocular, faces)) * scale[0] / INTEROCULAR)
        else:  # backs of heads, hands
            unit = guessed_interocular(person) / INTEROCULAR
        near, inner = np.zeros_like(person), _rim_of(size)
        # the nearer a crop is to a face, the better it tells who is there, unless it is larger than
        # the picture
        for loose, lower in ((BODY_CROP, 0.25), (LOOSE * 1.15, 0.0)):
            windows = [_lowered(similarity(face, PARSE_CROP, loose), lower) for face in faces]
            windows = [w for w in windows if np.hypot(*w[:, 0]) * PARSE_CROP < max(photo.shape[:2])]
            # five points upon somebody's clothes would cut a hole
            windows = [w for w in windows if _mean_in(w, person, scale) < 0.9]
            near, seen = self._mattes(photo, windows, to_photo, size)
            # where the picture ends, the whole of it tells more than a crop that is continued
            person = f32(person + (near - seen * person) * inner)
        known = f32(np.maximum(near, person * (1 - inner)))
        person = np.maximum(_bodies(f32(person), known, unit), near)
        person = steady.average("person", f32(person), share=0.6)
        guide = blur(to_lab(rgb)[..., 0] / 100, 0.8)
        person = guided(guide, person, max(2, round(6 * unit)), 4e-4)
        person = np.maximum(person, _faces(faces, scale, person))
        return Analysis(
            rgb, remove_small(f32(np.clip(person, 0, 1)), 400, 200), [], tuple(faces), steady
        )

    def _mattes(
        self,
        photo: RGB,
        windows: Sequence[NDArray[np.float64]],
        to_photo: NDArray[np.float64],
        size: tuple[int, int],
    ) -> tuple[Field, Field]:
        """Who is seen in windows of a photograph, and how surely; each (H, W) in 0..1.

        Args:
            windows: (2, 3) each, px of a crop -> photo px.
            to_photo: px of the result -> photo px; `size`: its (width, height).
        """
        found = np.zeros((size[1], size[0], 2), np.float32)
        rim, middle = _rim(PARSE_CROP), slice(3 * PARSE_CROP // 8, 5 * PARSE_CROP // 8)
        for window in windows:
            matte = self._matte(sample(photo, window, (PARSE_CROP, PARSE_CROP)))
            if float(matte[middle, middle].mean()) < 0.5:  # five points that are nobody's
                continue
            both = np.concatenate([matte[..., None] * rim, rim], 2)
            found = np.maximum(found, _turn(f32(both), window, PARSE_CROP, to_photo, size))
        return f32(found[..., 0]), f32(found[..., 1])

    def _reduced(self, photo: RGB, faces: Sequence[Face], side: int, upsampling: float) -> RGB:
        """The picture that surroundings are drawn from, `side` px long at most."""
        height, width = photo.shape[:2]
        largest = max((self._interocular(face) for face in faces), default=0.0)
        scale = min(1.0, side / max(height, width))
        if largest:  # a small picture of a large face is drawn from an enlarged copy
            wanted = min(INTEROCULAR / largest, upsampling)
            scale = max(scale, min(wanted, side / max(height, width)))
        size = (max(round(width * scale), 8), max(round(height * scale), 8))
        shrinking = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(photo, size, interpolation=shrinking), np.uint8)

    @staticmethod
    def _interocular(face: Face) -> float:
        return float(np.hypot(*(face.points5[1] - face.points5[0])))

    def _subject(
        self,
        photo: RGB,
        face: Face,
        faces: Sequence[Face],
        picture_scale: float,
        upsampling: float,
        memory: Steady,
        crops: Crops,
    ) -> Subject:
        tight = similarity(face, MESH_CROP, 1.0)
        crop = sample(photo, tight, (MESH_CROP, MESH_CROP))
        mesh, left, right = self._mesh.measure_with_eyes(crop)
        crop_zoom = float(np.hypot(tight[0, 0], tight[1, 0]))  # photo px a crop px
        # The window: axis-parallel, at the scale that the face is drawn best at.
        eyes = (mesh.eye_center_left + mesh.eye_center_right) / 2
        spread = max(
            float(np.linalg.norm(mesh.eye_center_right - mesh.eye_center_left)),
            0.62 * float(np.linalg.norm(mesh.mouth_center - eyes)) * 1.6,
        )
        interocular = spread * crop_zoom
        interocular = float(memory.average("interocular", [interocular], share=0.2)[0])
        zoom = min(INTEROCULAR / interocular, upsampling)  # window px a photo px
        quad = ffhq_quad(face)
        center, reach = quad.mean(0), np.hypot(*(quad[3] - quad[0])) * LOOSE / 2
        tilt = abs(np.deg2rad(mesh.roll))
        reach *= min(abs(np.cos(tilt)) + abs(np.sin(tilt)), 1.3)
        x0, y0 = np.maximum(np.floor(center - reach), 0)
        x1, y1 = np.minimum(np.ceil(center + reach), [photo.shape[1], photo.shape[0]])
        if x1 - x0 < 8 or y1 - y0 < 8:
            raise InputError("a face lies outside the picture")
        size = (max(round((x1 - x0) * zoom), 8), max(round((y1 - y0) * zoom), 8))
        to_photo = np.array(
            [[1 / zoom, 0, x0 + 0.5 / zoom - 0.5], [0, 1 / zoom, y0 + 0.5 / zoom - 0.5]]
        )
        window = sample(photo, to_photo, size)

        # Steadied in the photograph, where nothing but the head moves.
        slack = 0.05 * interocular

        def place(name: str, points: Field) -> Field:
            at = f32(points @ tight[:, :2].T + tight[:, 2])
            return f32((memory.follow(name, at, slack) - to_photo[:, 2]) * zoom)

        points = place("mesh", mesh.points)
        points3d = f32(mesh.points3d * (crop_zoom * zoom))
        points3d[:, :2] = points
        angle = float(np.degrees(np.arctan2(tight[1, 0], tight[0, 0])))

        def eye(name: str, found: EyeContour) -> Eye:
            radius = float(memory.average(f"{name}/radius", [found.radius * crop_zoom])[0])
            return Eye(
                place(f"{name}/upper", found.upper),
                place(f"{name}/lower", found.lower),
                place(f"{name}/iris", found.iris[None])[0],
                radius * zoom,
            )

        both = (eye("left", left), eye("right", right))
        geometry = FaceGeometry(
            points, points3d, both, mesh.yaw, mesh.roll + angle, interocular * zoom / INTEROCULAR
        )
        parts = self._parts(photo, face, geometry, to_photo, window, memory, crops)
        parts = _owned(parts, face, faces, to_photo)
        scale = picture_scale / zoom
        offset = (
            float((to_photo[0, 2] + 0.5) * picture_scale - 0.5),
            float((to_photo[1, 2] + 0.5) * picture_scale - 0.5),
        )
        return Subject(window, geometry, parts, scale, offset, memory, picture_scale)

    def _parts(
        self,
        photo: RGB,
        face: Face,
        geometry: FaceGeometry,
        to_photo: NDArray[np.float64],
        window: RGB,
        memory: Steady,
        crops: Crops,
    ) -> Parts:
        """Label upright crops, the looser first, and bring them into the window."""
        size = (window.shape[1], window.shape[0])
        half = (max(size[0] // 2, 8), max(size[1] // 2, 8))
        to_window = to_photo.copy()  # px of the half window -> photo px
        shrink = np.array([size[0] / half[0], size[1] / half[1]])
        to_window[:, 2] += to_photo[:, :2] @ (shrink / 2 - 0.5)
        to_window[:, :2] = to_photo[:, :2] * shrink
        labels: Field | None = None
        matte: Field | None = None
        for turn, (name, loose) in enumerate(crops):
            upright = similarity(face, PARSE_CROP, loose)
            crop = sample(photo, upright, (PARSE_CROP, PARSE_CROP))
            # In a clip the crops take turns: labels lie still in a crop that moves with the head.
            found, person = memory.get(f"{name}/labels"), memory.get(f"{name}/matte")
            if found is None or person is None or memory.frame % len(crops) == turn:
                # Frames are averaged already: one look at each is enough.
                found = self._parser(crop, mirrored=False if memory.remembers else None)
                person = self._matte(crop)
            found = memory.average(f"{name}/labels", found, share=0.6)
            person = memory.average(f"{name}/matte", person, share=0.6)
            turned = _turn(found, upright, PARSE_CROP, to_window, half)
            person = _turn(person[..., None], upright, PARSE_CROP, to_window, half)
            if labels is None or matte is None:
                labels, matte = turned, person
                continue
            inside = _turn(_rim(PARSE_CROP), upright, PARSE_CROP, to_window, half)
            labels = labels + (turned - labels) * inside
            matte = matte + (person - matte) * inside
        assert labels is not None and matte is not None
        full = cv2.resize(matte[..., 0], size, interpolation=cv2.INTER_LINEAR)
        return build_parts(window, geometry, f32(full), labels)


def guessed_interocular(person: Field) -> float:
    """Px between the eyes of somebody who takes so much of a picture, (H, W) in 0..1, and shows no
    face."""
    return max(float(np.sqrt(person.sum())) / BODY_WIDTH, INTEROCULAR / 10)


def _mean_in(window: NDArray[np.float64], field: Field, scale: NDArray[np.float64]) -> float:
    """Mean of a field around a crop, by its matrix to the photograph; `scale`: of field to that."""
    corners = np.array([[0, 0, 1], [PARSE_CROP, 0, 1], [0, PARSE_CROP, 1], [PARSE_CROP] * 2 + [1]])
    at = corners @ window.T * scale
    size = (field.shape[1], field.shape[0])
    (x0, y0), (x1, y1) = (np.clip(np.rint(p), 0, size).astype(int) for p in (at.min(0), at.max(0)))
    inside = field[y0:y1, x0:x1]
    return float(inside.mean()) if inside.size else 0.0


def _lowered(window: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """A crop's (2, 3) matrix, of the crop that lies a share of its side further down."""
    moved = window.copy()
    moved[:, 2] += window[:, 1] * share * PARSE_CROP
    return moved


def _faces(faces: Sequence[Face], scale: NDArray[np.float64], person: Field) -> Field:
    """Where faces are, (H, W) in 0..1: somebody is there, whatever a matte says. Where it does not
    see a face, in a drawing say, the whole head is taken, as an ellipse."""
    found = np.zeros(person.shape, np.float32)
    for face in faces:
        points = face.points5 * scale
        across = points[1] - points[0]
        apart, turn = float(np.hypot(*across)), float(np.degrees(np.arctan2(across[1], across[0])))
        center = tuple(map(float, (points[:2].mean(0) + points[3:].mean(0)) / 2))
        one, head = np.zeros(person.shape, np.uint8), np.zeros(person.shape, np.uint8)
        cv2.ellipse(one, (center, (1.9 * apart, 2.4 * apart), turn), 1, -1)
        if float(person[one > 0].mean() if one.any() else 1.0) < SEEN:
            cv2.ellipse(head, (center, (3.8 * apart, 4.8 * apart), turn), 255, -1)
        else:  # beside a profile's nose there is nobody
            features = np.rint(points[[0, 1, 4, 3]]).astype(np.int32)
            cv2.polylines(head, [features], True, 255, max(1, round(0.4 * apart)))
            cv2.fillPoly(head, [features], 255)
        found = np.maximum(found, f32(head) / 255)
    return f32(cv2.GaussianBlur(found, (0, 0), 1.5))


def _bodies(person: Field, heads: Field, unit: float) -> Field:
    """The matte of a picture without what is too small to be anybody beside the heads in it: a
    shadow, the edge of a chair."""
    width = max(3, round(6 * unit)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    beside = f32(np.where(heads > 0.5, 0, person))
    core = f32(cv2.morphologyEx(beside, cv2.MORPH_OPEN, kernel))
    specks = core - remove_small(core, 4500 * unit * unit, 0)
    return f32(np.where(cv2.dilate(specks, kernel) > 0.1, np.minimum(person, 0.3), person))


def _rim(side: int) -> Field:
    """(side, side, 1): 1 inside, falling to 0 towards the border, where a crop knows least."""
    return _rim_of((side, side))[..., None]


def _rim_of(size: tuple[int, int]) -> Field:
    """The same of (width, height) as (height, width)."""
    across, down = (
        np.clip((np.minimum(at, 1 - at) - 0.02) / 0.08, 0, 1)
        for at in ((np.arange(side, dtype=np.float32) + 0.5) / side for side in size)
    )
    return f32(np.outer(down, across))


def _turn(
    field: Field,
    upright: NDArray[np.float64],
    side: int,
    to_photo: NDArray[np.float64],
    size: tuple[int, int],
) -> Field:
    """Maps (h, w, C) over a crop of `side` px, brought into a window of `size`; 0 outside."""
    ratio = field.shape[1] / side
    into = cv2.invertAffineTransform(upright)
    matrix = into[:, :2] @ to_photo[:, :2] * ratio
    shift = (into[:, :2] @ to_photo[:, 2] + into[:, 2] + 0.5) * ratio - 0.5
    warp = np.concatenate([matrix, shift[:, None]], 1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    planes = [
        cv2.warpAffine(
            np.ascontiguousarray(field[..., i : i + 4]), warp, size, flags=flags
        ).reshape(size[1], size[0], -1)
        for i in range(0, field.shape[2], 4)
    ]
    return f32(np.concatenate(planes, 2))


def _owned(parts: Parts, face: Face, faces: Sequence[Face], to_photo: NDArray[np.float64]) -> Parts:
    """Without what belongs to a neighbor: every pixel is the nearest face's, in its own sizes."""
    height, width = parts.person.shape
    low = to_photo[:, 2]
    high = low + np.array([width * to_photo[0, 0], height * to_photo[1, 1]])

    def size_of(one: Face) -> float:
        apart = float(np.hypot(*(one.points5[1] - one.points5[0])))
        return max(apart, 0.4 * float(np.sqrt(one.size)))

    def reaches(one: Face) -> bool:
        center, reach = one.points5.mean(0), 4 * size_of(one)
        return bool((center > low - reach).all() and (center < high + reach).all())

    others = [other for other in faces if other is not face and reaches(other)]
    if not others:
        return parts
    # Borders between people are smooth: a quarter of the resolution tells them.
    small = (max(width // 4, 1), max(height // 4, 1))
    yy, xx = np.mgrid[: small[1], : small[0]].astype(np.float32)
    x = (xx + 0.5) * (width / small[0]) * to_photo[0, 0] + to_photo[0, 2]
    y = (yy + 0.5) * (height / small[1]) * to_photo[1, 1] + to_photo[1, 2]

    def distance(one: Face) -> Field:
        center = one.points5.mean(0)
        return f32(np.hypot(x - center[0], y - center[1]) / size_of(one))

    nearest = np.min([distance(other) for other in others], axis=0)
    share = f32(np.clip((nearest - distance(face)) * 4 + 0.5, 0, 1))
    if float(share.min()) > 0.99:
        return parts
    share = f32(cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR))
    kept = {}
    for name in Parts.__dataclass_fields__:
        value = getattr(parts, name)
        kept[name] = value if name in ("person", "clothes") else f32(value * share)
    return Parts(**kept)
