"""A folder of labeled faces made from samples of the face generator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from toonify.faces.mesh import FaceMesh
from toonify.faces.parsing import GLASSES, LABELS, FaceParser
from toonify.faces.person import PersonMatte
from toonify.faces.types import RGB, Points, f32
from toonify.models.generators.mobile import MobileGenerator
from toonify.training.parsing.activations import (
    Clusters,
    cluster_distances,
    part_probabilities,
    principal_activations,
)
from toonify.training.parsing.attributes import (
    REGIONS,
    RIDGE,
    AttributeRidge,
    SeenFaces,
    pooled,
)
from toonify.training.parsing.faces import LabeledFace
from toonify.training.parsing.labels import (
    SIDE,
    Known,
    add_known,
    label_parts,
    mark_others,
    refine,
)
from toonify.training.parsing.weak import WeakParts, fit_weak_parts, zones

UNKNOWN = -1.0
# Below the first of these a face has none of an attribute, above the second it has, between it is
# not known
SURE = (0.2, 0.45)
THICK_AREA = 0.45  # of frames, over the squared distance of the eyes
Traits = dict[str, float]
_I = {name: i for i, name in enumerate(LABELS)}


@dataclass(frozen=True, eq=False)
class Sampled:
    """A sampled face with what its activations tell."""

    w: Points
    rgb: RGB
    principal: Points
    distances: Points


class Labeler:
    """Labels sampled faces.

    Args:
        seen: faces that somebody looked at.
    """

    def __init__(
        self,
        generator: MobileGenerator,
        clusters: Clusters,
        seen: SeenFaces,
        *,
        mesh: FaceMesh,
        matte: PersonMatte,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._generator, self._clusters = generator, clusters
        self._mesh, self._matte = mesh, matte
        faces: list[Sampled] = []
        for w in seen.w:
            faces.append(self.sample(w))
            if progress:
                progress(len(faces))
        self.traits: list[Traits] = [
            {name: float(values[i]) for name, values in seen.traits.items()}
            for i in range(len(seen.w))
        ]
        self._ridges = {name: _fit(name, faces, seen) for name in REGIONS}
        self._weak = self._fit_weak(faces, seen)
        self._thick = {i for i in range(len(seen.w)) if seen.thick[i]}

    def sample(self, w: Points) -> Sampled:
        """Render a latent (512,) at 256 px."""
        principal = principal_activations(self._generator, w, self._clusters)
        rgb = render(self._generator, w)
        return Sampled(w, rgb, principal, cluster_distances(principal, self._clusters))

    def tell(self, face: Sampled) -> Traits:
        """Estimates, about 0..1, of each of `REGIONS`."""
        return {
            name: float(ridge(pooled(face.distances, name)[None], f32(face.w)[None])[0])
            for name, ridge in self._ridges.items()
        }

    def label(self, face: Sampled, seen: int | None = None) -> LabeledFace:
        """Labels of a face; `seen` is its number among those that were looked at."""
        traits = self.tell(face)
        if seen is not None:
            traits |= {k: v for k, v in self.traits[seen].items() if not np.isnan(v)}
        points = f32(self._mesh.measure(face.rgb).points3d)
        mesh = points[:, :2]
        matte = self._matte(face.rgb)
        coarse = part_probabilities(face.distances, self._clusters)
        parts = refine(face.rgb, coarse, mesh, matte)
        labels = label_parts(face.rgb, parts, mesh)
        known = Known(
            beard=traits["beard"],
            moustache=traits["moustache"],
            headwear=traits["headwear"] > SURE[1],
            bald=traits["bald"] > 0.35,
        )
        weak = self._weak.probabilities(face.principal)
        labels = add_known(labels, face.rgb, mesh, matte, weak, known)
        labels = mark_others(labels, face.rgb, mesh)
        on = labels != _I["background"]
        person = 1 - parts[..., 0]
        alpha = np.where(on, np.maximum(person, 0.5), np.minimum(person, 0.5))
        alpha = np.where(labels == _I["headwear"], 1, alpha)
        attributes = [
            self._glasses(traits, seen),
            *(_sure(traits[k]) for k in ("beard", "moustache")),
        ]
        return LabeledFace(
            rgb=face.rgb,
            labels=labels,
            alpha=f32(np.clip((alpha - 0.15) / 0.7, 0, 1)),
            points=points,
            attributes=f32([*attributes, _sure(traits["headwear"])]),
        )

    def _glasses(self, traits: Traits, seen: int | None) -> float:
        """Index of `GLASSES`; which frame unseen ones have isn't known."""
        if traits["glasses"] < 0.25:
            return 0.0
        if traits["sunglasses"] > 0.5:
            return 3.0
        if seen is not None and traits["glasses"] > 0.5:
            return 2.0 if seen in self._thick else 1.0
        return UNKNOWN

    def _fit_weak(self, faces: list[Sampled], seen: SeenFaces) -> WeakParts:
        beard, headwear = seen.traits["beard"], seen.traits["headwear"]
        used = [i for i in range(len(faces)) if not np.isnan(beard[i] + headwear[i])]
        where = []
        for i in used:
            mesh = f32(self._mesh.measure(faces[i].rgb).points)
            matte = self._matte(faces[i].rgb)
            coarse = part_probabilities(faces[i].distances, self._clusters)
            labels = label_parts(faces[i].rgb, refine(faces[i].rgb, coarse, mesh, matte), mesh)
            where.append(zones(labels, mesh, matte))
        principal = f32(np.stack([faces[i].principal for i in used]))
        return fit_weak_parts(principal, beard[used], headwear[used], where)


def write_dataset(folder: Path, faces: Iterable[LabeledFace]) -> int:
    """Write a folder that `LabeledFaces` reads; how many faces it holds.

    Faces with glasses are left out as long as no label tells their frames; those with rarer things
    are drawn more often.
    """
    columns: dict[str, list[np.ndarray]] = {
        k: [] for k in ("rgb", "labels", "alpha", "points", "attributes")
    }
    weights = []
    for face in faces:
        columns["rgb"].append(face.rgb)
        columns["labels"].append(face.labels)
        columns["alpha"].append(np.rint(face.alpha * 255).astype(np.uint8))
        columns["points"].append(face.points.astype(np.float16))
        columns["attributes"].append(face.attributes)
        weights.append(weight(face))
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in columns.items():
        temporary = folder / f".{name}.tmp.npy"
        np.save(temporary, np.stack(values))
        temporary.replace(folder / f"{name}.npy")
    temporary = folder / ".weights.json.tmp"
    temporary.write_text(json.dumps(weights), encoding="utf-8")
    temporary.replace(folder / "weights.json")
    return len(weights)


def add_frames(face: LabeledFace, parser: FaceParser) -> LabeledFace:
    """The face with its glasses labeled by a parser that was trained on drawn ones.

    Views that differ in side and light are averaged. What unlabeled frames have is taken from their
    area. A face with none to be found comes back as it was.
    """
    if face.attributes[0] == 0:
        return face
    light = np.clip(f32(face.rgb) * 1.25 + 8, 0, 255).astype(np.uint8)
    views = [parser.parse(view).resized((SIDE, SIDE)) for view in (face.rgb, light)]
    mirrored = np.ascontiguousarray(face.rgb[:, ::-1])
    views.append(parser.parse(mirrored).resized((SIDE, SIDE))[:, ::-1])
    seen = np.mean(views, axis=0)
    frame, dark = seen[..., _I["glasses"]], seen[..., _I["sunglasses"]]
    eyes = face.points[[33, 133, 263, 362], :2]
    apart = float(np.linalg.norm(eyes[[0, 1]].mean(0) - eyes[[2, 3]].mean(0)))
    rows = np.abs(np.arange(SIDE) - eyes[:, 1].mean()) < 0.75 * apart
    found = (np.maximum(frame, dark) > 0.4) & rows[:, None]
    if found.sum() < 0.03 * apart**2:
        return face
    attributes = face.attributes.copy()
    if attributes[0] == UNKNOWN:
        thick = (found & (frame > dark)).sum() > THICK_AREA * apart**2
        attributes[0] = 3 if (found & (dark > frame)).sum() > 0.3 * apart**2 else 2 if thick else 1
    labels = face.labels.copy()
    is_frame = found & ((frame > dark) | (frame > 0.25))
    if attributes[0] == GLASSES.index("sun"):  # all that lies within the frames
        for eye in (eyes[:2].mean(0), eyes[2:].mean(0)):
            near = np.abs(np.arange(SIDE) - eye[0]) < 0.47 * apart
            spots = np.argwhere(found & near)[:, ::-1].astype(np.int32)
            lens = np.zeros((SIDE, SIDE), np.uint8)
            if len(spots) > 10:
                cv2.fillConvexPoly(lens, cv2.convexHull(spots), 1)
            y, x = np.mgrid[:SIDE, :SIDE] - eye[::-1, None, None]
            around = (x / (0.47 * apart)) ** 2 + (y / (0.42 * apart)) ** 2 < 1
            labels[(lens > 0) & around] = _I["sunglasses"]
    labels[is_frame] = _I["glasses"]
    alpha = np.maximum(face.alpha, f32(found))
    return replace(face, labels=labels, alpha=alpha, attributes=attributes)


def weight(face: LabeledFace) -> float:
    """How often a face is to be drawn, against 1 for most."""
    glasses, beard, _, headwear = face.attributes
    framed = np.isin(face.labels, (_I["glasses"], _I["sunglasses"])).sum() > 30
    if (glasses != 0 and not framed) or headwear < 0:
        return 0.0
    often = 2.5 if headwear == 1 else 1.0
    return often * (1.8 if beard == 1 else 1.0) * (1.5 if glasses > 0 else 1.0)


@torch.no_grad()
def render(generator: MobileGenerator, w: Points) -> RGB:
    """A latent (512,) → (256, 256, 3) uint8."""
    w_plus: Tensor = torch.from_numpy(f32(w))[None, None].repeat(1, generator.num_ws, 1)
    image = generator.synthesize(generator.styles(w_plus))[0].permute(1, 2, 0).numpy()
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.clip(np.rint((small + 1) * 127.5), 0, 255).astype(np.uint8)


def _fit(name: str, faces: list[Sampled], seen: SeenFaces) -> AttributeRidge:
    values = seen.traits[name]
    used = np.flatnonzero(~np.isnan(values))
    features = f32(np.stack([pooled(faces[i].distances, name) for i in used]))
    return AttributeRidge(features, seen.w[used], values[used], ridge=RIDGE[name])


def _sure(value: float) -> float:
    return 0.0 if value < SURE[0] else 1.0 if value > SURE[1] else UNKNOWN
